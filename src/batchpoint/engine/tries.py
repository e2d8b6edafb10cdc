"""Remembers, beside the ledger, which tries have failed: the driver that takes a job over goes on counting.

A line for each failed try in ``<job>/tries/<revision>.<epoch>``. Each driver begins its own file with what the one
before it knew, so what a driver writes that has lost the job meanwhile is never read. Nothing is synced: a file
outlives a killed driver all the same, and a power cut costs a few tries more, never a result.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.engine.messages import Failure
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.storage.atomic import write_atomically

#: Characters kept of a failure's message.
MESSAGE_MAX = 2000


@dataclass
class Remembered:
    """What the earlier drivers of a job went through."""

    #: Piece → how many failed executions its items took part in, and what the last one failed with.
    tries: dict[Piece, tuple[int, Failure]] = field(default_factory=dict)
    failed_attempts: int = 0
    #: The first failure that has a traceback, else the first one.
    first_failure: Failure | None = None


class TryRecord:
    """The failed tries of one revision of a job, as one driver sees them."""

    def __init__(self, folder: Path, revision: int, epoch: int) -> None:
        self._folder = folder
        self._revision = revision
        self._epoch = epoch
        self._has_traceback = False

    def recall(self) -> Remembered:
        """What the driver before this one knew; it is known to the next one from here on."""
        remembered = Remembered()
        with contextlib.suppress(OSError):
            self._take_over()
        for said in self._lines():
            self._learn(said, remembered)
        return remembered

    def note(self, piece: Piece | None, tries: int, failure: Failure) -> None:
        """A try has failed, or (without a piece) an init(). A disk that takes no more costs only the memory."""
        lines = failure.message.splitlines() or [""]
        told = {"piece": piece, "n": tries, "code": failure.code, "message": lines[0][:MESSAGE_MAX]}
        if failure.traceback and not self._has_traceback:
            self._has_traceback = True
            told["traceback"] = failure.traceback
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            with self._own.open("ab") as file:
                file.write(json.dumps(told).encode() + b"\n")

    @property
    def _own(self) -> Path:
        return self._folder / f"{self._revision}.{self._epoch}"

    def _take_over(self) -> None:
        before = max((epoch for epoch in self._epochs() if epoch < self._epoch), default=None)
        if before is None or self._own.exists():
            return
        known = (self._folder / f"{self._revision}.{before}").read_bytes()
        # Its driver may have died in the middle of a line.
        write_atomically(self._own, known[: known.rfind(b"\n") + 1])

    def _epochs(self) -> Iterator[int]:
        if self._folder.is_dir():
            for path in self._folder.glob(f"{self._revision}.*"):
                if path.suffix[1:].isdigit():
                    yield int(path.suffix[1:])

    def _lines(self) -> Iterator[dict[str, object]]:
        with contextlib.suppress(OSError), self._own.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def _learn(self, said: dict[str, object], remembered: Remembered) -> None:
        piece, tries = said["piece"], said["n"]
        failure = Failure(str(said["code"]), str(said["message"]), str(said.get("traceback", "")))
        if isinstance(piece, list) and isinstance(tries, int) and tries:
            remembered.tries[Piece(*piece)] = tries, failure
            remembered.failed_attempts += 1
        if failure.traceback or remembered.first_failure is None:
            self._has_traceback |= bool(failure.traceback)
            if remembered.first_failure is None or not remembered.first_failure.traceback:
                remembered.first_failure = failure
