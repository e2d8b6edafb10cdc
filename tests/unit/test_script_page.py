"""The page for authors of scripts names every variable and every switch that a worker is started with, and no other."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from batchpoint.compute import machine
from batchpoint.compute.pool import Slot
from batchpoint.engine.preparation.workers import WorkerStart
from batchpoint.entities.compute import Place
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.storage.job_folder import JobFolder

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "script.md").read_text(encoding="utf-8")
ARM_ID = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/jobs/j"


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(title: str, pattern: str) -> set[str]:
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(pattern, cell)}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerStart:
    monkeypatch.setattr(machine, "gpus", lambda: 2)
    settings = JobSettings(
        code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder="/o", model_path="/m"
    )
    job = Job(name="j", id=ARM_ID, endpoint_name="e", deployment_name="d", settings=settings)
    return WorkerStart(job, JobFolder(tmp_path), "/usr/bin/python", "/i", "0.1.n", {"BATCHPOINT_HOME": "/h"})


def test_every_variable_is_on_the_page(start: WorkerStart) -> None:
    assert first_cells("Environment variables", r"`([A-Z0-9_]+)`") == set(start.spec(0, Slot(0, 0)).environment)


def test_every_switch_is_on_the_page(start: WorkerStart) -> None:
    assert first_cells("Command line", r"`--([a-z0-9_]+)`") == {
        word[2:] for word in start._arguments() if word.startswith("--")
    }


def test_a_tracking_server_of_the_user_s_own_is_not_told_of_a_run_that_it_does_not_know(start: WorkerStart) -> None:
    environment = start.spec(0, Slot(0, 0)).environment
    assert (environment["MLFLOW_RUN_ID"], environment["MLFLOW_TRACKING_URI"][:8]) == ("j", "file:///")
    start.job.settings.environment_variables["MLFLOW_TRACKING_URI"] = "https://theirs.example"
    environment = start.spec(0, Slot(0, 0)).environment
    assert "MLFLOW_RUN_ID" not in environment and environment["MLFLOW_TRACKING_URI"] == "https://theirs.example"


def test_workers_see_the_gpus_that_their_job_was_allotted(start: WorkerStart) -> None:
    def visible(job: Job) -> list[str | None]:
        granted = replace(start, job=job)
        told = [granted.spec(0, Slot(instance, 0)).environment for instance in range(3)]
        return [environment.get("CUDA_VISIBLE_DEVICES") for environment in told]

    assert visible(start.job) == ["0", "1", ""]
    assert visible(start.job.model_copy(update={"gpus": (1,)})) == ["1", "", ""]
    on_ray = start.job.settings.model_copy(update={"place": Place(type="ray", address="auto")})
    assert visible(start.job.model_copy(update={"settings": on_ray})) == [None] * 3, "its nodes have GPUs of their own"
