"""Any order of steps on the real store and real files beside it: hypothesis looks for the shortest one that breaks.

Drivers claim, write, commit, freeze and publish in whatever order, forget what they were doing, and come back after
somebody else has taken their job. A step that may not be taken must be refused; what must hold is checked after each.
"""

import shutil
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from batchpoint.engine.publishing.output import gather
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobError, JobSettings, JobStatus, Progress
from batchpoint.errors import Fenced, InternalError, OutputAlreadyExists, ResourceConflict, SegmentCorrupt
from batchpoint.store import lifecycle
from batchpoint.store.records import Claimed, Fence, LedgerRow, Part
from batchpoint.store.store import Store, open_store

ITEMS = 4
W, NAME = "w", "j"

drivers = st.integers(min_value=0, max_value=2)
items = st.sets(st.integers(min_value=0, max_value=ITEMS - 1), min_size=1)


@dataclass
class Actor:
    """What one driver believes: it may be wrong, and then the store says so."""

    claimed: Claimed | None = None
    #: Item → the row that it would commit.
    scored: dict[int, LedgerRow] = field(default_factory=dict)

    @property
    def fence(self) -> Fence:
        assume(self.claimed is not None)
        assert self.claimed is not None
        return self.claimed.fence


class LedgerMachine(RuleBasedStateMachine):
    """One job of four mini-batches with one item each, and three drivers."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.segments, self.final = self.root / "seg", self.root / "out" / "predictions.csv"
        self.segments.mkdir()
        self.store: Store = open_store(self.root)
        code = {"code_path": "/c", "scoring_script": "s.py", "input": Input(path="/i")}
        self.settings = JobSettings(**code, output_folder=str(self.final.parent), mini_batch_size=1)  # type: ignore[arg-type]
        self.store.create_job(W, Job(name=NAME, endpoint_name="e", deployment_name="d", settings=self.settings))
        self.actors = [Actor(), Actor(), Actor()]
        self.nonces = 0
        #: The latest granted claim; None in a revision that nobody has claimed.
        self.holder: Fence | None = None
        self.before = self.job
        self.frozen: list[LedgerRow] | None = None
        self.published: bytes | None = None
        self.earlier: bytes | None = None
        self.damaged = False

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.root)

    @property
    def job(self) -> Job:
        found = self.store.get_job(W, NAME)
        assert found is not None
        return found

    def rows(self) -> list[LedgerRow]:
        return self.store.ledger(NAME, self.job.revision)

    # ---- steps of drivers -----------------------------------------------------------------------------------------

    @rule(driver=drivers, behind=st.integers(min_value=0, max_value=1))
    def claim(self, driver: int, behind: int) -> None:
        """With the latest epoch, or one that somebody has taken meanwhile."""
        self.nonces += 1
        observed = self.store.epoch_of(NAME) - behind
        status = self.job.status
        claimed = self.store.claim(NAME, observed, f"n{self.nonces}", "host", driver)
        assert (claimed is not None) == (behind == 0 and not status.is_terminal)
        if claimed is not None:
            self.actors[driver] = Actor(claimed)
            self.holder = claimed.fence

    @rule(driver=drivers)
    def start(self, driver: int) -> None:
        self.write(driver, lambda fence: self.store.start(fence, ITEMS, ITEMS))

    @rule(driver=drivers)
    def beat(self, driver: int) -> None:
        self.write(driver, lambda fence: self.store.beat(fence, Progress()))

    @rule(driver=drivers, wanted=items, bad=st.booleans())
    def score(self, driver: int, wanted: set[int], bad: bool) -> None:
        """Bytes are appended to the driver's own segment; nobody knows of them yet."""
        actor = self.actors[driver]
        name = f"{actor.fence.revision}.{actor.fence.epoch}.{actor.fence.nonce}"
        for item in sorted(wanted - set(actor.scored)):
            if bad:
                actor.scored[item] = LedgerRow(item, item, 1, 0, 1, 0, 3, (), "ScriptRaised", "ValueError: bad")
                continue
            data = f"item {item} by {name}\n".encode()
            with (self.segments / name).open("ab") as file:
                offset = file.tell()
                file.write(data)
            part = Part(name, offset, len(data), zlib.crc32(data))
            actor.scored[item] = LedgerRow(item, item, 1, 1, 0, 1, 1, (part,))

    @rule(driver=drivers, wanted=items)
    def commit(self, driver: int, wanted: set[int]) -> None:
        """Some of what is scored, perhaps for the second time."""
        actor = self.actors[driver]
        rows = [actor.scored[item] for item in sorted(wanted & set(actor.scored))]
        known = {row.key: row for row in self.rows()}
        status = self.job.status
        answer = self.write(driver, lambda fence: self.store.commit(fence, rows, Progress()))
        if answer is not None and status is JobStatus.RUNNING:
            stands = {row.key: row for row in self.rows()}
            assert all(stands[key] == row for key, row in known.items()), "a row that stands stays as it is"
            assert all(stands[row.key] == row for row in rows if row.key in answer)

    @rule(driver=drivers)
    def freeze(self, driver: int) -> None:
        covered = sum(row.items for row in self.rows())
        try:
            done = self.write(driver, lambda fence: self.store.freeze(fence) or True)
        except InternalError:
            assert covered < ITEMS
            return
        if done and self.frozen is None:
            assert covered == ITEMS
            self.frozen = self.rows()

    @rule(driver=drivers)
    def publish(self, driver: int) -> None:
        """Whoever has seen the freeze may do it, again and again, a driver that has lost the job too."""
        actor = self.actors[driver]
        assume(self.frozen is not None and actor.fence.revision == self.job.revision)
        assume(self.job.status in (JobStatus.FINALIZING, JobStatus.COMPLETED) and self.frozen is not None)
        own = {actor.claimed.replaces} - {""} if actor.claimed else set()
        try:
            gather(self.frozen or (), self.segments, self.final, NAME, own=own)
        except SegmentCorrupt:
            assert self.damaged
        except OutputAlreadyExists:
            assert self.damaged or self.earlier is not None
        else:
            self.published = self.final.read_bytes()

    @rule(driver=drivers)
    def complete(self, driver: int) -> None:
        assume(self.published is not None)
        import hashlib

        data = self.published or b""
        sha256, counted = hashlib.sha256(data).hexdigest(), self.counted()
        self.write(
            driver, lambda fence: self.store.complete(fence, sha256, len(data), counted, (), {}), (InternalError,)
        )

    @rule(driver=drivers)
    def fail(self, driver: int) -> None:
        assume(self.job.status is not JobStatus.FINALIZING)
        error = JobError(code="JobFailed", message="no")
        self.write(driver, lambda fence: self.store.fail(fence, error, self.counted(), ()))

    @rule(driver=drivers)
    def end_as_canceled(self, driver: int) -> None:
        self.write(driver, lambda fence: self.store.canceled(fence, self.counted()), (InternalError,))

    @rule(driver=drivers)
    def forget(self, driver: int) -> None:
        """A crash: the driver knows nothing any more, and its segment ends in the middle of a row."""
        actor = self.actors[driver]
        if actor.claimed is not None:
            fence = actor.claimed.fence
            with (self.segments / f"{fence.revision}.{fence.epoch}.{fence.nonce}").open("ab") as file:
                file.write(b"item 3 by")
        self.actors[driver] = Actor()

    # ---- steps of others ------------------------------------------------------------------------------------------

    @rule()
    def reopen_the_store(self) -> None:
        self.store.close()
        self.store = open_store(self.root)

    @rule()
    def cancel(self) -> None:
        status = self.job.status
        try:
            self.store.request_cancel(W, NAME)
        except ResourceConflict:
            assert status is JobStatus.FINALIZING or status.is_terminal

    @rule()
    def redrive(self) -> None:
        """Score again what has failed: the rows that went well are carried over, and the output may be replaced."""
        before, kept = self.job, [row for row in self.rows() if not row.failed_items]
        try:
            self.store.reopen_job(W, NAME, self.settings, {})
        except ResourceConflict:
            assert not before.status.is_terminal
            return
        assert self.rows() == kept
        self.holder, self.frozen, self.earlier = None, None, self.published
        self.published = None
        self.before = self.job

    @rule(at=st.integers(min_value=0, max_value=200))
    def damage(self, at: int) -> None:
        """A bit flips in a segment; an output that was made of it before stays right."""
        files = sorted(self.segments.iterdir())
        assume(files)
        path = files[at % len(files)]
        data = bytearray(path.read_bytes())
        assume(data)
        data[at % len(data)] ^= 1
        path.write_bytes(data)
        self.damaged = True

    # ---- what must hold -------------------------------------------------------------------------------------------

    def write(self, driver: int, step: object, refusals: tuple[type[Exception], ...] = ()) -> object:
        """What the store answers to a driver; None when it was refused, which whoever does not hold the job must be."""
        fence = self.actors[driver].fence
        try:
            answer = step(fence)  # type: ignore[operator]
        except Fenced:
            return None
        except refusals:
            assert fence == self.holder
            return None
        assert fence == self.holder, "a driver that has lost the job was granted a write"
        return answer

    def counted(self) -> Progress:
        tally = self.store.tally(NAME, self.job.revision)
        return Progress(items_succeeded=tally.succeeded, items_failed=tally.failed_items)

    @invariant()
    def terminal_states_stay(self) -> None:
        job = self.job
        if self.before.status.is_terminal:
            assert (job.status, job.revision) == (self.before.status, self.before.revision)
        self.before = job

    @invariant()
    def no_item_has_two_rows(self) -> None:
        rows = self.rows()
        assert len({row.key for row in rows}) == len(rows)
        assert not lifecycle.overlaps(rows)

    @invariant()
    def a_frozen_ledger_is_constant(self) -> None:
        assert self.frozen is None or self.frozen == self.rows()

    @invariant()
    def rows_point_to_what_was_scored(self) -> None:
        if self.damaged:
            return
        for row in self.rows():
            for part in row.parts:
                data = (self.segments / part.segment).read_bytes()[part.offset : part.offset + part.length]
                assert zlib.crc32(data) == part.crc

    @invariant()
    def an_output_is_what_its_ledger_says(self) -> None:
        job, there = self.job, self.final.read_bytes() if self.final.exists() else None
        if job.status is JobStatus.COMPLETED:
            assert there == self.published
            assert job.progress.items_succeeded == sum(row.succeeded for row in self.rows())
            assert there is not None
            assert [line.split()[1] for line in there.splitlines()] == [
                str(row.first_item).encode() for row in self.rows() if row.succeeded
            ]
        if job.status in (JobStatus.FAILED, JobStatus.CANCELED):
            assert there == self.earlier, "a job that has not been completed has published nothing"


@pytest.mark.parametrize("part", range(2))
def test_no_order_of_steps_breaks_a_job(part: int) -> None:
    # The steps that lead far are few among many: two searches of different length.
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=(25, 10)[part],
            stateful_step_count=(25, 70)[part],
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
