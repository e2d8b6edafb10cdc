"""Patience with full disks: a job that runs out of room waits, says for what, and goes on when there is room again.

``engine.run`` puts it around what writes large files, the driver asks it before it hands out work again after a worker
could not write its rows. It knows no job; clock, sleep and who is told are given to it.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batchpoint.errors import BatchpointError, NoSpaceLeft
from batchpoint.storage.atomic import aside_path

T = TypeVar("T")

#: What the system says of a disk without room, and of a user whose share of it is used up.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: What it says of a disk that fails, or whose server is gone.
FAULTY = frozenset({errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT})
#: Room enough to go on: so many bytes, or this share of a small disk.
ENOUGH_B, ENOUGH_SHARE = 64 << 20, 0.05
#: Bytes that are written to see whether they can be.
_PROBE_B = 1 << 16
#: Seconds between two looks.
LOOK_EVERY_S = 1.0
#: The same when there was room before, and again too little: gathering a large output takes its time.
LONGEST_PAUSE_S = 30.0


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error, however often it was raised anew since."""
    return _number_behind(error) in FULL


def is_faulty(error: BaseException | None) -> bool:
    """Whether a disk that fails is behind an error."""
    return _number_behind(error) in FAULTY


def _number_behind(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__
    return None


def free_bytes(place: Path) -> int:
    """What a user may still write where ``place`` is, or will be made."""
    found = os.statvfs(_standing(place))
    return found.f_bavail * found.f_frsize


def has_room(place: Path) -> bool:
    """Whether it is worth another try to write below ``place``."""
    there = _standing(place)
    found = os.statvfs(there)
    if found.f_bavail * found.f_frsize < min(ENOUGH_B, int(ENOUGH_SHARE * found.f_blocks * found.f_frsize)):
        return False
    return _can_write(there)


def _can_write(folder: Path) -> bool:
    # A quota shows in no number.
    probe = aside_path(folder)
    try:
        with probe.open("xb") as file:
            file.write(bytes(_PROBE_B))
    except OSError as error:
        return error.errno not in FULL
    finally:
        probe.unlink(missing_ok=True)
    return True


def _standing(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.is_dir())


class Room:
    """How long a job has waited for room, and for which."""

    def __init__(
        self,
        patience_s: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        tell: Callable[[str], None],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        #: Told when the job begins to wait, and when it goes on.
        self._tell = tell
        self._look_every_s = look_every_s
        self._place: Path | None = None
        self._what = self._told = ""
        #: When the job began to wait; None: it has got on since.
        self._since: float | None = None
        self._next_look = 0.0
        self._pause_s = look_every_s

    @property
    def sentence(self) -> str:
        """What the job waits for; empty while it goes on."""
        return self._told

    @property
    def is_short(self) -> bool:
        """True while the job waits."""
        return self._place is not None

    def ran_out(self, place: Path, what: str) -> None:
        """``what``, which goes below ``place``, could not be written. Raises NoSpaceLeft when patience is used up."""
        now = self._clock()
        if self._place is not None:
            return
        self._place, self._what = place, what
        if self._since is None:
            self._since, self._pause_s = now, self._look_every_s
        else:
            # There is room, and not enough of it: trying so may be costly.
            self._require_patience(now)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._next_look = now + self._pause_s
        self._told = self._explained()
        self._tell(self._told)

    def is_back(self) -> bool:
        """Whether there is room again, looked at now and then. Raises NoSpaceLeft when the patience is used up."""
        now = self._clock()
        if self._place is None or now < self._next_look:
            return self._place is None
        self._next_look = now + self._look_every_s
        if has_room(self._place):
            self._place, self._told = None, ""
            self._tell("There is room again: the job goes on.")
            return True
        self._require_patience(now)
        return False

    def got_on(self) -> None:
        """Something was written: the next shortage has all the patience again."""
        if self._place is None:
            self._since = None

    def patiently(self, act: Callable[[], T], place: Path, what: str, meanwhile: Callable[[], None]) -> T:
        """What ``act`` answers; while a full disk keeps it from that, it is repeated when there is room again.

        After an error of the disk it is repeated once: it writes new files, and trusts none that could not be synced.
        ``meanwhile`` is called while waiting, and may raise. Raises NoSpaceLeft.
        """
        has_failed = False
        while True:
            try:
                answer = act()
            except (BatchpointError, OSError) as error:
                if is_faulty(error) and not has_failed:
                    has_failed = True
                    self._tell(f"The disk of {place} reported an error, trying once more: {error}")
                    continue
                if not is_full(error):
                    raise
                self.ran_out(place, what)
            else:
                self.got_on()
                return answer
            while not self.is_back():
                meanwhile()
                self._sleep(min(0.1, self._look_every_s))

    def _require_patience(self, now: float) -> None:
        waited = 0.0 if self._since is None else now - self._since
        if waited >= self._patience_s:
            raise NoSpaceLeft(
                f"{self._missing()} The job waited {waited:.0f} s for room there (storage_patience_s). "
                "What was scored is kept: make room, then resume the job.",
                target=str(self._place),
            )

    def _missing(self) -> str:
        assert self._place is not None
        return f"No room for {self._what}: {size(free_bytes(self._place))} are free where {self._place} stands."

    def _explained(self) -> str:
        return (
            f"Waiting for space. {self._missing()} Make room there, and the job goes on by itself; "
            f"it fails after {self._patience_s:g} s."
        )


def size(count: int) -> str:
    """A number of bytes as people read it."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count:,} bytes"
