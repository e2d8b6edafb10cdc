"""Writes the ``logs/`` tree of a job that users of the field know.

The driver calls it; nothing is written for a mini-batch that goes well, except its line in the report, many at a time.
A disk that takes no more costs lines of a log, never a result.
"""

import contextlib
import os
import socket
from datetime import UTC, date, datetime
from pathlib import Path

from batchpoint.entities.job import Progress
from batchpoint.observability.job_report import JobReport
from batchpoint.observability.resource_usage import ResourceUsage
from batchpoint.storage.job_folder import JobFolder

README = """\
What the files of this job hold. A file is there once there is something to say.

user_logs/std_log_0.txt             what the job did, step by step
logs/azureml/executionlogs.txt      the same, as "job stream" prints it
logs/azureml/stdoutlogs.txt         the same, as an older studio shows it
logs/azureml/stderrlogs.txt         why the job failed
logs/azureml/environment_build_log.txt   how the environment was built
logs/job_progress_overview.<time>.txt    counts over time; a new file for each driver and each day
logs/job_result.txt                 how the job ended, and why
logs/job_error.txt                  why it failed, the script's own traceback first
logs/user/error.txt                 one line for each failed try of a mini-batch, and each failed init()
logs/user/error/<node>/<process>.txt     their tracebacks in full
logs/user/stdout|stderr/<node>/     what the script printed; what it logged with logging goes to stderr
logs/user/entry_script_log/<node>/  what the script logged through EntryScript
logs/sys/node/<node>/<process>.txt  when each worker came up, died or was killed; at logging_level debug each mini-batch
logs/sys/warning|error/<node>/<process>.txt   the warnings and the errors among these lines
logs/sys/master_role.txt            which drivers the job had
logs/sys/job_report/processed_mini-batches.csv   one line for each try of a mini-batch; what a driver that was
                                    killed had not committed is scored again, and has two lines
logs/sys/job_report/process_summary.csv, node_summary.csv   their sums
logs/sys/chaos.csv                  harm that was done to the job on purpose (invoke --chaos), in order
logs/sys/perf/<node>/*.csv          memory, processors and disk: at the start, at intervals and at the end
"""

#: Folder name of the driver in ``logs/sys``, beside those of the nodes.
MASTER = "master"
DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
_LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING}
_NAMES = {DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", ERROR: "ERROR"}


class JobLogs:
    """The log files of one job."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._sys = folder.logs / "sys"
        self._overview: tuple[date, Path] | None = None
        self._error_summary = folder.logs / "user" / "error.txt"
        self._level = INFO
        self.report = JobReport(self._sys / "job_report")
        self.usage = ResourceUsage(self._sys / "perf", folder.path)

    def begin(self, logging_level: str, epoch: int) -> None:
        """Make the folders and the page that explains them; a driver after the first goes on with what is there."""
        self._level = _LEVELS[logging_level]
        readme = self._folder.logs / "readme.txt"
        with contextlib.suppress(OSError):
            self._folder.logs.mkdir(parents=True, exist_ok=True)
            readme.write_text(README, encoding="utf-8")
        _append(self._folder.stderr_log, "")
        driver = f"driver {epoch} on {socket.gethostname()}, process {os.getpid()}"
        _append(self._sys / "master_role.txt", f"[{_now()}] {driver}\n")
        self.system(INFO, MASTER, "driver", f"{driver}, has the job")
        if epoch > 1:
            self.report.go_on()

    # ---- the job ----------------------------------------------------------------------------------------------------

    def event(self, text: str) -> None:
        """A step of the job, for ``job stream`` and for ``std_log_0.txt``."""
        entry = f"[{_now()}] {text}\n"
        for path in (self._folder.execution_log, self._folder.stdout_log, self._folder.user_log):
            _append(path, entry)
        self.system(INFO, MASTER, "driver", text)

    def overview(self, progress: Progress, elapsed_s: float, remaining_s: float | None = None) -> None:
        """Counts as they are now, and how long the rest may take if it goes on so."""
        remaining = "" if remaining_s is None else f", about {remaining_s:.0f} s remaining"
        _append(
            self._overview_of_today(),
            f"[{_now()}] {progress.mini_batches_done:,} of {progress.mini_batches:,} mini-batches processed, "
            f"{progress.items_succeeded:,} items succeeded, {progress.items_failed:,} failed, "
            f"elapsed {elapsed_s:.1f} s{remaining}\n",
        )

    def result(self, text: str) -> None:
        """How the job ended."""
        self.event(text)
        _append(self._folder.logs / "job_result.txt", f"[{_now()}] {text}\n")

    def failed(self, code: str, message: str, traceback: str) -> None:
        """The job ended so, and why: the user's own traceback first."""
        text = f"Failed ({code}): {message}"
        self.event(text)
        self.system(ERROR, MASTER, "driver", text)
        _append(self._folder.logs / "job_result.txt", f"[{_now()}] {text}\n" + (f"{traceback}\n" if traceback else ""))
        told = f"{traceback}\n\n{code}: {message}\n" if traceback else f"{code}: {message}\n"
        for path in (self._folder.logs / "job_error.txt", self._folder.stderr_log):
            _append(path, told)

    # ---- its workers ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the lines of the report that wait; at level debug the log of each process gets them as well."""
        if self._level <= DEBUG:
            for process, entries in self.report.sentences().items():
                node, _, agent = process.partition("/")
                _append(self._sys / "node" / node / f"{agent}.txt", "".join(f"[{_now()}] DEBUG {e}\n" for e in entries))
        self.report.flush()

    def user_error(self, node: str, agent: str, subject: str, message: str, traceback: str) -> None:
        """A failed try: one line in the summary, the whole traceback in the file of its process."""
        _append(self._error_summary, f"[{_now()}] {node}/{agent} {subject}: {message}\n")
        detail = traceback.rstrip("\n") or message
        _append(self._folder.logs / "user" / "error" / node / f"{agent}.txt", f"[{_now()}] {subject}\n{detail}\n\n")

    def system(self, level: int, node: str, agent: str, text: str) -> None:
        """What the engine has to say about one process, unless the deployment's ``logging_level`` is above it."""
        if level < self._level:
            return
        entry = f"[{_now()}] {_NAMES[level]} {text}\n"
        _append(self._sys / "node" / node / f"{agent}.txt", entry)
        if level >= WARNING:
            _append(self._sys / _NAMES[level].lower() / node / f"{agent}.txt", entry)

    def _overview_of_today(self) -> Path:
        now = datetime.now(UTC)
        if self._overview is None or self._overview[0] != now.date():
            path = self._folder.logs / f"job_progress_overview.{now:%Y%m%d%H%M%S%f}.txt"
            self._overview = now.date(), path
        return self._overview[1]


def _append(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
