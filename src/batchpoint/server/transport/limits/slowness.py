"""How long a client may take: for its headers, for each part of a body, and to read what it is answered.

The protocol in ``connections`` asks at each of its ticks. It knows the bytes that have moved and a clock, no socket.
"""

from dataclasses import dataclass
from typing import Literal, Self

from batchpoint.settings import Settings

#: Bytes that must move in each ``body_s``.
LEAST_BYTES = 64 << 10

Stage = Literal["idle", "head", "body", "work", "answer", "rest"]


@dataclass(frozen=True)
class Patience:
    """What the operator decided, in seconds."""

    #: From the first byte of a request, or from the beginning of the connection, to the end of the headers.
    head_s: float = 10.0
    #: For ``LEAST_BYTES`` of a body or of an answer.
    body_s: float = 30.0
    #: For what is still on the way when its answer has been given.
    rest_s: float = 5.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        head, body = settings.head_patience_s, settings.slow_client_patience_s
        return cls(head, body, min(cls.rest_s, head, body))

    @property
    def tick_s(self) -> float:
        """How often a connection is looked at."""
        return max(0.05, min(self.head_s, self.body_s, self.rest_s) / 4)


class Watch:
    """One connection: in which stage it is, since when, and how much has moved in it."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._stage: Stage = "head"
        self._since = now
        self._moved = 0

    def moved(self, count: int) -> None:
        """So many bytes came, or went."""
        self._moved += count

    def is_too_slow(self, stage: Stage, now: float) -> bool:
        """Whether the client has had its time, given what it is at now."""
        if stage != self._stage or stage in ("idle", "work"):
            self._begin(stage, now)
            return False
        if stage in ("body", "answer") and self._moved >= LEAST_BYTES:
            self._begin(stage, now)
            return False
        allowed = {"head": self._patience.head_s, "rest": self._patience.rest_s}.get(stage, self._patience.body_s)
        return now - self._since >= allowed

    def _begin(self, stage: Stage, now: float) -> None:
        self._stage, self._since, self._moved = stage, now, 0
