"""Writes the ``logs/`` tree of a job that users of the field know.

The driver calls it; nothing is written for a mini-batch that goes well, except one line in the report at the end.
A disk that takes no more costs lines of a log, never a result.
"""

import contextlib
import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from batchpoint.entities.job import Progress
from batchpoint.storage.job_folder import JobFolder

README = """\
What the files of this job hold:

user_logs/std_log_0.txt             what the job did, step by step
logs/azureml/executionlogs.txt      the same, as "job stream" prints it
logs/azureml/environment_build_log.txt   how the environment was built
logs/job_progress_overview.<time>.txt    counts over time
logs/job_result.txt                 how the job ended, and why
logs/user/error.txt                 one line for each failed try of a mini-batch, and each failed init()
logs/user/error/<node>/<process>.txt     their tracebacks in full
logs/user/stdout|stderr/<node>/     what the script printed
logs/user/entry_script_log/<node>/  what the script logged through EntryScript
logs/sys/job_report/processed_mini-batches.csv   one line for each mini-batch
"""

REPORT_COLUMNS = ("Mini-batch Id", "Total", "Succeeded", "Failed", "Rows", "Tries", "Status", "Error Message")


class JobLogs:
    """The log files of one job."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._overview = folder.logs / f"job_progress_overview.{datetime.now(UTC):%Y%m%d%H%M%S}.txt"
        self._error_summary = folder.logs / "user" / "error.txt"

    def begin(self) -> None:
        """Make the folders and the page that explains them."""
        readme = self._folder.logs / "readme.txt"
        with contextlib.suppress(OSError):
            self._folder.logs.mkdir(parents=True, exist_ok=True)
            if not readme.exists():
                readme.write_text(README, encoding="utf-8")

    def event(self, text: str) -> None:
        """A step of the job, for ``job stream`` and for ``std_log_0.txt``."""
        entry = f"[{_now()}] {text}\n"
        _append(self._folder.execution_log, entry)
        _append(self._folder.user_log, entry)

    def user_error(self, node: str, agent: str, subject: str, message: str, traceback: str) -> None:
        """A failed try: one line in the summary, the whole traceback in the file of its process."""
        _append(self._error_summary, f"[{_now()}] {node}/{agent} {subject}: {message}\n")
        detail = traceback.rstrip("\n") or message
        _append(self._folder.logs / "user" / "error" / node / f"{agent}.txt", f"[{_now()}] {subject}\n{detail}\n\n")

    def overview(self, progress: Progress, elapsed_s: float) -> None:
        """Counts as they are now."""
        _append(
            self._overview,
            f"[{_now()}] {progress.mini_batches_done:,} of {progress.mini_batches:,} mini-batches processed, "
            f"{progress.items_succeeded:,} items succeeded, {progress.items_failed:,} failed, "
            f"elapsed {elapsed_s:.1f} s\n",
        )

    def result(self, text: str, traceback: str = "") -> None:
        """How the job ended, and the user's traceback if that is why."""
        self.event(text)
        _append(self._folder.logs / "job_result.txt", f"[{_now()}] {text}\n" + (f"{traceback}\n" if traceback else ""))

    def report(self, lines: Iterable[tuple[object, ...]]) -> None:
        """One line for each mini-batch, in the order of ``REPORT_COLUMNS``."""
        path = self._folder.logs / "sys" / "job_report" / "processed_mini-batches.csv"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(REPORT_COLUMNS)
                rows.writerows(lines)


def _append(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
