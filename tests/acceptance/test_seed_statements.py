"""Statements of the article that no other test shows from end to end, each typed as a user would."""

from pathlib import Path

import pytest

from tests.acceptance.typed import DEPLOYMENT, ROWS, SCORE, Type, deploy

INVOKE = "batch-endpoint invoke -n digits --input data"


def scored(typed: Type, flags: str = "", folder: str = "got") -> str:
    """The rows of a job that has run to its end."""
    typed(f"{INVOKE} {flags} --output-dir {folder} -o none")
    return Path(folder, "predictions.csv").read_text()


def test_a_new_deployment_is_tried_without_disturbing_anybody_and_then_made_the_default(typed: Type) -> None:
    deploy(typed)
    Path("model/offset.txt").write_text("200")
    typed("batch-deployment create -f deployment.yml --name green -o none")
    assert typed("batch-endpoint show -n digits --query defaults.deployment_name -o tsv").out == "blue\n"
    assert scored(typed, "-d green", "tried") == ROWS.replace(": 1", ": 2")
    assert scored(typed, folder="before") == ROWS
    typed("batch-endpoint update -n digits --defaults deployment_name=green -o none")
    assert scored(typed, folder="after") == ROWS.replace(": 1", ": 2")


def test_workspace_and_group_of_the_line_win_over_the_defaults_in_any_unambiguous_spelling(typed: Type) -> None:
    typed("workspace create --name one -o none")
    typed("workspace create --name two -o none")
    typed("configure --defaults workspace=two")
    typed("batch-endpoint create -n digits --workspace one -o none")
    assert typed("batch-endpoint list -w one --query [].name -o tsv").out == "digits\n"
    assert typed("batch-endpoint list").json == []
    assert "/workspaces/one/" in typed("batch-endpoint show -n digits --workspace=one --query id -o tsv").out
    assert "/resourceGroups/default/" in typed("batch-endpoint show -n digits --workspace=one --query id -o tsv").out


def test_a_model_in_place_is_registered_and_a_registered_one_gives_the_same_rows(typed: Type) -> None:
    deploy(typed)
    generated = typed("batch-deployment show -n blue -e digits --query model -o tsv").out.strip()
    name, version = generated.rpartition("/models/")[2].split("/versions/")
    assert (len(name), version) == (64, "1"), "named by its content"
    assert typed(f"model show -n {name} -v 1 --query path -o tsv").out.strip().endswith("/model/")
    typed("model create --name offsets --path model -o none")
    typed("batch-deployment create -f deployment.yml --name green --set model=azureml:offsets:1 -o none")
    assert scored(typed, "-d green", "by_name") == scored(typed, "-d blue", "in_place") == ROWS


def test_an_environment_in_place_is_registered_and_a_registered_one_is_named(typed: Type) -> None:
    Path("conda.yml").write_text("dependencies:\n  - python>=3.11\n  - pip\n")
    block = "environment: {image: some/image, conda_file: conda.yml}\n"
    Path("deployment.yml").write_text(DEPLOYMENT + block)
    deploy(typed)
    assert typed("environment list --query [].name -o tsv").out == "CliV2AnonymousEnvironment\n"
    typed("environment create -n plain -v 3 --image some/image --conda-file conda.yml -o none")
    named = "batch-deployment create -f deployment.yml --name green --set environment=azureml:plain:3"
    assert typed(f"{named} --query environment -o tsv").out.strip().endswith("/environments/plain/versions/3")
    assert scored(typed, "-d green") == ROWS


def test_init_runs_once_in_each_process_and_run_once_for_each_mini_batch(typed: Type) -> None:
    calls = Path("calls.txt").absolute()
    noted = SCORE.replace("    global offset", "    global offset\n    note('init')").replace(
        "    time.sleep", "    note('run %d' % len(mini_batch))\n    time.sleep"
    )
    noted += (
        f"\ndef note(text):\n    with open({str(calls)!r}, 'a') as file:\n"
        "        file.write('%d %s\\n' % (os.getpid(), text))\n"
    )
    Path("code/score.py").write_text(noted)
    deploy(typed)
    assert scored(typed, "--mini-batch-size 3") == ROWS
    said = [line.split(" ", 1) for line in calls.read_text().splitlines()]
    processes = {pid for pid, _ in said}
    assert sorted(pid for pid, text in said if text == "init") == sorted(processes)
    assert sorted(text for _, text in said if text != "init") == ["run 1", "run 3", "run 3"]


def test_the_output_lies_by_default_in_the_default_datastore_under_the_name_of_the_job(typed: Type, home: Path) -> None:
    deploy(typed)
    job = typed(f"{INVOKE} --wait").json
    assert (
        job["outputs"]["score"]["path"] == f"azureml://datastores/workspaceblobstore/paths/azureml/{job['name']}/score/"
    )
    folder = home / "datastores" / "workspaceblobstore" / "azureml" / job["name"] / "score"
    assert (folder / "predictions.csv").read_text() == ROWS


def test_a_registered_dataset_is_scored_by_its_name_and_version(typed: Type) -> None:
    deploy(typed)
    typed("dataset create --name mnist --version 2 --local-path data -o none")
    typed("batch-endpoint invoke -n digits --input-dataset azureml:mnist:2 --output-dir got -o none")
    assert Path("got/predictions.csv").read_text() == ROWS


def test_a_local_path_is_registered_under_a_generated_name(typed: Type) -> None:
    deploy(typed)
    typed("batch-endpoint invoke -n digits --input-local-path data --output-dir got -o none")
    assert Path("got/predictions.csv").read_text() == ROWS
    (asset,) = typed("data list").json
    assert asset["name"].startswith("input-")
    path = typed(f"data show -n {asset['name']} -v 1 --query path -o tsv").out.strip()
    assert path == str(Path("data").absolute()), "read where it is: client and server share a home"


@pytest.mark.parametrize(("size", "mini_batches"), [(1, "7"), (3, "3"), (7, "1"), (100, "1")])
def test_files_and_size_make_the_number_of_mini_batches(size: int, mini_batches: str, typed: Type) -> None:
    deploy(typed)
    count = 'properties."batchpoint.mini_batches"'
    assert typed(f"{INVOKE} --mini-batch-size {size} --wait --query '{count}' -o tsv").out.strip() == mini_batches


def test_tries_time_and_threshold_are_overridden_by_their_bare_names(typed: Type) -> None:
    deploy(typed)
    sets = "--set max_retries=1 timeout=9 error_threshold=5 --set output_file_name=mine.csv"
    settings = typed(f"{INVOKE} {sets} --wait --query settings").json
    told = [settings[key] for key in ("max_retries", "timeout_s", "error_threshold", "output_file_name")]
    assert told == [1, 9, 5, "mine.csv"]
    kept = typed("batch-deployment show -n blue -e digits").json
    assert (kept["retry_settings"], kept["error_threshold"]) == ({"max_retries": 3, "timeout": 30}, -1)
