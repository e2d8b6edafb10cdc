"""The official SDK, unmodified, from an empty home to downloaded predictions; each session is a process of its own."""

from pathlib import Path
from typing import Any

import pytest

from tests.compat.conftest import FILES, ROWS, Sdk

#: More than the SDK sends in one piece.
LARGE_BYTES = 70_000_000


@pytest.fixture(scope="module")
def deployed(sdk: Sdk) -> dict[str, Any]:
    with (sdk.work / "large.bin").open("wb") as file:
        file.truncate(LARGE_BYTES)
    return sdk.session("deploy")


@pytest.fixture(scope="module")
def invoked(sdk: Sdk, deployed: dict[str, Any], website: str) -> dict[str, Any]:
    return sdk.session("invoke", website, deployed["invoked"][0])


@pytest.fixture(scope="module")
def canceled(sdk: Sdk, deployed: dict[str, Any]) -> dict[str, Any]:
    return sdk.session("cancel")


@pytest.fixture(scope="module")
def refused(sdk: Sdk, deployed: dict[str, Any]) -> dict[str, Any]:
    return sdk.session("refusals")


@pytest.fixture(scope="module")
def from_files(sdk: Sdk, deployed: dict[str, Any]) -> dict[str, Any]:
    return sdk.session("files")


def rows_in(folder: Path, name: str = "predictions.csv") -> str:
    return (folder / name).read_text()


def test_workspace_compute_and_datastore_are_there(deployed: dict[str, Any]) -> None:
    assert deployed["workspace"] == ["default", "local", True]
    assert "default" in deployed["workspaces"]
    assert deployed["default_datastore"] == "workspaceblobstore"
    assert deployed["compute"] == ["amlcompute", "Succeeded", 4]
    assert deployed["computes"] == ["batch-cluster"]


def test_folders_and_files_are_uploaded_as_assets_with_versions_of_their_own(deployed: dict[str, Any]) -> None:
    assert deployed["models"] == ["1", "2", "1", "1"]
    assert deployed["data"] == ["1", "2", "1"]
    assert deployed["latest"] == ["2", "2"]


def test_what_is_uploaded_in_blocks_arrives_whole(sdk: Sdk, deployed: dict[str, Any]) -> None:
    found = list((sdk.work.parent / "home").rglob("large.bin"))
    assert [path.stat().st_size for path in found] == [LARGE_BYTES]


def test_an_environment_with_other_content_gets_the_next_version(deployed: dict[str, Any]) -> None:
    assert deployed["environment"] == deployed["environment_again"] == "1"
    assert deployed["environment_other"] == "2"


def test_an_endpoint_and_its_default_deployment_read_back(deployed: dict[str, Any]) -> None:
    assert deployed["endpoint"] == ["blue", "Adds a hundred", {"team": "vision"}, "Succeeded"]
    assert deployed["deployment"] == ["blue", "digits", "predictions.csv", "Succeeded"]


def test_a_job_is_streamed_to_its_end(deployed: dict[str, Any]) -> None:
    name, status = deployed["invoked"]
    assert status == "Preparing"
    assert f"RunId: {name}\nWeb View: https://localhost:" in deployed["streamed"]
    assert "Streaming logs/azureml/executionlogs.txt\n" in deployed["streamed"]
    assert f"Completed: {FILES} of {FILES} items scored." in deployed["streamed"]
    assert "Execution Summary" in deployed["streamed"]


def test_a_job_is_a_pipeline_of_one_step(deployed: dict[str, Any]) -> None:
    name = deployed["invoked"][0]
    tags = {"azureml.batchrun": "true", "azureml.deploymentname": "blue"}
    assert deployed["job"] == ["Completed", "pipeline", "digits", tags, ["Studio", "Tracking"]]
    assert deployed["studio"].startswith("https://localhost:") and f"/runs/{name}?wsid=" in deployed["studio"]
    assert [one[1:] for one in deployed["children"]] == [["batchscoring", "Completed"]]
    assert deployed["child"] == ["Completed", "batchscoring"]
    assert deployed["services"] is None


def test_job_and_step_are_downloaded_row_by_row(sdk: Sdk, deployed: dict[str, Any]) -> None:
    assert rows_in(sdk.work / "parent") == ROWS
    assert rows_in(sdk.work / "child" / "named-outputs" / "score") == ROWS
    assert rows_in(sdk.work / "everything" / "named-outputs" / "score") == ROWS
    log = (sdk.work / "logs" / "artifacts" / "user_logs" / "std_log_0.txt").read_text()
    assert f"Completed: {FILES} of {FILES} items scored." in log
    assert (sdk.work / "everything" / "artifacts" / "logs" / "job_result.txt").is_file()


@pytest.mark.parametrize(
    "how", ["name_and_version", "latest", "asset_id", "short_uri", "long_uri", "website", "file", "local_file"]
)
def test_an_input_is_found_however_it_is_written(sdk: Sdk, invoked: dict[str, Any], how: str) -> None:
    assert invoked["statuses"][how] == "Completed"
    expected = "3.txt: 103\n" if "file" in how else ROWS
    assert rows_in(sdk.work / "out" / how) == expected


def test_an_invocation_overrides_the_deployment(sdk: Sdk, invoked: dict[str, Any]) -> None:
    assert invoked["statuses"]["overridden"] == "Completed"
    assert invoked["overridden"] == ["2", "azureml://datastores/workspaceblobstore/paths/mine/own.csv"]
    assert rows_in(sdk.work / "out" / "overridden", "own.csv") == ROWS
    assert rows_in(sdk.work / "out" / "output_dataset", "second.csv") == ROWS
    # The other job has written into the same folder: it is not downloaded with this one.
    assert [path.name for path in (sdk.work / "out" / "output_dataset").iterdir()] == ["second.csv"]


def test_a_job_is_canceled_and_listed_with_its_deployment(canceled: dict[str, Any]) -> None:
    name = canceled["job"]
    assert canceled["deployment"] == [1, {"SLEEP_S": "60"}]
    assert canceled["deployments"] == ["blue", "slow"]
    assert canceled["early_download"][0] == "JobException"
    assert canceled["status"] == "Canceled"
    assert canceled["of_deployment"] == [[name, "Canceled"]]
    assert canceled["of_endpoint"][0] == canceled["of_workspace"][0] == name
    assert len(canceled["of_endpoint"]) > 1


def test_a_job_is_archived_restored_and_changed(canceled: dict[str, Any]) -> None:
    assert canceled["archived"] and canceled["restored"]
    display_name, tags = canceled["updated"]
    assert (display_name, tags["why"], tags["azureml.batchrun"]) == ("Cut short", "a test", "true")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("model", "There is no model nothing"),
        ("data", "There is no data asset nothing"),
        ("endpoint", "There is no endpoint nothing in workspace default"),
        ("deployment", "Deployment name nothing not found for this endpoint; deployments of digits: blue"),
        ("job", "There is no job nothing in workspace default"),
        ("compute", "There is no compute nothing in workspace default"),
        ("workspace", "nothing"),
        ("version", "There is no data asset numbers with version 77"),
        ("no_default", "No deployment exists for this endpoint"),
        ("model_of_deployment", "There is no model offset with version 77"),
    ],
)
def test_what_is_not_there_raises_our_sentence_in_their_exception(
    refused: dict[str, Any], what: str, sentence: str
) -> None:
    kind, message = refused[what]
    assert kind in ("ResourceNotFoundError", "HttpResponseError")
    assert sentence in message


def test_a_default_deployment_is_not_deleted(refused: dict[str, Any]) -> None:
    assert refused["default_deployment"][0] in ("HttpResponseError", "ResourceExistsError")
    assert "blue" in refused["default_deployment"][1]


def test_a_deployment_that_is_not_there_is_refused_by_the_client(refused: dict[str, Any]) -> None:
    assert refused["deployment_invoked"][0] == "ValidationException"
    assert "nothing" in refused["deployment_invoked"][1]


def test_entities_come_from_files_of_both_forms(sdk: Sdk, from_files: dict[str, Any]) -> None:
    assert (from_files["flat"], from_files["nested"]) == (4, 5)
    # The loader of this version knows no settings; the one beside it does.
    assert from_files["refused"] == "ValidationError"
    assert from_files["status"] == "Completed"
    assert rows_in(sdk.work / "out" / "flat") == ROWS


def test_a_failed_job_raises_with_the_exception_of_the_script(from_files: dict[str, Any]) -> None:
    kind, message = from_files["failed"]
    assert (kind, from_files["failed_status"]) == ("JobException", "Failed")
    assert "invalid literal for int" in message


def test_a_job_with_a_failed_file_completes_and_warns(from_files: dict[str, Any]) -> None:
    assert from_files["warned_status"] == "Completed"
    assert "Warnings:\n1 item failed: " in from_files["warned"]


def test_endpoints_go_with_their_deployments_and_jobs_stay(from_files: dict[str, Any]) -> None:
    assert from_files["left"] == ["flat"]
    assert "from-files" not in from_files["endpoints"]
    assert from_files["job_stays"] == "Completed"


def test_a_workspace_is_made_and_sees_nothing_of_others(from_files: dict[str, Any]) -> None:
    assert from_files["second"] == ["second", "Another", ["default", "second"]]
    assert from_files["theirs"] == [["theirs"], []]
    assert from_files["ours"]
    assert from_files["workspaces"] == ["default"]


def test_a_notebook_of_somebody_with_a_role_runs_from_top_to_bottom(sdk: Sdk) -> None:
    seen = sdk.speaking_for("notebook", "Contributor").session("notebook")
    assert seen["predictions"] == seen["own"] == ROWS
    assert seen["is_gone"]
