"""The checks of a preflight in their order: what is cheap comes first, and what was found stops only what needs it.

``__main__`` runs them in a process of their own. Nothing is written but into the folder of the preflight.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from batchpoint.engine.golden.check import check_golden_rows
from batchpoint.engine.preflight import causes
from batchpoint.engine.preflight.aftermath import Aftermath
from batchpoint.engine.preflight.choice import Chosen, Item, choose, cut
from batchpoint.engine.preflight.inputs import Inputs, find_inputs
from batchpoint.engine.preflight.report import Report, note
from batchpoint.engine.preflight.tables.look import Look
from batchpoint.engine.preparation.contained import contained
from batchpoint.engine.preparation.interpreter import interpreter
from batchpoint.engine.sampling.sample import Sample, Sampled, run_sample
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.tables.parts import shown
from batchpoint.entities.tables.sizes import size_in_words
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder

#: Items that are scored.
SAMPLE_ITEMS = 8
#: Files of which more than the header is looked at.
LOOKED_INTO = 200
#: No new mini-batch of a sample is begun after so many seconds.
SAMPLE_S = 120.0
_NOTED = "Nothing has to be done."


@dataclass(frozen=True)
class Wish:
    """What is to be checked."""

    settings: JobSettings
    #: Empty folder for everything that the preflight writes; whoever calls removes it.
    folder: Path
    #: False where nobody said what is to be scored.
    has_input: bool = True
    #: True where nobody has named a place for the output.
    has_own_output: bool = False
    #: Of the workspace, as workers know it.
    arm_id: str = ""
    #: Of the compute.
    max_instances: int = 1


class Preflight:
    """One preflight; ``python`` and ``inputs`` are known once their checks are through."""

    def __init__(self, wish: Wish, settings: Settings, report: Report) -> None:
        self.wish = wish
        self.settings = settings
        self.report = report
        self.python = ""
        #: Id of the image that workers run in; empty where they run in none.
        self.image = ""
        self.inputs: Inputs | None = None
        #: Items that no check has found unfit.
        self.fitting: list[Item] = []
        job_settings = wish.settings
        self.job = Job(name="preflight", endpoint_name="", deployment_name="", settings=job_settings)
        self.place = JobFolder(wish.folder / "look")
        self._look = Look(job_settings)
        self._scored: list[Chosen] = []
        #: Item of the sample's plan → item of the input.
        self._names: dict[bytes, bytes] = {}

    def run(self) -> None:
        """Make all checks."""
        self.find_python()
        self.find_items()
        self.look_at_files()
        sampled = self._score()
        self._check_golden_rows()
        self._look_after(sampled)

    # ---- before anything is scored ----------------------------------------------------------------------------------

    def find_python(self) -> None:
        """Build the environment, or find it built; the installer's words are handed on."""
        title = "The environment builds"
        with self.report.check("environment", title):
            follow = _Follow(self.place.environment_log, self.report.log)
            try:
                inside = contained(self.job, self.place, self.settings, self.report.log, follow.more)
                if inside is not None:
                    self.image, self.python = inside.image, inside.python or f"the Python of the image {inside.image}"
                else:
                    self.python = interpreter(self.job, self.place, self.settings, self.report.log, follow.more)
            except EnvironmentBuildFailed as failed:
                # Its log goes with this preflight, and was told line by line.
                log = str(self.place.environment_log)
                said = failed.message
                for told in (
                    f"; the whole output is in {log}",
                    f" The whole output is in {log}.",
                    f"\nThe whole log: {log}",
                ):
                    said = said.replace(told, "")
                raise EnvironmentBuildFailed(said) from failed
            finally:
                follow.more()
            self.report.say("our own Python" if self.wish.settings.environment is None else self.python)

    def find_items(self) -> None:
        """List the input."""
        title = "The input can be listed"
        if not self.wish.has_input:
            self.report.skip("input", title, "no input was given; add --input to have a sample of it scored")
            return
        with self.report.check("input", title):
            self.inputs = find_inputs(self.job, self.place, self.settings, self.report.log)
            total = sum(item.size for item in self.inputs.items)
            count = len(self.inputs.items)
            self.report.say(f"{count:,} file{'s' * (count != 1)}, {size_in_words(total)}")

    def look_at_files(self) -> None:
        """The header or schema of every file, and the first values."""
        title = "Every file fits the model"
        if self.inputs is None:
            self.report.skip("files", title, "there are no files to look at")
            return
        with self.report.check("files", title):
            self.report.find(*self._look.read_signature())
            for place, item in enumerate(self.inputs.here):
                found = list(self._look.at(self.inputs.root, item, is_deep=place < LOOKED_INTO))
                self.report.find(*found)
                if not any(one.severity == "error" for one in found):
                    self.fitting.append(item)
            self._say_what_was_looked_at(self.inputs)

    def _say_what_was_looked_at(self, inputs: Inputs) -> None:
        left = len(inputs.items) - len(inputs.here)
        if left > 0:
            message = f"{left:,} files are elsewhere and too large to bring here: their headers were not looked at."
            self.report.find(note("NotAllFilesRead", message, _NOTED))
        self.report.say(f"{len(inputs.here):,} compared with {self._look.yardstick}; {len(self.fitting):,} fit")

    # ---- the sample -------------------------------------------------------------------------------------------------

    def _score(self) -> Sampled | None:
        title = "A worker starts, loads the model and runs init()"
        if not self.python:
            self.report.skip("start", title, "there is no environment to start it in")
            self.report.skip("sample", "Sample files are scored", "no worker can start")
            return None
        if not self.fitting or self.inputs is None:
            self._start_alone(title)
            why = "no file fits" if self.inputs is not None and self.inputs.here else "no input was given"
            self.report.skip("sample", "Sample files are scored", why)
            return None
        few = choose(self.fitting, SAMPLE_ITEMS)
        chosen = self._scored = cut(self.inputs.root, few, self.wish.folder / "short", self.wish.settings.split)
        with self.report.check("start", title):
            sampled = self.sample(chosen)
            self.tell_of_start(sampled)
        if not sampled.executions:
            self.report.skip("sample", "Sample files are scored", "no worker got ready")
            return sampled
        with self.report.check("sample", "Sample files are scored"):
            self.tell_of_sample(sampled, chosen)
        return sampled

    def _check_golden_rows(self) -> None:
        title = "The golden rows come out as expected"
        if self.wish.settings.golden_rows is None:
            return
        if not self.python:
            self.report.skip("golden_rows", title, "there is no environment to score them in")
            return
        with self.report.check("golden_rows", title):
            folder = self.wish.folder / "golden"
            check_golden_rows(self.job, folder, self.settings, self.python, self.image, self.report.log, lambda: None)

    def _start_alone(self, title: str) -> None:
        with self.report.check("start", title):
            self.tell_of_start(self.sample([]))

    def sample(self, chosen: list[Chosen], workers: int = 1, limit_s: float = SAMPLE_S) -> Sampled:
        """Score the chosen items as the job would, no longer than ``limit_s``; of nothing only a worker is started."""
        here = self.inputs.root if self.inputs else "/"
        # The first rows of large files lie elsewhere than the input.
        root = "/" if any(one.path.startswith(b"/") for one in chosen) else here
        paths = [one.path if root == here else _below(here, one.path) for one in chosen]
        self._names = dict(zip(paths, (one.item.name for one in chosen), strict=True))
        sample = Sample(
            settings=self.wish.settings,
            root=root,
            items=paths,
            folder=self.wish.folder / "sample",
            workers=workers,
            python=self.python,
            arm_id=self.wish.arm_id,
        )
        return run_sample(sample, self.settings, limit_s)

    def tell_of_start(self, sampled: Sampled) -> None:
        failed = sampled.job.error
        if failed is not None and failed.code != "NoSuccessfulItems":
            for line in causes.traceback_of(failed):
                self.report.log(line)
            self.report.find(causes.of_job(failed))
        elif sampled.inits_s:
            self.report.say(f"init() took {max(sampled.inits_s):.1f} s")

    def tell_of_sample(self, sampled: Sampled, chosen: list[Chosen]) -> None:
        for failed in sampled.failed:
            named = tuple(self._names.get(item, item) for item in failed.items)
            self.report.find(causes.of_items(replace(failed, items=named)))
        for one in chosen:
            if one.is_cut:
                self.report.find(*self._look.at_values(shown(one.item.name), Path(os.fsdecode(one.path))))
        progress = sampled.job.progress
        cut_off = sum(one.is_cut for one in chosen)
        self.report.say(
            f"{progress.items_succeeded:,} of {len(chosen):,} scored"
            + (f", {cut_off:,} of them cut after the first rows" if cut_off else "")
            + f", {sampled.wall_s:.1f} s"
        )

    def _look_after(self, sampled: Sampled | None) -> None:
        after = Aftermath(self.job, self.settings, self.report, self.place)
        after.look_at_output(is_own=self.wish.has_own_output)
        titles = {"results": "The results have the right shape", "disk": "There is room for the output"}
        titles |= {"compute": "The compute is large enough"}
        if sampled is None or self.inputs is None or not sampled.job.progress.items_succeeded:
            for name, title in titles.items():
                self.report.skip(name, title, "nothing was scored to measure it by")
            return
        after.look_at_results(sampled)
        after.look_at_room(sampled, self._scored, self.inputs.items)
        after.look_at_machine(sampled)


def _below(root: str, path: bytes) -> bytes:
    """The absolute path of an item, as one that starts from the root of the file system."""
    return (path if path.startswith(b"/") else os.fsencode(root) + b"/" + path).lstrip(b"/")


class _Follow:
    """Hands on what is written to a log meanwhile."""

    def __init__(self, log: Path, tell: Callable[[str], None]) -> None:
        self._log = log
        self._tell = tell
        self._read = 0

    def more(self) -> None:
        """Whole lines that are new."""
        if not self._log.is_file():
            return
        with self._log.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.decode("utf-8", "replace").splitlines():
            self._tell(line)
