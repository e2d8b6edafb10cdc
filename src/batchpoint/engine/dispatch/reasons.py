"""Finds the cause of a failure, and groups failures by it: a thousand of one kind are one line for people.

The driver asks for the cause when it enters a failure in the ledger, the last steps group the rows at the end. Pure.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from batchpoint.engine.messages import Failure
from batchpoint.entities.job import FailureReason
from batchpoint.store.records import LedgerRow

#: What differs between two failures of one kind: quoted names and values, addresses, and numbers.
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|0x[0-9a-fA-F]+|\d+")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
#: A frame of a traceback, perhaps inside an exception group; Python leaves out a line of source that it cannot read.
_FRAME = re.compile(
    r'^(?: *\| )*  File "(?P<file>[^"\n]*)", line \d+(?:, in (?P<function>.*))?(?:\n(?: *\| )*    (?P<source>.*))?$',
    re.MULTILINE,
)
#: Where the worker took the middle out of a text that was too long, with the torn line before it and after it.
_CUT = re.compile(r"[^\n]*\n\.\.\. \d+ characters left out \.\.\.\n[^\n]*")
#: The worker's message begins with the class of what was raised.
_RAISED = re.compile(r"[^\W\d]\w*")
_FINGERPRINT_LENGTH = 12

#: Groups that are told; those that cost fewest items are one.
GROUPS_MAX = 20
#: Groups that are told apart while the rows go by; a message that never repeats must not fill the memory.
_KINDS_MAX = 2000
OTHERS = ("Other", "other reasons; see logs/user/error.txt")


def cause(failure: Failure) -> tuple[str, str]:
    """Class of what the user's code raised ("" where it raised nothing), and the fingerprint of the failure's cause.

    Two failures have one fingerprint when they have code, class and the frames of the traceback in common: the names
    of files and functions, and the text of the lines. The numbers of the lines do not count, since a comment further
    up moves them; nor do folders, since an upload, a node and a new deployment each have their own. Without a
    traceback the message counts, less what differs from item to item.
    """
    raised = _RAISED.match(failure.message) if failure.traceback else None
    error_type = raised.group() if raised else ""
    frames = list(dict.fromkeys(_frames(failure.traceback)))
    traits = [failure.code, error_type, *frames] if frames else [failure.code, error_type, _general(failure.message)]
    digest = hashlib.sha256("\0".join(traits).encode("utf-8", "backslashreplace"))
    return error_type, digest.hexdigest()[:_FINGERPRINT_LENGTH]


def _frames(traceback: str) -> Iterator[str]:
    """Each frame without what differs between runs; a recursion repeats itself, so the caller keeps each one once."""
    for found in _FRAME.finditer(_CUT.sub("", traceback)):
        file, function, source = (found[name] or "" for name in ("file", "function", "source"))
        yield "\n".join([_NUMBER.sub("#", re.split(r"[/\\]", file)[-1]), _NUMBER.sub("#", function), source.strip()])


def _general(message: str) -> str:
    return _PARTICULAR.sub("#", message)


@dataclass(slots=True)
class _Kind:
    """The failures of one cause, as far as they were seen."""

    code: str
    message: str
    fingerprint: str
    #: Mini-batch and place in the plan of the first item.
    first: tuple[int, int]
    items: int = 0
    mini_batches: int = 0
    last_mini_batch: int = field(default=-1)

    def add(self, row: LedgerRow) -> None:
        self.items += row.failed_items
        # Rows come in the order of the mini-batches, and those of one may be many.
        self.mini_batches += row.mini_batch != self.last_mini_batch
        self.last_mini_batch = row.mini_batch

    def take_in(self, other: "_Kind") -> None:
        self.items += other.items
        self.mini_batches += other.mini_batches
        self.first = min(self.first, other.first)


def group(rows: Iterable[LedgerRow], example_of: Callable[[int, int], str]) -> tuple[FailureReason, ...]:
    """The causes in ``rows``, which come in output order; the one that cost most items first.

    ``example_of`` gives the path of an item by its mini-batch and its place in the plan.
    """
    kinds: dict[tuple[str, str], _Kind] = {}
    for row in rows:
        if not row.failed_items:
            continue
        key = (row.reason_code, row.fingerprint or _general(row.reason))
        if key not in kinds and len(kinds) >= _KINDS_MAX:
            key = OTHERS
        if key not in kinds:
            kinds[key] = _Kind(*_told(key, row), row.key)
        kinds[key].add(row)
    return tuple(
        FailureReason(
            code=kind.code,
            message=kind.message,
            mini_batches=kind.mini_batches,
            items=kind.items,
            example=example_of(*kind.first),
            fingerprint=kind.fingerprint,
        )
        for kind in _told_of(kinds)
    )


def _told(key: tuple[str, str], row: LedgerRow) -> tuple[str, str, str]:
    return (*OTHERS, "") if key == OTHERS else (row.reason_code, row.reason, row.fingerprint)


def _told_of(kinds: dict[tuple[str, str], _Kind]) -> list[_Kind]:
    """The kinds that cost most, and one for all others."""
    rest = kinds.pop(OTHERS, None)
    found = sorted(kinds.values(), key=lambda kind: (-kind.items, kind.code, kind.message, kind.first))
    if rest is None and len(found) <= GROUPS_MAX:
        return found
    rest = rest or _Kind(*OTHERS, "", found[GROUPS_MAX - 1].first)
    for kind in found[GROUPS_MAX - 1 :]:
        rest.take_in(kind)
    return [*found[: GROUPS_MAX - 1], rest]
