"""The text files of a job's logs tree: what goes where, and at which level."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchpoint.entities.job import Progress
from batchpoint.observability import job_logs
from batchpoint.observability.job_logs import DEBUG, ERROR, INFO, WARNING, JobLogs
from batchpoint.storage.job_folder import JobFolder

PROGRESS = Progress(mini_batches=1200, mini_batches_done=300, items_succeeded=2990, items_failed=10)


class Calendar:
    """Stands in for ``datetime`` where the day matters."""

    now_is = datetime(2021, 11, 15, 23, 59, 58, tzinfo=UTC)

    @classmethod
    def now(cls, zone: object) -> datetime:
        assert zone is UTC
        return cls.now_is


def overviews(tmp_path: Path) -> dict[str, list[str]]:
    found = sorted((tmp_path / "logs").glob("job_progress_overview.*.txt"))
    return {path.name: path.read_text().splitlines() for path in found}


def test_every_day_has_an_overview_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs, "datetime", Calendar)
    logs = JobLogs(JobFolder(tmp_path))
    logs.overview(PROGRESS, 10.04)
    logs.overview(PROGRESS, 11, 33.3)
    monkeypatch.setattr(Calendar, "now_is", Calendar.now_is + timedelta(seconds=3))
    logs.overview(PROGRESS, 12)
    counts = "300 of 1,200 mini-batches processed, 2,990 items succeeded, 10 failed, elapsed"
    assert overviews(tmp_path) == {
        "job_progress_overview.20211115235958000000.txt": [
            f"[2021-11-15 23:59:58Z] {counts} 10.0 s",
            f"[2021-11-15 23:59:58Z] {counts} 11.0 s, about 33 s remaining",
        ],
        "job_progress_overview.20211116000001000000.txt": [f"[2021-11-16 00:00:01Z] {counts} 12.0 s"],
    }


@pytest.mark.parametrize(("level", "kept"), [("debug", "DIWE"), ("info", "IWE"), ("warning", "WE")])
def test_the_logs_of_the_engine_begin_at_the_level_of_the_deployment(tmp_path: Path, level: str, kept: str) -> None:
    logs = JobLogs(JobFolder(tmp_path))
    logs.begin(level, epoch=1)
    for number, letter in ((DEBUG, "D"), (INFO, "I"), (WARNING, "W"), (ERROR, "E")):
        logs.system(number, "0", "process001", f"said {letter}")

    def said(folder: str) -> str:
        lines = (tmp_path / "logs" / "sys" / folder / "0" / "process001.txt").read_text().splitlines()
        return "".join(line[-1] for line in lines)

    assert (said("node"), said("warning"), said("error")) == (kept, "W", "E")


def test_what_the_job_did_is_told_at_every_level(tmp_path: Path) -> None:
    logs = JobLogs(JobFolder(tmp_path))
    logs.begin("warning", epoch=2)
    logs.event("It began.")
    for path in ("logs/azureml/executionlogs.txt", "logs/azureml/stdoutlogs.txt", "user_logs/std_log_0.txt"):
        assert (tmp_path / path).read_text().endswith("Z] It began.\n")
    assert "driver 2 on " in (tmp_path / "logs" / "sys" / "master_role.txt").read_text()


def test_a_tree_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    logs = JobLogs(JobFolder(tmp_path / "file"))
    logs.begin("debug", epoch=2)
    logs.event("a")
    logs.overview(PROGRESS, 1)
    logs.failed("Code", "message", "traceback")
    logs.user_error("0", "process000", "init()", "message", "")
    logs.flush()
    logs.report.summarise()
    logs.usage.sample("0", {"process000": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
