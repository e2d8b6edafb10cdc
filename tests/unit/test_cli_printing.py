"""What commands print, character by character."""

import io
import json
from datetime import UTC, datetime

import pytest

from batchpoint.cli.output.printing import compiled, put, render, report, report_job
from batchpoint.cli.output.shapes import shaped
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Input
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint, EndpointDefaults
from batchpoint.entities.job import Job, JobError, JobSettings
from batchpoint.errors import Problem, ResourceNotFound, UserError, ValidationFailed

WORKSPACE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"
ENDPOINT = Endpoint(
    name="digits",
    id=f"{WORKSPACE}/batchEndpoints/digits",
    defaults=EndpointDefaults(deployment_name="blue"),
    provisioning_state="Succeeded",
    scoring_uri="http://127.0.0.1:8000/jobs",
)
ROWS = [
    {"name": "a", "ready": True, "tags": {"x": "y"}, "parts": [1, 2], "size": 3, "id": "/a"},
    {"name": "b", "ready": False, "tags": {}, "parts": [], "size": None, "id": "/b"},
]


def job() -> Job:
    return Job(
        name="batchjob-1",
        id=f"{WORKSPACE}/jobs/batchjob-1",
        endpoint_name="digits",
        deployment_name="blue",
        settings=JobSettings(code_path="/c", scoring_script="score.py", input=Input(path="/in"), output_folder="/out"),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def printed(value: object, style: str, query: str | None, capsys: pytest.CaptureFixture[str]) -> str:
    put(value, style, compiled(query))
    return capsys.readouterr().out


def test_json_is_pretty_sorted_and_one_key_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        printed(ENDPOINT, "json", None, capsys)
        == """\
{
  "auth_mode": "aad_token",
  "defaults": {
    "deployment_name": "blue"
  },
  "id": "WORKSPACE/batchEndpoints/digits",
  "name": "digits",
  "properties": {},
  "provisioning_state": "Succeeded",
  "resourceGroup": "rg",
  "scoring_uri": "http://127.0.0.1:8000/jobs",
  "tags": {}
}
""".replace("WORKSPACE", WORKSPACE)
    )


def test_tsv_prints_bare_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(ENDPOINT, "tsv", "name", capsys) == "digits\n"
    assert printed([ENDPOINT, ENDPOINT], "tsv", "[].name", capsys) == "digits\ndigits\n"
    assert printed([ENDPOINT], "tsv", "[].[name, defaults, auth_mode]", capsys) == "digits\t\taad_token\n"
    assert render(ROWS, "tsv") == "/a\ta\t2\ttrue\t3\t\n/b\tb\t0\tfalse\tNone\t"


def test_a_table_has_scalar_columns_only_and_begins_with_the_name() -> None:
    assert render(ROWS, "table") == "Name  Ready  Size\n----  -----  ----\na     true   3\nb     false"
    assert render("x", "table") == "Result\n------\nx"
    assert render([], "table") == ""


def test_a_table_shows_the_last_name_of_an_id() -> None:
    assert render([{"compute": f"azureml:{WORKSPACE}/computes/c1"}], "table") == "Compute\n-------\nc1"


def test_a_table_names_the_version_of_an_asset_with_its_name() -> None:
    assert render([{"model": f"azureml:{WORKSPACE}/models/svc/versions/3"}], "table") == "Model\n-----\nsvc:3"


def test_what_a_query_spells_out_is_printed_whole_and_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    query = "[].{size: size, id: id, name: name}"
    assert printed(ROWS, "tsv", query, capsys) == "3\t/a\ta\nNone\t/b\tb\n"
    assert printed(ROWS, "table", query, capsys) == "Size  Id  Name\n----  --  ----\n3     /a  a\n      /b  b\n"
    assert printed(ROWS[0], "tsv", "@", capsys) == "/a\ta\t2\ttrue\t3\t\n"


def test_a_query_that_does_not_fit_the_result_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"--query .*length.*null.*was carried out"):
        printed(ROWS, "json", "length(name)", capsys)


def test_yaml_is_sorted_block_style() -> None:
    assert render({"b": [1], "a": "ä"}, "yaml") == "a: ä\nb:\n- 1"
    assert render("text", "yaml") == "text"


def test_none_and_a_query_without_result_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(ENDPOINT, "none", None, capsys) == ""
    assert printed(ENDPOINT, "json", "nothing_here", capsys) == ""
    assert printed(None, "json", None, capsys) == ""
    assert printed([], "json", None, capsys) == "[]\n"


def test_colours_stay_away_from_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed({"a": 1}, "jsonc", None, capsys) == '{\n  "a": 1\n}\n'


def test_what_stdout_cannot_spell_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stdout)
    put("ä", "tsv")
    stdout.flush()
    assert stdout.buffer.getvalue() == b"\\xe4\n"  # type: ignore[attr-defined]


def test_the_studio_address_of_a_job_answers_to_all_its_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = {
        printed(job(), "tsv", f"{path}.Studio.endpoint", capsys)
        for path in ("services", "interaction_endpoints", "interactionEndpoints")
    }
    assert len(addresses) == 1
    assert "/runs/batchjob-1" in addresses.pop()


def test_a_job_is_printed_flat_with_its_settings() -> None:
    shape = shaped(job())
    assert (shape["status"], shape["type"], shape["experiment_name"]) == ("Preparing", "pipeline", "digits")
    assert shape["id"] == f"azureml:{WORKSPACE}/jobs/batchjob-1"
    assert shape["started_at"] == "2026-01-01T00:00:00+00:00"
    assert shape["settings"]["output_folder"] == "/out"
    assert shape["resourceGroup"] == "rg"


def test_a_deployment_is_printed_as_the_service_does() -> None:
    deployment = Deployment(
        name="blue",
        endpoint_name="digits",
        model=f"{WORKSPACE}/models/m/versions/1",
        compute=f"{WORKSPACE}/computes/batch-cluster",
        code_configuration=CodeConfiguration(code=f"{WORKSPACE}/codes/c/versions/1", scoring_script="score.py"),
        id=f"{WORKSPACE}/batchEndpoints/digits/deployments/blue",
    )
    shape = shaped(deployment)
    assert shape["model"] == f"azureml:{WORKSPACE}/models/m/versions/1"
    assert shape["code_configuration"]["code"] == f"azureml:{WORKSPACE}/codes/c/versions/1"
    assert (shape["logging_level"], shape["output_file_name"]) == ("Info", "predictions.csv")
    assert shape["id"] == f"{WORKSPACE}/batchEndpoints/digits/deployments/blue"
    assert shape["retry_settings"] == {"max_retries": 3, "timeout": 30}
    summary = shaped(deployment.model_copy(update={"output_action": "summary_only"}))
    assert "output_file_name" not in summary


def test_a_compute_is_printed_without_what_nobody_set() -> None:
    shape = shaped(Compute(name="batch-cluster"))
    assert "network_settings" not in shape
    assert json.dumps(shape, sort_keys=True) == (
        '{"enable_node_public_ip": true, "idle_time_before_scale_down": 120, "max_instances": 4, "min_instances": 0, '
        '"name": "batch-cluster", "size": "Standard_DS3_v2", "tags": {}, "tier": "dedicated", "type": "amlcompute"}'
    )


def test_an_error_names_its_code_and_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    report(ResourceNotFound("No endpoint x."))
    assert capsys.readouterr().err == (
        "(ResourceNotFound) No endpoint x.\nCode: ResourceNotFound\nMessage: No endpoint x.\n"
    )


def test_every_problem_of_a_file_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    problems = (Problem("name", "Unknown.", 3), Problem("auth_mode", "Wrong."))
    report(ValidationFailed("BatchEndpointSchema", problems, source="e.yml"))
    shown = capsys.readouterr().err
    assert shown.startswith("(ValidationError) 2 problems in e.yml (BatchEndpointSchema):\n  line 3: name: Unknown.\n")
    assert shown.count("Unknown.") == 1


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "Traceback:\n  line 1\nValueError: x\n\ninit() failed.",
            "Traceback:\n  line 1\nValueError: x\n\n(C) init() failed.\n",
        ),
        ("Traceback:\n  line 1\nValueError: x\n", "Traceback:\n  line 1\nValueError: x\n\n(C) ValueError: x\n"),
        ("No solution found\nx is missing\nIt failed.", "No solution found\nx is missing\n\n(C) It failed.\n"),
        ("The input has no files.", "(C) The input has no files.\n"),
    ],
)
def test_a_failed_job_shows_the_traceback_then_one_line(
    message: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report_job(JobError(code="C", message=message))
    assert capsys.readouterr().err == shown
