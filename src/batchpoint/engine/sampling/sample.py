"""Runs a few items through the real engine, into a folder of their own, and tells how it went.

Preflight, estimates and golden rows call it. It is a job like any other, except that its ledger is in memory, its plan
is given, and its output goes nowhere but into that folder.
"""

import csv
import math
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpoint.engine.preparation.plan import write_plan
from batchpoint.engine.run import JobRun
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, JobStatus, Progress
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.memory import MemoryLedger

_MB = 1 << 20
_FIRST = re.compile(r"items (\d+)-")
_INIT = re.compile(r" is ready: init\(\) took ([\d.]+) s")


@dataclass(frozen=True)
class Sample:
    """What is to be run, and where."""

    #: As a job would have them; where the input and the output are, is said here.
    settings: JobSettings
    #: Folder that ``items`` start from.
    root: str
    #: Relative to ``root``, or absolute; as they stand in a plan.
    items: Sequence[bytes]
    #: Empty folder, which gets the files of the job and, below ``out``, its output. Whoever calls removes it.
    folder: Path
    #: Workers at a time.
    workers: int = 1
    #: Interpreter of the environment, where it is built already; "": the job builds it.
    python: str = ""
    #: As the workers know the workspace that they score for.
    arm_id: str = ""
    #: Executions of a mini-batch that fails.
    tries: int = 1


@dataclass(frozen=True)
class Execution:
    """One mini-batch that was scored or has failed."""

    #: Index of its first item, and how many there are.
    first_item: int
    items: int
    #: In the worker, and in run() alone.
    seconds: float
    run_s: float
    #: ``<node>/<process>``.
    process: str
    succeeded: bool


@dataclass(frozen=True)
class FailedItems:
    """Items next to each other that failed together."""

    items: tuple[bytes, ...]
    code: str
    reason: str


@dataclass(frozen=True)
class Sampled:
    """How a sample went."""

    job: Job
    output: Path
    logs: Path
    #: From the start to the end, the start of the workers included.
    wall_s: float
    executions: tuple[Execution, ...] = ()
    failed: tuple[FailedItems, ...] = ()
    #: The most memory that one worker had, in bytes; 0 where that is not known.
    peak_bytes: int = 0
    #: Processor seconds of all workers, the start included, and since they were ready.
    cpu_s: float = 0.0
    scoring_cpu_s: float = 0.0
    #: Seconds until the first mini-batch was scored; None: none was.
    first_result_s: float | None = None
    #: Seconds that init() took in each worker.
    inits_s: tuple[float, ...] = ()
    #: Bytes of the rows that run() returned, before they were put together.
    output_bytes: int = 0
    #: What stands below ``output``.
    written: tuple[str, ...] = ()

    @property
    def completed(self) -> bool:
        """True where at least one item was scored and the output could be put together."""
        return self.job.status is JobStatus.COMPLETED


def run_sample(
    sample: Sample,
    settings: Settings,
    limit_s: float = math.inf,
    still_wanted: Callable[[], None] = lambda: None,
) -> Sampled:
    """Run it and wait; a job that fails is a result.

    ``limit_s`` after the first items were scored it is canceled, and what is scored by then counts. ``still_wanted`` is
    asked again and again, and ends it by raising CancelRequested.
    """
    began = time.monotonic()
    ledger = MemoryLedger()
    folder = JobFolder(sample.folder.absolute() / "job")
    folder.path.mkdir(parents=True, exist_ok=True)
    job = _job(sample)
    ledger.add(job)
    write_plan(folder.plan_items, folder.plan_header, sample.root, sample.items, job.settings.mini_batch_size)
    stop = _StopInTime(ledger, job.name, limit_s, still_wanted)
    run = JobRun(job.name, ledger, folder, settings, stop.look, python=sample.python)
    run.execute()
    return _told(sample, run, ledger, folder, time.monotonic() - began)


def _told(sample: Sample, run: JobRun, ledger: MemoryLedger, folder: JobFolder, wall_s: float) -> Sampled:
    """How the run went, by its ledger and its logs."""
    job = ledger.job(run.name)
    output = Path(job.settings.output_folder)
    found = [path for path in output.rglob("*") if path.is_file()] if output.is_dir() else []
    peak, cpu_s, scoring_cpu_s = _usage(folder)
    return Sampled(
        job=job,
        output=output,
        logs=folder.logs,
        wall_s=wall_s,
        executions=tuple(_executions(folder)),
        failed=tuple(_failed(sample, ledger, job.name)),
        peak_bytes=peak,
        cpu_s=cpu_s,
        scoring_cpu_s=scoring_cpu_s,
        first_result_s=run.first_result_s,
        inits_s=tuple(_inits(folder)),
        output_bytes=sum(part.length for row in ledger.rows(job.name, 0) for part in row.parts),
        written=tuple(sorted(path.relative_to(output).as_posix() for path in found)),
    )


def _job(sample: Sample) -> Job:
    return Job(
        name=f"preflight-{secrets.token_hex(4)}",
        endpoint_name="",
        deployment_name="",
        experiment_name="preflight",
        id=sample.arm_id or None,
        settings=_settings(sample),
    )


class _StopInTime:
    """Cancels a sample that was scored for long enough."""

    def __init__(self, ledger: MemoryLedger, job: str, limit_s: float, still_wanted: Callable[[], None]) -> None:
        self._ledger = ledger
        self._job = job
        self._limit_s = limit_s
        self._still_wanted = still_wanted
        self._first_at = math.inf

    def look(self, progress: Progress) -> None:
        self._still_wanted()
        done, now = progress.items_succeeded + progress.items_failed, time.monotonic()
        self._first_at = min(self._first_at, now) if done else self._first_at
        if done < progress.items and now - self._first_at > self._limit_s:
            self._ledger.request_cancel(self._job)


def _settings(sample: Sample) -> JobSettings:
    """Everything as in the job, but for what is meant for many items and for what would touch anything of a user's."""
    update: dict[str, object] = {
        "input": Input(type="uri_folder", path=sample.root or "/"),
        "input_store": None,
        "output_folder": str(sample.folder.absolute() / "out"),
        "output_store": None,
        "output_uri": "",
        "instance_count": 1,
        "max_concurrency_per_instance": sample.workers,
        "max_retries": sample.tries,
        "error_threshold": -1,
        "isolate_failures": True,
        "chaos": {},
        "lifetime_s": None,
    }
    return sample.settings.model_copy(update=update)


def _failed(sample: Sample, ledger: MemoryLedger, job: str) -> Iterator[FailedItems]:
    for row in ledger.rows(job, 0, failed_only=True):
        end = row.first_item + row.items
        # Of a mini-batch with too few results nobody knows which item has none.
        yield FailedItems(tuple(sample.items[row.first_item : end]), row.reason_code, row.reason)


def _executions(folder: JobFolder) -> Iterator[Execution]:
    """What the table of the job's logs has of each try."""
    for line in _table(folder.logs / "sys" / "job_report" / "processed_mini-batches.csv"):
        yield Execution(
            first_item=int(found[1]) if (found := _FIRST.match(line["Mini-batch Detail"] or "")) else 0,
            items=int(line["Total"]),
            seconds=float(line["Process Seconds"]),
            run_s=float(line["Run Method Seconds"]),
            process=line["Process"],
            succeeded=line["Status"] == "RUN_DONE",
        )


def _inits(folder: JobFolder) -> Iterator[float]:
    for log in sorted(folder.logs.glob("sys/node/*/process*.txt")):
        for found in _INIT.finditer(log.read_text(encoding="utf-8", errors="replace")):
            yield float(found[1])


def _usage(folder: JobFolder) -> tuple[int, float, float]:
    """The largest peak of a worker in bytes, and the processor seconds of all workers: ever, and since they were ready.

    A worker is looked at when the first one is ready and when all is scored.
    """
    peaks: dict[str, float] = {}
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for table in folder.logs.glob("sys/perf/*/processes_resource_usage.csv"):
        for line in _table(table):
            pid, seconds = line["Pid"], float(line["CPU Seconds"] or 0)
            peaks[pid] = max(peaks.get(pid, 0.0), float(line["Peak Memory MB"] or line["Memory MB"] or 0))
            first.setdefault(pid, seconds)
            last[pid] = max(last.get(pid, 0.0), seconds)
    return int(max(peaks.values(), default=0.0) * _MB), sum(last.values()), sum(last.values()) - sum(first.values())


def _table(path: Path) -> Iterator[dict[str, str]]:
    if path.is_file():
        with path.open(encoding="utf-8", errors="backslashreplace", newline="") as lines:
            yield from csv.DictReader(lines)
