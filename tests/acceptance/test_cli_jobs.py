"""Jobs after they were started: archived, changed, seen through their one step, and downloaded in all ways."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.acceptance.command_line import Az, Gate, invoked, with_deployment
from tests.acceptance.typed import ROWS


@pytest.fixture
def ended(az: Az) -> str:
    """A job that has completed."""
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    return name


def names(az: Az, flags: str = "") -> list[str]:
    return az(f"job list {flags} --query [].name -o tsv").out.split()


def test_an_archived_job_is_hidden_from_lists_until_it_is_restored(az: Az, ended: str) -> None:
    other = invoked(az)
    az(f"job stream --name {other}")
    assert az(f"job archive --name {ended}").out == ""
    assert names(az) == [other]
    assert names(az, "--archived-only") == [ended]
    assert names(az, "--include-archived") == [other, ended]
    assert az("batch-endpoint list-jobs -n digits --query [].name -o tsv").out.split() == [other]
    assert az(f"job show --name {ended} --query status -o tsv").out == "Completed\n"
    assert az(f"job restore --name {ended}").out == ""
    assert names(az, "--archived-only") == []
    assert names(az, "--max-results 1") == [other]
    assert "only the latest 1 jobs" in az("job list -r 1").err
    assert names(az, "-r 1 --all-results") == [other, ended]


@pytest.mark.parametrize("verb", ["archive", "restore", "cancel", "stream", "download", "update --set tags.a=b"])
def test_a_job_that_is_not_there_is_named_with_the_way_to_see_those_that_are(verb: str, az: Az) -> None:
    verb, _, flags = verb.partition(" ")
    assert "(ResourceNotFound) There is no job nope" in az(f"job {verb} --name nope {flags}", code=1).err


def test_jobs_of_an_endpoint_that_never_was_are_no_empty_list(az: Az) -> None:
    assert "There is no endpoint nope" in az("batch-endpoint list-jobs -n nope", code=1).err
    az("batch-endpoint create -n digits -o none")
    assert az("batch-endpoint list-jobs -n digits").json == []
    assert "Deployment name blue not found" in az("batch-deployment list-jobs -e digits -n blue", code=1).err


def test_jobs_stay_listed_when_their_deployment_and_endpoint_are_gone(az: Az, ended: str) -> None:
    az("batch-endpoint delete -n digits --yes")
    for line in ("batch-endpoint list-jobs -n digits", "batch-deployment list-jobs -e digits -n blue"):
        assert [job["name"] for job in az(line).json] == [ended]
    az(f"job archive --name {ended}")
    assert az("batch-endpoint list-jobs -n digits").json == []


def test_a_count_larger_than_any_list_is_no_complaint(az: Az) -> None:
    assert az(f"job list --max-results {'9' * 30}").json == []


def test_a_download_into_what_is_no_folder_says_so(az: Az, ended: str) -> None:
    refused = az(f"job download --name {ended} --download-path endpoint.yml", code=1)
    assert "endpoint.yml is a file" in refused.err and "--download-path" in refused.err


def test_only_a_job_that_has_ended_is_archived(az: Az) -> None:
    with_deployment(az)
    gate = Path("gate").absolute()
    script = Path("code/score.py")
    waiting = f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return ["
    script.write_text(script.read_text().replace("    return [", waiting))
    az("batch-deployment create -f deployment.yml --set retry_settings.timeout=600 -o none")
    name = invoked(az)
    refused = az(f"job archive --name {name}", code=1)
    assert "only a job that has ended can be archived" in refused.err
    assert names(az) == [name]
    az(f"job update --name {name} --set tags.seen=yes -o none")
    gate.touch()
    az(f"job stream --name {name}")
    shown = az(f"job show --name {name}").json
    assert (shown["status"], shown["tags"]["seen"]) == ("Completed", "yes")
    az(f"job archive --name {name}")
    assert names(az) == []


def test_tags_properties_display_name_and_description_of_a_job_change(az: Az, ended: str) -> None:
    changes = "--set display_name=Nice description=Mine tags.a=b properties.owner=me --add tags c=d"
    az(f"job update --name {ended} {changes} -o none")
    shown = az(f"job show --name {ended}").json
    assert (shown["display_name"], shown["description"], shown["properties"]["owner"]) == ("Nice", "Mine", "me")
    assert shown["tags"] == {"a": "b", "c": "d", "azureml.batchrun": "true", "azureml.deploymentname": "blue"}
    web = az(f"job update --name {ended} --remove tags.a --remove description --web")
    assert (web.json["tags"].keys() & {"a", "c"}, web.json.get("description")) == ({"c"}, None)
    assert "Web View: http" in web.err
    assert "properties" in shown
    none = az(f"job update --name {ended} --remove tags").json["tags"]
    assert none == {"azureml.batchrun": "true", "azureml.deploymentname": "blue"}


STUCK = {
    "--set status=Failed": "Allowed here: description, display_name, properties, tags",
    "--set settings.mini_batch_size=1": "settings",
    "--set experiment_name=other": "experiment_name",
    "--remove tags.azureml.batchrun": "there is nothing of that name",
    """--remove 'tags["azureml.batchrun"]'""": "The tag azureml.batchrun",
    """--set 'properties["azureml.endpointname"]=other'""": "The property azureml.endpointname",
    "--remove properties.runType": "The property runType",
    "--set tags.a=": "a tag needs a value",
}


def test_everything_else_of_a_job_stays(az: Az, ended: str) -> None:
    before = az(f"job show --name {ended}").out
    for change, said in STUCK.items():
        assert said in az(f"job update --name {ended} {change}", code=1).err, change
    assert az(f"job show --name {ended}").out == before


def test_a_job_has_one_step_that_follows_it(az: Az, ended: str) -> None:
    step = az(f'job list --parent-job-name {ended} --query "[].name" -o tsv').out.strip()
    assert step != ended
    shown = az(f"job show --name {step}").json
    assert (shown["name"], shown["display_name"], shown["status"]) == (step, "batchscoring", "Completed")
    assert shown["parent_job_name"] == ended
    assert list(shown["outputs"]) == ["score"]
    assert az(f"job show --name {ended} --query jobs.batchscoring.name -o tsv").out.strip() == step
    assert names(az) == [ended]
    assert az(f"job list --parent-job-name {step}").json == []
    for line in ("stream", "cancel", "archive", "restore", "update --set tags.a=b", "delete --yes"):
        verb, _, flags = line.partition(" ")
        refused = az(f"job {verb} --name {step} {flags}", code=1)
        assert f"--name {ended}" in refused.err, line
    az(f"job download --name {step} --output-name score --download-path got")
    assert Path("got/named-outputs/score/predictions.csv").read_text() == ROWS
    assert "its one output is score" in az(f"job download --name {step} --output-name other", code=1).err
    assert az("job list --parent-job-name nothing", code=1).err.startswith("(ResourceNotFound)")
    assert az("job show --name nothing-batchscoring", code=3).out == ""
    taken = az(f"batch-endpoint invoke -n digits --input data --job-name {step}", code=1)
    assert "belong to the steps of jobs" in taken.err


def test_the_properties_that_clients_look_for_are_there(az: Az, ended: str) -> None:
    shown = az(f"job show --name {ended}").json
    assert (shown["tags"]["azureml.batchrun"], shown["tags"]["azureml.deploymentname"]) == ("true", "blue")
    properties = shown["properties"]
    assert properties["azureml.defaultComputeName"] == "cluster"
    assert properties["azureml.defaultDataStoreName"] == "workspaceblobstore"
    assert (properties["azureml.endpointname"], properties["azureml.deploymentname"]) == ("digits", "blue")
    assert (properties["runType"], properties["azureml.runLineageType"]) == ("HTTP", "batchDeployment")
    execution = json.loads(properties["azureml.pipelines.stages"])["Execution"]
    assert execution["Status"] == "Completed"
    assert execution["StartTime"] < execution["EndTime"]


def test_everything_of_a_job_is_downloaded_with_its_logs(az: Az, ended: str) -> None:
    az(f"job download --name {ended} --all --include-children true --download-path got")
    assert Path("got/predictions.csv").read_text() == ROWS
    assert "Completed" in Path("got/artifacts/logs/azureml/executionlogs.txt").read_text()


def test_the_services_of_a_job_are_its_pages(az: Az, ended: str) -> None:
    services = az(f"job show-services --name {ended}").json
    assert services["Studio"]["endpoint"] == az(f"job show -n {ended}").json["services"]["Studio"]["endpoint"]


def test_partial_results_of_a_failed_job_never_get_the_name_of_its_output(az: Az) -> None:
    with_deployment(az)
    Path("data/8.txt").write_text("no number")
    name = invoked(az, "--set error_threshold=0 --mini-batch-size 1")
    az(f"job stream --name {name}", code=1)
    told = az(f"job download --name {name}", code=1).err
    assert "published no output" in told
    assert f"job download --name {name} --partial" in told
    az(f"job download --name {name} --partial --download-path got")
    partial = ["predictions.partial.csv", "predictions.partial.csv.missing.txt"]
    assert sorted(os.listdir("got")) == ["failed_items.jsonl", *partial]
    rows = Path("got/predictions.partial.csv").read_text()
    assert rows == "".join(sorted(rows.splitlines(keepends=True)))
    assert set(rows.splitlines()) <= set(ROWS.splitlines())
    note = Path("got/predictions.partial.csv.missing.txt").read_text()
    assert f"Partial results of job {name}" in note
    assert "of 8 mini-batches are done" in note
    az(f"job download --name {name} --all --download-path logs")
    assert Path("logs/artifacts/logs/azureml/executionlogs.txt").is_file()
    assert not Path("logs/predictions.csv").exists()


def test_partial_results_name_a_mini_batch_that_was_taken_apart_and_is_there_in_part(az: Az) -> None:
    with_deployment(az)
    Path("data/0.txt").write_text("no number")
    settings = "error_threshold=0 max_concurrency_per_instance=1 retry_settings.max_retries=1"
    name = invoked(az, f"--set {settings} --mini-batch-size 4")
    az(f"job stream --name {name}", code=1)
    az(f"job download --name {name} --partial")
    assert Path("predictions.partial.csv").read_text() == "".join(ROWS.splitlines(keepends=True)[2:])
    note = Path("predictions.partial.csv.missing.txt").read_text()
    assert "1 of 2 mini-batches are done; 5 of 7 items were scored, 1 failed; 5 rows" in note
    assert "are there in part (counted from 0): 0\n" in note
    assert "with items that failed (counted from 0): 0\n" in note
    assert "missing (counted from 0): none\n" in note


def test_partial_results_name_a_mini_batch_that_got_fewer_results_than_items(az: Az) -> None:
    script = Path("code/score.py")
    script.write_text(
        script.read_text().replace(" in mini_batch]", " in mini_batch if '0' not in os.path.basename(path)]")
    )
    with_deployment(az)
    name = invoked(az, "--set error_threshold=0 max_concurrency_per_instance=1 --mini-batch-size 4")
    az(f"job stream --name {name}", code=1)
    az(f"job download --name {name} --partial")
    note = Path("predictions.partial.csv.missing.txt").read_text()
    assert "with items that failed (counted from 0): 0\n" in note, note


def test_partial_results_of_a_cancelled_job_say_what_is_missing(az: Az, gate: Gate) -> None:
    with_deployment(az)
    script = Path("code/score.py")
    waiting = (
        "    if mini_batch[0].endswith('6.txt'):\n"
        f"        open('{gate.path}.in', 'w').close()\n"
        f"        open('{gate.path}.out').close()\n"
        "    return ["
    )
    script.write_text(script.read_text().replace("    return [", waiting))
    settings = "retry_settings.timeout=600 mini_batch_size=1 max_concurrency_per_instance=1"
    az(f"batch-deployment create -f deployment.yml --set {settings} -o none")
    name = invoked(az)
    gate.await_run()
    deadline = time.monotonic() + 60
    while az(f"job show -n {name} --query progress.mini_batches_done -o tsv").out != "6\n":
        assert time.monotonic() < deadline
    assert "Running" in az(f"job download --name {name} --partial", code=1).err
    az(f"job cancel --name {name}")
    az(f"job stream --name {name}")
    az(f"job download --name {name} --partial")
    assert Path("predictions.partial.csv").read_text() == "".join(ROWS.splitlines(keepends=True)[:6])
    note = Path("predictions.partial.csv.missing.txt").read_text()
    assert "6 of 7 mini-batches are done; 6 of 7 items were scored, 0 failed; 6 rows" in note
    assert "missing (counted from 0): 6\n" in note
    assert not Path("predictions.csv").exists()


def test_partial_results_are_those_of_a_job_that_did_not_complete(az: Az, ended: str) -> None:
    assert "without --partial" in az(f"job download --name {ended} --partial", code=1).err
    assert "--partial and --all" in az(f"job download --name {ended} --partial --all", code=2).err
    assert not Path("predictions.partial.csv").exists()


def test_partial_results_leave_out_what_is_no_longer_what_was_scored(az: Az, home: Path) -> None:
    with_deployment(az)
    Path("data/8.txt").write_text("no number")
    name = invoked(az, "--set error_threshold=0 --mini-batch-size 1")
    az(f"job stream --name {name}", code=1)
    for segment in (home / "jobs" / name / "seg").iterdir():
        segment.write_bytes(segment.read_bytes().replace(b":", b";"))
    refused = az(f"job download --name {name} --partial", code=1)
    assert "had scored nothing" in refused.err
    assert not Path("predictions.partial.csv").exists()


def test_jobs_of_other_kinds_are_not_offered(az: Az) -> None:
    for line in ("create --file p.yml --stream", "validate --file p.yml", "connect-ssh --name j --node-index 0"):
        refused = az(f"job {line}", code=1)
        assert refused.err.startswith("(NotSupported)"), line
        assert "invoke" in refused.err or "job stream" in refused.err
