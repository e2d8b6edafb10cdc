"""``explain`` and ``schema``, and where other commands point to them."""

import json
from types import SimpleNamespace

import pytest

from batchpoint.cli.__main__ import main
from batchpoint.cli.commands.jobs.jobs import show
from batchpoint.cli.completion import answer
from batchpoint.cli.output.printing import report, report_job
from batchpoint.entities import schemas
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobError, JobSettings
from batchpoint.errors import ResourceNotFound, StoreUnavailable
from batchpoint.explanations import explanations


def test_explain_prints_the_section_of_a_code_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "minibatchTIMEOUT"]) == 0
    printed = capsys.readouterr().out
    found = explanations()["MiniBatchTimeout"]
    words = " ".join(printed.split())
    assert printed.startswith("MiniBatchTimeout: a mini-batch fails\n")
    for sentence in (found.means, *found.causes, *found.remedies, found.example):
        assert sentence in words.replace(" - ", " ")


def test_explain_alone_lists_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(explanations())


def test_explain_suggests_a_code_that_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "MinibatchTimedOut"]) == 1
    assert "Did you mean MiniBatchTimeout?" in capsys.readouterr().err


def test_schema_prints_one_and_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "batchdeployment.schema.json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(schemas.text_of("batchDeployment"))
    assert main(["schema"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == schemas.names()


def test_schema_names_all_there_are_when_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "pipelineJob"]) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in schemas.names())


def test_only_what_the_caller_cannot_mend_alone_points_to_an_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    report(ResourceNotFound("There is no endpoint digitz."))
    assert "explain" not in capsys.readouterr().err
    report(StoreUnavailable())
    assert capsys.readouterr().err.endswith("More about it: batchpoint explain StoreUnavailable\n")
    report_job(JobError(code="NoSuccessfulItems", message="None of the 3 items was scored."))
    assert capsys.readouterr().err.endswith("More about it: batchpoint explain NoSuccessfulItems\n")
    report_job(JobError(code="Unheard", message="of"))
    assert "explain" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [({}, True), ({"query": "status"}, False), ({"only_show_errors": True}, False)],
)
def test_job_show_points_to_the_explanation_of_a_failed_job(
    flags: dict[str, object], said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(
        name="j1",
        endpoint_name="ep1",
        deployment_name="dp1",
        settings=JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/in"), output_folder="/out"),
        error=JobError(code="InitFailed", message="init() failed in every worker."),
    )
    given = {"name": "j1", "web": False, "query": None, "only_show_errors": False, **flags}
    client = SimpleNamespace(jobs=SimpleNamespace(get=lambda name: job))
    assert show(SimpleNamespace(flags=SimpleNamespace(**given), client=client)) is job
    assert ("batchpoint explain InitFailed" in capsys.readouterr().err) is said


def test_the_shell_completes_codes_and_schemas() -> None:
    assert answer(["words", "explain", "minib"]) == "MiniBatchTimeout\n"
    assert answer(["words", "schema", "batchD"]) == "batchDeployment\n"
    assert len(answer(["words", "explain", ""]).splitlines()) == len(explanations())
    assert "--query" in answer(["words", "explain", "ScriptRaised", "--q"])
