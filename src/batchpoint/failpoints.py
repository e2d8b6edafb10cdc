"""Named points in the life of a driver at which a test has it killed, stopped or struck by an error.

Whoever takes such a step says ``reach``; without ``BATCHPOINT_FAILPOINT`` that is one look into an empty dictionary.
The driver process arms them; knows nothing of what happens at a point.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from batchpoint.errors import StoreUnavailable, UserError

#: Every point, in the order in which a job passes it. A worker appends its own results, so what a driver can meet of an
#: append is what has arrived of it: the row is there and its bytes are not on disk (D7), or only some are (D8).
POINTS: dict[str, str] = {
    "D0": "about to claim the job",
    "D1": "claimed, nothing listed",
    "D2": "listed, nothing written",
    "D3": "the items of the plan are written, its header is not",
    "D4": "the plan is frozen, the job not yet running",
    "D5": "a mini-batch is handed out",
    "D6": "an answer has arrived, nobody has looked at it",
    "D7": "rows wait for their commit, their segments are not synced",
    "D8": "segments are synced, their names are not",
    "D9": "all bytes of a commit are on disk, its rows are not in the ledger",
    "D10": "the ledger has committed, its answer is under way",
    "D11": "committed, nobody told",
    "D12": "all is scored, the ledger not frozen",
    "D13": "the ledger is frozen",
    "D14": "a part of the output is gathered",
    "D15": "the output is synced under its other name",
    "D16": "the output has its name, which is not synced",
    "D17": "published, not Completed",
    "D18": "the store says Completed, its answer is under way",
    "D19": "Completed, nothing tidied",
    "D20": "half of it tidied",
}


@dataclass
class _Trap:
    act: Callable[[str], None]
    #: How often the point is still passed unharmed.
    spared: int


_armed: dict[str, _Trap] = {}


def reach(point: str) -> None:
    """Say that ``point`` is reached; does what a test has armed it with, which may be the end of this process."""
    if point in _armed:
        _spring(point)


def arm(text: str) -> None:
    """Arm the points that a text like ``D7:kill`` or ``D9:raise,D12:stop:3`` names; the number counts from 1.

    Actions: kill, stop (both by signal), raise, and lose (the answer of the store does not arrive). Raises UserError.
    """
    _armed.clear()
    for entry in filter(None, text.split(",")):
        point, _, rest = entry.partition(":")
        action, _, number = rest.partition(":")
        count = number or "1"
        if point not in POINTS or action not in _ACTIONS or not count.isdecimal() or int(count) < 1:
            raise UserError(
                f"BATCHPOINT_FAILPOINT has {entry!r}, which is not POINT:ACTION or POINT:ACTION:NUMBER. Points: D0 to "
                f"D20; actions: {', '.join(_ACTIONS)}. It is meant for tests; unset it.",
                target="BATCHPOINT_FAILPOINT",
            )
        _armed[point] = _Trap(_ACTIONS[action], int(count) - 1)


def _spring(point: str) -> None:
    trap = _armed[point]
    if trap.spared:
        trap.spared -= 1
        return
    del _armed[point]
    trap.act(point)


def _kill(point: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(point: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise(point: str) -> None:
    # A fault of ours that nobody foresaw.
    raise RuntimeError(f"failpoint {point}: {POINTS[point]}")


def _lose(point: str) -> None:
    raise StoreUnavailable(f"The answer of the store was lost at failpoint {point}: {POINTS[point]}.")


_ACTIONS: dict[str, Callable[[str], None]] = {"kill": _kill, "stop": _stop, "raise": _raise, "lose": _lose}
