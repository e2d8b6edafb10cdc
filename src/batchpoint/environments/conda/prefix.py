"""What the builder and the process that makes a conda prefix say to each other. Pure."""

from dataclasses import asdict, dataclass
from typing import Any

#: Exit codes, beside 0 for a prefix that is made.
FAILED = 1
NO_CHANNEL = 3
#: In front of a line that a person should see with the job, not only in the log.
NOTE = "note: "


@dataclass(frozen=True)
class Prefix:
    """What to make, and where."""

    #: Folder that becomes the prefix.
    path: str
    #: Folder that keeps the lock.
    folder: str
    #: Addresses of channels, the first first; they may hold credentials.
    channels: tuple[str, ...]
    #: What is asked for, ``numpy >=1.18``, and the address of the one channel that it must come from, or "".
    packages: tuple[tuple[str, str], ...]
    #: Seconds within which a channel must have sent its index.
    patience_s: float
    #: True where only channels on this machine are asked.
    is_offline: bool

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Prefix":
        """Raises ValueError for what ``document`` did not write."""
        try:
            values = {
                **document,
                "channels": tuple(document["channels"]),
                "packages": tuple((match, channel) for match, channel in document["packages"]),
            }
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"the document on stdin cannot be read: {error}") from error
