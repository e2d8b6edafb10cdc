"""What a sample says of the job as it was asked for: its results, the place and the room for them, machine and time.

``checks`` calls it when something was scored. The place of the output is looked at, and never written to.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute import machine
from batchpoint.compute.oom import limit_bytes
from batchpoint.engine.preflight import causes, limits
from batchpoint.engine.preflight.choice import Chosen, Item
from batchpoint.engine.preflight.limits import Disk, Machine
from batchpoint.engine.preflight.report import Report, error, warning
from batchpoint.engine.publishing.places import output_place
from batchpoint.engine.sampling.sample import Sampled
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.tables.file_kinds import TABLES, kind_of
from batchpoint.entities.tables.parts import shown
from batchpoint.entities.tables.sizes import size_in_words
from batchpoint.errors import BatchpointError, OutputUnwritable
from batchpoint.settings import Settings
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.job_folder import JobFolder


@dataclass(frozen=True)
class Aftermath:
    """What the last checks of one preflight work with."""

    job: Job
    settings: Settings
    report: Report
    #: Where a job would have its files; nothing is there.
    place: JobFolder

    # ---- the output -------------------------------------------------------------------------------------------------

    def look_at_output(self, *, is_own: bool) -> None:
        """Whether it is free; ``is_own``: nobody has named a place, so the job has a new folder."""
        with self.report.check("output", "The output can be written, and nothing stands there yet"):
            self._require_free()
            named = self.job.settings.output_uri or self.job.settings.output_folder
            self.report.say("each job has a folder of its own" if is_own else named)

    def _require_free(self) -> None:
        """Raises OutputAlreadyExists and OutputUnwritable; unlike a job, it writes nothing to try."""
        settings = self.job.settings
        if settings.output_store is None:
            output_place(self.job, self.place, self.settings).refuse_now()
            return
        name = settings.output_file_name
        key = f"{settings.output_folder}/{name}" if settings.output_folder else name
        try:
            taken = open_datastore(settings.output_store, self.settings.home).size(key) is not None
        except BatchpointError as failed:
            message = f"The output cannot be written to {settings.output_uri}. {failed.message}"
            raise OutputUnwritable(message, target=settings.output_uri) from failed
        if taken and settings.output_action == "append_row":
            message = f"The output file {settings.output_uri.rstrip('/')}/{name} exists already."
            fix = "Choose another output folder or output file name, or remove the file."
            self.report.find(error("OutputAlreadyExists", message, fix, file=name))

    # ---- what was scored --------------------------------------------------------------------------------------------

    def look_at_results(self, sampled: Sampled) -> None:
        """Whether there are any, and as many as there should be."""
        with self.report.check("results", "The results have the right shape"):
            if sampled.job.error is not None:
                self.report.find(causes.of_job(sampled.job.error))
            if self.job.settings.output_action == "summary_only":
                self._look_at_files(sampled)
                return
            if not sampled.output_bytes:
                message = "run() returned nothing that could be written."
                fix = "Return one row for each file, or choose output_action: summary_only."
                self.report.find(warning("NothingWritten", message, fix))
            self.report.say(f"{sampled.job.progress.rows:,} rows, {size_in_words(sampled.output_bytes)}")

    def _look_at_files(self, sampled: Sampled) -> None:
        written = [name for name in sampled.written if Path(name).name != "failed_items.jsonl"]
        if not written:
            message = "With output_action: summary_only the script writes the output, and it wrote no file."
            fix = "Write to the folder in AZUREML_BI_OUTPUT_PATH, or choose output_action: append_row."
            self.report.find(warning("NothingWritten", message, fix))
        self.report.say(f"{len(written):,} file{'s' * (len(written) != 1)} written")

    def look_at_room(self, sampled: Sampled, scored: list[Chosen], items: list[Item]) -> None:
        """Whether the disks have room for all that is to be written."""
        with self.report.check("disk", "There is room for the output"):
            expected = expected_bytes(sampled, scored, items)
            self.report.find(*limits.too_full(expected, list(self._disks())))
            self.report.say(f"about {size_in_words(expected)}")

    def _disks(self) -> Iterator[Disk]:
        # What workers return lies in the folder of the job until the output is put together.
        yield _disk("the rows of the job", self.settings.home)
        if self.job.settings.output_store is None:
            yield _disk("the output", Path(self.job.settings.output_folder))

    def look_at_machine(self, sampled: Sampled) -> None:
        """Whether workers have what they need, and mini-batches the time."""
        settings = self.job.settings
        with self.report.check("compute", "The compute is large enough"):
            here = machine_of(settings)
            self.report.find(*limits.too_much_memory(sampled, settings, here))
            self.report.find(*limits.too_few_processors(sampled, settings, here))
            workers = settings.instance_count * settings.max_concurrency_per_instance
            each = " each" if workers > 1 else ""
            peak = f" with {size_in_words(sampled.peak_bytes)}{each}" if sampled.peak_bytes else ""
            self.report.say(f"{workers} worker{'s' * (workers != 1)}{peak}")
        with self.report.check("time", "A mini-batch has the time that it needs"):
            self.report.find(*limits.too_slow(sampled, settings))
            slowest = max((one.run_s for one in sampled.executions), default=0.0)
            self.report.say(f"run() took {slowest:.2f} s at most, and may take {settings.timeout_s:g} s")


def expected_bytes(sampled: Sampled, scored: list[Chosen], items: list[Item]) -> int:
    """Of the rows of all items: those of the sample for each byte of a table, and for each item of anything else."""
    of_item = sampled.output_bytes / max(1, sampled.job.progress.items_succeeded)
    if items and kind_of(shown(items[0].name))[0] in TABLES and (size := sum(one.size for one in scored)):
        return int(sampled.output_bytes / size * sum(item.size for item in items))
    return int(of_item * len(items))


def machine_of(settings: JobSettings) -> Machine:
    """What the workers of a job have; of a cluster, what its compute says of an instance."""
    if settings.place.type == "ray":
        place = settings.place
        return Machine(int(place.cpus), place.memory, 0, int(place.gpus), is_cluster=True)
    return Machine(machine.cores(), limit_bytes(), _available(), machine.gpus())


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return 0


def _disk(what: str, folder: Path) -> Disk:
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return Disk(what, str(there), shutil.disk_usage(there).free)
