"""What the dispatcher is told (events) and what it wants done (actions); and the worker's lines turned into events.

The driver carries both. The lines are described in ``batchpoint_worker/protocol.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchpoint.compute.pool import Slot
from batchpoint.engine.preparation.pieces import Coverage, Piece
from batchpoint.store.records import storable

#: Version of the worker protocol that this engine speaks.
PROTOCOL = 1
#: Beyond every number that a worker can mean, within what a database takes.
COUNT_MAX = 1 << 62
#: The counts of an answer, in the order of the event's fields.
_SCORED = ("m", "a", "n", "rows", "off", "len", "crc")
_FAILED = ("m", "a")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or an init() failed: a stable code, one line for people, and the user's traceback."""

    code: str
    message: str
    traceback: str = ""

    def __post_init__(self) -> None:
        # Whatever the user's code says: file names that are no text, half characters.
        object.__setattr__(self, "message", storable(self.message))
        object.__setattr__(self, "traceback", storable(self.traceback))


# ---- from workers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """init() returned; the worker takes work."""

    worker: int
    #: Version of the user's interpreter, its process id, and the machine that both are of.
    python: str = ""
    pid: int = 0
    host: str = ""
    init_s: float = 0.0


@dataclass(frozen=True, slots=True)
class InitFailed:
    """The script could not be loaded, or init() raised; the worker is about to exit."""

    worker: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Scored:
    """One mini-batch was scored and its rows lie in the worker's segment (not yet synced)."""

    worker: int
    mini_batch: int
    attempt: int
    #: Elements that run() returned; each counts as one succeeded item.
    results: int
    rows: int
    offset: int
    length: int
    crc: int
    #: Of the whole mini-batch, and of run() alone.
    seconds: float
    run_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """run() raised, or returned something that cannot be written."""

    worker: int
    mini_batch: int
    attempt: int
    failure: Failure
    seconds: float
    run_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker process ended without being told to."""

    worker: int
    failure: Failure
    #: True when it died of its own doing; False for a kill from outside that nothing explains.
    own_doing: bool


# ---- from the driver ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanReady:
    """The plan stands; ``covered`` knows how it is cut and what the ledger has of it already.

    ``tries`` are those that earlier drivers counted for the rest, each with the failure of the last one.
    """

    covered: Coverage
    first_failure: Failure | None = None
    tries: Mapping[Piece, tuple[int, Failure]] = field(default_factory=dict)
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody asked to stop the job."""


Event = Ready | InitFailed | Scored | Failed | WorkerGone | PlanReady | Cancel


# ---- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker with this new number in this slot."""

    worker: int
    slot: Slot


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End a worker and its children now."""

    worker: int


@dataclass(frozen=True, slots=True)
class RetireWorker:
    """Let a worker that holds nothing call shutdown() and end: it has scored as many mini-batches as it may."""

    worker: int


@dataclass(frozen=True, slots=True)
class Score:
    """Give a worker these pieces, in this order: pairs of (piece, attempt)."""

    worker: int
    #: A mini-batch has one counter of attempts for all its pieces: with it, an answer names one execution.
    work: tuple[tuple[Piece, int], ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """Enter a scored piece in the ledger."""

    piece: Piece
    scored: Scored
    #: Items that run() did not account for.
    items_failed: int
    #: Executions that its items took part in, this one included.
    tries: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Enter a piece in the ledger as failed for good."""

    piece: Piece
    failure: Failure
    #: Executions that its items took part in.
    tries: int


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """Write a failed attempt or init() to the user's error log."""

    worker: int
    piece: Piece | None
    failure: Failure
    #: Executions that the piece's items took part in, this one included; 0 where it costs none.
    tries: int = 0
    attempt: int = 0
    #: Of the whole attempt, and of run() alone.
    seconds: float = 0.0
    run_s: float = 0.0
    #: True when its halves are tried by themselves from here on.
    halved: bool = False


@dataclass(frozen=True, slots=True)
class HoldBack:
    """A worker had no room for its rows: the dispatcher hands nothing out until it is told to go on."""


@dataclass(frozen=True, slots=True)
class EndJob:
    """Nothing more to dispatch: every mini-batch is settled (no failure), or the job must stop."""

    failure: Failure | None = None
    canceled: bool = False


Action = StartWorker | KillWorker | RetireWorker | Score | Keep | GiveUp | NoteFailure | HoldBack | EndJob


def parse(worker: int, line: bytes) -> Event | None:
    """The event in a worker's line; None for lines that carry none.

    Raises ValueError when the line is not of the protocol.
    """
    try:
        said = json.loads(line.decode())
        kind = said["t"]
        if kind == "Scored":
            mini_batch, attempt, results, rows, offset, length, crc = _counts(said, _SCORED)
            seconds, run_s = _seconds(said, "s"), _seconds(said, "r")
            return Scored(worker, mini_batch, attempt, results, rows, offset, length, crc, seconds, run_s)
        if kind == "Failed":
            mini_batch, attempt = _counts(said, _FAILED)
            return Failed(worker, mini_batch, attempt, _failure(said), _seconds(said, "s"), _seconds(said, "r"))
        if kind == "Ready":
            return _ready(worker, said)
        if kind == "InitFailed":
            return InitFailed(worker, _failure(said))
        if kind == "Bye":
            return None
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not a worker's line: {line[:200]!r}") from error
    raise ValueError(f"not a worker's line: {line[:200]!r}")


def _counts(said: Mapping[str, Any], names: tuple[str, ...]) -> list[int]:
    counts = [said[name] for name in names]
    for count in counts:
        if type(count) is not int or not 0 <= count < COUNT_MAX:
            raise TypeError("not a count")
    return counts


def _ready(worker: int, said: Mapping[str, Any]) -> Ready:
    (pid,) = _counts(said, ("pid",))
    return Ready(worker, str(said["python"]), pid, str(said["host"]), _seconds(said, "init_s"))


def _seconds(said: Mapping[str, Any], name: str) -> float:
    seconds = float(said[name])
    if not 0 <= seconds < COUNT_MAX:
        raise TypeError("not a duration")
    return seconds


def _failure(said: Mapping[str, Any]) -> Failure:
    return Failure(str(said["code"]), str(said["message"]), str(said["traceback"]))


def line(message: dict[str, object]) -> bytes:
    """One line for a worker."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
