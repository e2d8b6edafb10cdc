"""What a driver and the store exchange (fence, ledger row, standing), and ``JobLedger``, the driver's slice of a store.

Pure: the engine imports this module, so it must not know SQLAlchemy. ``memory`` and ``store`` implement the protocol.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from batchpoint.entities.job import FailureReason, Job, JobError, JobStatus, Progress


@dataclass(frozen=True)
class ListPart:
    """Which part of a long list is asked for."""

    most: int
    #: Begins with the first that stands before this place in the order of arrival; None: with the newest.
    before: int | None = None
    #: How many are passed over from there.
    skipped: int = 0


@dataclass(frozen=True)
class RequestKey:
    """By what a request is known when its client sends it again, having heard no answer."""

    #: sha256 of the address and of the client's key: nobody meets the keys of another route.
    key: str
    #: sha256 of what is asked for; the same key with anything else is refused.
    asks: str = ""
    #: The key as the client wrote it.
    shown: str = ""


@dataclass(frozen=True)
class Fence:
    """The right to write for one job: only the driver that made the latest claim holds a current one."""

    job: str
    #: Counts up with each redrive or resume of the job.
    revision: int
    #: Counts up with each claim.
    epoch: int
    #: Drawn by the driver; tells two drivers apart even if an epoch was lost with the store's last commits.
    nonce: str


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a segment file that holds rows."""

    #: Name of the segment inside the job's segment folder.
    segment: str
    offset: int
    length: int
    #: zlib.crc32 of the range.
    crc: int


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The outcome of a mini-batch, or of the range of its items that starts at ``first_item``."""

    mini_batch: int
    first_item: int
    items: int
    succeeded: int
    failed_items: int
    #: Lines that the parts hold.
    rows: int
    attempt: int
    #: In output order; empty for a failure.
    parts: tuple[Part, ...]
    #: Stable code; empty unless it failed.
    reason_code: str = ""
    reason: str = ""
    #: Class of what was raised, such as ``ValueError``; empty where nothing was.
    error_type: str = ""
    #: The same for failures of one cause; empty unless it failed.
    fingerprint: str = ""

    def __post_init__(self) -> None:
        # Reasons quote file names and user text: lone surrogates and NUL, which no database takes, are written out.
        if self.reason:
            object.__setattr__(self, "reason", storable(self.reason))

    @property
    def key(self) -> tuple[int, int]:
        """What makes the row unique within a job's revision."""
        return self.mini_batch, self.first_item


@dataclass(frozen=True)
class Tally:
    """Sums over the ledger rows of one revision."""

    #: Mini-batches that have any row.
    mini_batches: int = 0
    items: int = 0
    succeeded: int = 0
    failed_items: int = 0
    #: Lines of the output.
    rows: int = 0


def storable(text: str) -> str:
    """The text with everything written out that a database or JSON in UTF-8 does not take."""
    if not text:
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


@dataclass(frozen=True)
class Standing:
    """What a driver learns from a beat."""

    status: JobStatus
    cancel_requested: bool


@dataclass(frozen=True)
class Claimed:
    """A granted claim."""

    fence: Fence
    job: Job
    #: How many claims took the job over from an earlier driver, this one included.
    driver_deaths: int
    #: sha256 of the output that an earlier revision published and this one may replace; empty: there is none.
    replaces: str = ""


@dataclass(frozen=True)
class Heartbeat:
    """What an observer compares: a driver whose (epoch, beat) stays the same for long enough is taken for dead."""

    epoch: int
    beat: int
    host: str
    pid: int


class JobLedger(Protocol):
    """Who may write for a job, and what is written.

    Each call is one short transaction that may be repeated after an unknown outcome (StoreUnavailable) and answers
    the same. ``Fenced`` means: another driver owns the job, or it has ended; stop and write nothing more.
    An unknown job raises ResourceNotFound.
    """

    def epoch_of(self, job: str) -> int:
        """The epoch of the latest claim; 0 before the first."""

    def heartbeat(self, job: str) -> Heartbeat:
        """The latest sign of life of the job's driver."""

    def claim(self, job: str, observed_epoch: int, nonce: str, host: str, pid: int) -> Claimed | None:
        """Become the driver if the epoch is still the observed one; None: another was faster, or the job has ended."""

    def start(self, fence: Fence, mini_batches: int, items: int) -> None:
        """The plan stands, with so many mini-batches and items: Running. No effect on a job that is further on."""

    def beat(self, fence: Fence, progress: Progress) -> Standing:
        """A sign of life; learns whether somebody asked to cancel."""

    def commit(self, fence: Fence, rows: Sequence[LedgerRow], progress: Progress) -> set[tuple[int, int]]:
        """Enter outcomes whose bytes are durable, while Running; a key that is taken keeps its first row.

        Answers the keys under which these very rows now stand. Once cancel is requested rows are ignored: empty.
        """

    def void(self, fence: Fence, rows: Sequence[LedgerRow]) -> None:
        """Take out rows that the revision carried over and that cannot be kept; only before ``start``."""

    def rows(self, job: str, revision: int, failed_only: bool = False) -> Iterator[LedgerRow]:
        """The rows of the revision in output order, a few at a time; or only those with failed items."""

    def ledger(self, job: str, revision: int) -> list[LedgerRow]:
        """Every row of the revision at once."""
        return list(self.rows(job, revision))

    def tally(self, job: str, revision: int) -> Tally:
        """Sums over the rows of the revision."""

    def freeze(self, fence: Fence) -> None:
        """Running → Finalizing: from here on the ledger is constant and cancel comes too late.

        Raises CancelRequested (a Fenced) if cancel came first, InternalError if the ledger lacks items.
        """

    def complete(
        self,
        fence: Fence,
        sha256: str,
        length: int,
        progress: Progress,
        failures: Sequence[FailureReason],
        properties: Mapping[str, str],
    ) -> None:
        """Finalizing → Completed, with the published output's hash and length; ``properties`` join the job's."""

    def fail(self, fence: Fence, error: JobError, progress: Progress, failures: Sequence[FailureReason]) -> None:
        """Any status that is not terminal → Failed."""

    def canceled(self, fence: Fence, progress: Progress) -> None:
        """CancelRequested → Canceled."""

    def published_outputs(self) -> list[tuple[str, str]]:
        """Every job whose output goes to a folder of the server's machine, and that folder."""

    def output_of(self, job: str) -> tuple[str, int] | None:
        """Hash and length of the output that the job published; None before that."""
