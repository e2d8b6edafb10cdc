"""Updates of deployments and endpoints: the next job uses them, a running one goes on with what it started with."""

import venv
from pathlib import Path

from tests.acceptance.command_line import Az, Gate, invoked

#: One run() for all files. It says that it runs and waits to be let on; only then it looks at what may have changed.
SCRIPT = """\
import os, sys

def init():
    pass

def run(mini_batch):
    if os.environ.get("GATE"):
        with open(os.environ["GATE"] + ".in", "w"):
            pass
        with open(os.environ["GATE"] + ".out"):
            pass
    import marker
    folder = os.environ["AZUREML_MODEL_DIR"]
    model = open(os.path.join(folder, os.listdir(folder)[0], "offset.txt")).read()
    return [" ".join([marker.WORD, model, os.path.basename(sys.prefix), os.environ["WORD"], str(len(mini_batch))])]
"""

DEPLOYMENT = """\
name: blue
endpoint_name: digits
model: azureml:m:1
code_configuration:
  code: ./code
  scoring_script: score.py
environment: azureml:first@latest
compute: azureml:cluster
mini_batch_size: 100
environment_variables:
  WORD: old
retry_settings:
  timeout: 3600
"""


def deploy(az: Az) -> None:
    for name, word in (("code", "code-1"), ("code2", "code-2")):
        Path(name).mkdir(exist_ok=True)
        Path(name, "score.py").write_text(SCRIPT)
        Path(name, "marker.py").write_text(f"WORD = {word!r}\n")
    for version in ("1", "2"):
        Path("model/offset.txt").write_text(f"model-{version}")
        az(f"model create --name m --version {version} --path model -o none")
    for name in ("first", "second"):
        venv.create(Path(f"env-{name}"), with_pip=False, symlinks=True)
        az(f"environment create --name {name} --python env-{name} -o none")
    Path("deployment.yml").write_text(DEPLOYMENT)
    az("compute create -n cluster --max-instances 2 -o none")
    az("batch-endpoint create -n digits -o none")
    az("batch-deployment create -f deployment.yml --set-default -o none")


def scored(az: Az, name: str) -> list[str]:
    az(f"job stream --name {name}")
    az(f"job download --name {name} --download-path got-{name}")
    return Path(f"got-{name}/predictions.csv").read_text().splitlines()


def changed(az: Az, change: str) -> list[str]:
    """What the next job gives after an update."""
    az(f"batch-deployment update --name blue --endpoint-name digits {change} -o none")
    return scored(az, invoked(az))


def test_an_update_reaches_the_next_job_and_not_the_running_one(az: Az, gate: Gate) -> None:
    deploy(az)
    az(f"batch-deployment update -n blue -e digits --set environment_variables.GATE={gate.path} -o none")
    running = invoked(az)
    gate.await_run()
    no_gate = "--remove environment_variables.GATE"
    assert changed(az, f"{no_gate} --set code_configuration.code=./code2") == ["code-2 model-1 env-first old 7"]
    assert changed(az, "--set model=azureml:m@latest") == ["code-2 model-2 env-first old 7"]
    assert changed(az, "--set environment=azureml:second:1") == ["code-2 model-2 env-second old 7"]
    rows = changed(az, "--set environment_variables.WORD=new mini_batch_size=3")
    assert rows == [
        "code-2 model-2 env-second new 3",
        "code-2 model-2 env-second new 3",
        "code-2 model-2 env-second new 1",
    ]
    assert az(f"job show --name {running} --query status -o tsv").out == "Running\n"
    gate.open()
    assert scored(az, running) == ["code-1 model-1 env-first old 7"]


def test_an_edited_file_updates_the_deployment_as_a_whole(az: Az) -> None:
    deploy(az)
    changes = "tags.a=b description=Kept max_concurrency_per_instance=2"
    az(f"batch-deployment update -n blue -e digits --set {changes} -o none")
    text = DEPLOYMENT.replace("mini_batch_size: 100", "mini_batch_size: 4").replace("m:1", "m:2")
    Path("edited.yml").write_text(text + "description: Edited\n")
    az("batch-deployment update --file edited.yml --set error_threshold=2 -o none")
    shown = az("batch-deployment show -n blue -e digits").json
    assert (shown["mini_batch_size"], shown["error_threshold"], shown["description"]) == (4, 2, "Edited")
    assert (shown["tags"], shown["max_concurrency_per_instance"]) == ({}, 1)
    assert shown["model"].endswith("/models/m/versions/2")
    missing = az("batch-deployment update --file edited.yml --name red", code=1)
    assert missing.err.startswith("(ResourceNotFound)")
    assert az("batch-deployment list -e digits --query [].name -o tsv").out == "blue\n"


def test_values_of_a_deployment_are_set_added_removed_and_forced_to_be_text(az: Az) -> None:
    deploy(az)
    edits = "--set tags.n=null tags.owner=me retry_settings.max_retries=1 --add tags x=y --force-string"
    az(f"batch-deployment update -n blue -e digits {edits} -o none")
    shown = az("batch-deployment show -n blue -e digits").json
    assert shown["tags"] == {"n": "null", "owner": "me", "x": "y"}
    assert shown["retry_settings"] == {"max_retries": 1, "timeout": 3600}
    az("batch-deployment update -n blue -e digits --remove tags.n --remove environment_variables.WORD -o none")
    shown = az("batch-deployment show -n blue -e digits").json
    assert (shown["tags"], shown["environment_variables"]) == ({"owner": "me", "x": "y"}, {})
    for change, said in {
        "--set name=green": "names stay",
        "--set endpoint_name=letters": "names stay",
        "--set mini_batch_size=0": "mini_batch_size",
        "--set nonsense=1": "unknown key",
        "--set model=azureml:m:9": "no model m with version 9",
        "--set code_configuration.code=./nothing": "there is no folder",
        "--remove tags.nothing": "nothing of that name",
    }.items():
        before = az("batch-deployment show -n blue -e digits").out
        assert said in az(f"batch-deployment update -n blue -e digits {change}", code=1).err, change
        assert az("batch-deployment show -n blue -e digits").out == before


def test_the_action_of_a_deployment_changes_although_it_has_a_file_name(az: Az) -> None:
    deploy(az)
    az("batch-deployment update -n blue -e digits --set output_action=summary_only -o none")
    shown = az("batch-deployment show -n blue -e digits").json
    assert (shown["output_action"], shown.get("output_file_name")) == ("summary_only", None)
    both = "--set output_action=summary_only output_file_name=all.csv"
    assert "no output file to name" in az(f"batch-deployment update -n blue -e digits {both}", code=1).err
    az("batch-deployment update -n blue -e digits --set output_action=append_row output_file_name=all.csv -o none")
    assert az("batch-deployment show -n blue -e digits --query output_file_name -o tsv").out == "all.csv\n"


def test_what_is_required_is_changed_but_not_removed(az: Az) -> None:
    deploy(az)
    refused = az("batch-deployment update -n blue -e digits --remove compute", code=1)
    assert "compute: this is required; to change it: --set compute=<value>" in refused.err
    assert "--compute" not in refused.err


def test_the_same_code_is_registered_once(az: Az) -> None:
    deploy(az)
    before = az("code list").json
    az("batch-deployment create -f deployment.yml --name green -o none")
    assert az("code list").json == before
    Path("code/score.py").write_text(SCRIPT + "\n")
    az("batch-deployment create -f deployment.yml --name green -o none")
    assert len(az("code list").json) == len(before) + 1


def test_a_file_that_names_no_default_leaves_the_default_as_it_is(az: Az) -> None:
    deploy(az)
    Path("endpoint.yml").write_text("name: digits\ndescription: Two\n")
    az("batch-endpoint update --file endpoint.yml -o none")
    shown = az("batch-endpoint show -n digits").json
    assert (shown["description"], shown["defaults"]) == ("Two", {"deployment_name": "blue"})
    az("batch-endpoint update -n digits --set defaults=null -o none")
    assert az("batch-endpoint show -n digits").json["defaults"] == {}


def test_an_endpoint_that_is_overwritten_without_its_default_says_so(az: Az) -> None:
    deploy(az)
    told = az("batch-endpoint create -n digits --query defaults")
    assert told.json == {}
    assert "digits had the default deployment blue and has none now" in told.err
    assert "batch-endpoint update --name digits --set defaults.deployment_name=blue" in told.err
    assert az("batch-endpoint create -n digits").err == ""


def test_an_endpoint_is_updated_by_file_and_by_flags(az: Az) -> None:
    deploy(az)
    az("batch-deployment create -f deployment.yml --name green -o none")
    az("batch-endpoint update -n digits --set description=One tags.a=b --add tags c=d -o none")
    az("batch-endpoint update --name digits --defaults deployment_name=green --remove tags.a -o none")
    shown = az("batch-endpoint show -n digits").json
    assert (shown["description"], shown["tags"], shown["defaults"]) == ("One", {"c": "d"}, {"deployment_name": "green"})
    Path("endpoint.yml").write_text("name: digits\ndescription: Two\ndefaults:\n  deployment_name: blue\n")
    az("batch-endpoint update --file endpoint.yml --set tags.e=f -o none")
    shown = az("batch-endpoint show -n digits").json
    assert (shown["description"], shown["tags"], shown["defaults"]) == ("Two", {"e": "f"}, {"deployment_name": "blue"})
    for change, said in {
        "--set name=letters": "names stay",
        "--set defaults.deployment_name=red": "There is no deployment red",
        "--set auth_mode=key": "auth_mode: aad_token",
    }.items():
        assert said in az(f"batch-endpoint update -n digits {change}", code=1).err, change
    assert az("batch-endpoint update --file endpoint.yml --name letters", code=1).err.startswith("(ResourceNotFound)")
    assert az("batch-endpoint list --query [].name -o tsv").out == "digits\n"


def test_the_default_deployment_is_deleted_after_another_became_the_default(az: Az) -> None:
    deploy(az)
    assert "It is the only one" in az("batch-deployment delete -n blue -e digits --yes", code=1).err
    az("batch-deployment create -f deployment.yml --name green -o none")
    refused = az("batch-deployment delete -n blue -e digits --yes", code=1).err
    switch = "batch-endpoint update --name digits --set defaults.deployment_name=green"
    assert refused.startswith("(ResourceConflict)")
    assert switch in refused
    az(f"{switch} -o none")
    az("batch-deployment delete -n blue -e digits --yes")
    assert az("batch-deployment list -e digits --query [].name -o tsv").out == "green\n"


def test_deleting_an_endpoint_takes_its_deployments_and_keeps_its_jobs(az: Az) -> None:
    deploy(az)
    name = invoked(az)
    rows = scored(az, name)
    az("batch-endpoint delete -n digits --yes")
    assert az("batch-endpoint show -n digits", code=3).out == ""
    assert az("batch-deployment show -n blue -e digits", code=3).out == ""
    assert az("job list --query [].name -o tsv").out == f"{name}\n"
    assert az("batch-endpoint list-jobs -n digits --query [].name -o tsv").out == f"{name}\n"
    az(f"job download --name {name} --download-path again")
    assert Path("again/predictions.csv").read_text().splitlines() == rows
    az("batch-endpoint create -n digits -o none")
    assert az("batch-deployment list -e digits").json == []


def test_a_patch_changes_what_it_names(az: Az) -> None:
    deploy(az)
    before = az("batch-deployment show -n blue -e digits").json
    body = '{"tags": {"a": "b"}, "properties": {"MiniBatchSize": "7", "retrySettings": {"maxRetries": 0}}}'
    az(f"rest --method patch --url {before['id']} --body '{body}' -o none")
    after = az("batch-deployment show -n blue -e digits").json
    assert (after["mini_batch_size"], after["tags"], after["retry_settings"]["max_retries"]) == (7, {"a": "b"}, 0)
    assert (after["retry_settings"]["timeout"], after["model"]) == (3600, before["model"])


def test_what_is_deleted_and_archived_stays_with_the_job_that_has_it(az: Az, gate: Gate) -> None:
    deploy(az)
    az(f"batch-deployment update -n blue -e digits --set environment_variables.GATE={gate.path} -o none")
    az("data create --name d --path data -o none")
    running = az("batch-endpoint invoke -n digits --input azureml:d:1 --query name -o tsv").out.strip()
    gate.await_run()
    az("data delete --name d --yes")
    az("batch-endpoint delete -n digits --yes")
    for line in ("model delete --name m", "environment delete --name first", "environment delete --name second"):
        az(f"{line} --yes")
    assert az("model list --include-archived").json == az("data list --include-archived").json == []
    gate.open()
    assert scored(az, running) == ["code-1 model-1 env-first old 7"]
