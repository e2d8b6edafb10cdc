"""What ``invoke --wait`` makes of a job that waits itself, and of a server that goes away."""

import argparse
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.output import waiting
from batchpoint.client import Client
from batchpoint.entities.job import Job, JobStatus
from batchpoint.errors import ServerUnreachable
from batchpoint.settings import Settings
from tests.contract.made import job

WAITS = "waits for 1 instance of cpu; job other has it"


def waited(get: Callable[[str], Job], limit_s: float | None = None) -> Outcome:
    client = cast("Client", SimpleNamespace(jobs=SimpleNamespace(get=get)))
    call = Call(argparse.Namespace(only_show_errors=False), Settings(), _client=client)
    return waiting.wait(call, job("mine"), limit_s=limit_s)


def test_when_the_time_is_up_it_is_said_what_a_queued_job_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    queued = job("mine").model_copy(update={"status": JobStatus.QUEUED, "waiting_for": WAITS})
    outcome = waited(lambda _: queued, limit_s=0.01)
    assert (outcome.exit_code, outcome.value) == (waiting.NOT_FINISHED, queued)
    assert f"It is Queued after 0.01 seconds: {WAITS}" in capsys.readouterr().err


def test_a_server_that_goes_away_leaves_the_end_open(capsys: pytest.CaptureFixture[str]) -> None:
    def gone(name: str) -> Job:
        raise ServerUnreachable("No server answers any more.")

    assert waited(gone).exit_code == waiting.NOT_FINISHED
    said = capsys.readouterr().err
    assert said.index("(ServerUnreachable) No server answers any more.") < said.index("Its state is unknown now.")
    assert "batchpoint job stream --name mine" in said


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (JobStatus.COMPLETED, waiting.DONE),
        (JobStatus.FAILED, waiting.FAILED),
        (JobStatus.CANCELED, waiting.NOT_FINISHED),
    ],
)
def test_the_exit_code_is_the_result_of_the_job(status: JobStatus, code: int) -> None:
    assert waited(lambda _: job("mine").model_copy(update={"status": status})).exit_code == code
