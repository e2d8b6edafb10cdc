"""Brings a folder from elsewhere to this machine: lists it, chooses, and fetches many files at a time.

The engine calls it for inputs, the server for models and code. A file that cannot be fetched costs that file: it is
named with its reason, and what to do about it is the caller's decision.
"""

import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, cast
from urllib.parse import quote

from batchpoint.errors import BatchpointError, InputUnreadable
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.listing import Found, glob_filter

T = TypeVar("T")

#: Files that are fetched at the same time.
HANDS = 16
#: Between two looks at what the hands have done.
_LOOK_S = 0.2
_TELL_EVERY_S = 15.0
#: For the hands to finish what is nearly done when nothing more is wanted.
_LAST_MOMENT_S = 1.0
#: So many failures without one success between them are no accident of single files.
_HOPELESS = 100
_SEGMENT_BYTES = 255


class Place(Protocol):
    """What can be brought."""

    def files(self, folder: str) -> Iterator[Found]:
        """Every file below ``folder``."""
        ...

    def fetch(self, found: Found, target: Path) -> None:
        """Write one to ``target``; raises a BatchpointError that says why not."""
        ...

    def shown(self, path: str) -> str:
        """The path as people write it."""
        ...


@dataclass
class Brought:
    """What has come."""

    #: Relative paths, in the order of their bytes; those that could not be fetched are among them.
    items: list[bytes] = field(default_factory=list)
    #: Those that could not be fetched, and why.
    failed: dict[bytes, str] = field(default_factory=dict)
    hidden: int = 0
    filtered: int = 0


@dataclass(frozen=True)
class Choice:
    """Which files are wanted, and what a long transfer tells its caller."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    #: Items that alone are wanted; None: all of them.
    only: frozenset[bytes] | None = None
    #: True for models and code: their names may begin with anything.
    keeps_hidden: bool = False
    note: Callable[[str], None] = lambda text: None
    #: Called again and again; raises to stop.
    still_wanted: Callable[[], None] = lambda: None


#: Every file that is no hidden one, with nobody to tell.
EVERYTHING = Choice()


def bring(place: Place, folder: str, target: Path, choice: Choice) -> Brought:
    """Fetch what lies below ``folder`` ("" or ending with ``/``) into ``target``; what stands there is kept.

    Raises InputUnreadable when nothing can be fetched, and what listing raises.
    """
    listed = _apart(lambda: list(place.files(folder)), choice.still_wanted)
    brought, wanted = chosen(listed, folder, choice)
    if wanted:
        total = sum(found.size or 0 for _, found in wanted)
        size = f" ({_bytes(total)})" if total else ""
        choice.note(f"Fetching {len(wanted):,} files{size} from {place.shown(folder)}")
        _Transfer(place, target, wanted, brought, choice).run()
    return brought


def bring_file(place: Place, found: Found, target: Path, still_wanted: Callable[[], None]) -> None:
    """Fetch one file. Raises what ``fetch`` raises."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_path(target.parent)
    try:
        _apart(lambda: place.fetch(found, aside), still_wanted)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def chosen(listed: Iterable[Found], folder: str, choice: Choice) -> tuple[Brought, list[tuple[bytes, Found]]]:
    """The plan of a transfer: what is an item, and which of them can be fetched at all."""
    by_name = {found.name.removeprefix(folder): found for found in listed}
    brought = Brought()
    keep = glob_filter(choice.include, choice.exclude)
    hidden: set[str] = set()
    names = []
    for name in by_name:
        begin = None if choice.keeps_hidden else _hidden_part(name)
        if begin is not None:
            hidden.add(begin)
        elif not keep(name):
            brought.filtered += 1
        else:
            names.append(name)
    brought.hidden = len(hidden)
    folders = {name[:at] for name in names for at, letter in enumerate(name) if letter == "/"}
    wanted = []
    for name in sorted(names, key=os.fsencode):
        if name in folders and not by_name[name].size:
            continue  # stands for a folder
        problem = _problem_with(name, name in folders)
        item = os.fsencode(quote(name, safe="", errors="surrogateescape") if problem else name)
        brought.items.append(item)
        if problem:
            brought.failed[item] = problem
        else:
            wanted.append((item, by_name[name]))
    if choice.only is not None:
        brought.items = [item for item in brought.items if item in choice.only]
        brought.failed = {item: why for item, why in brought.failed.items() if item in choice.only}
        wanted = [(item, found) for item, found in wanted if item in choice.only]
    return brought, wanted


def _hidden_part(name: str) -> str | None:
    """The path up to the first part that begins with a dot or an underscore; ``..`` is no such part, but a trap."""
    end = 0
    for part in name.split("/"):
        end += len(part) + 1
        if part[:1] in (".", "_") and part not in (".", ".."):
            return name[: end - 1]
    return None


def _problem_with(name: str, is_folder_too: bool) -> str:
    """Why no file here can have the name, or ""."""
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts):
        return f"the name {name!r} is no path inside a folder; give it another one"
    if any(len(os.fsencode(part)) > _SEGMENT_BYTES for part in parts):
        return f"a part of the name {name[:80]!r}… is longer than {_SEGMENT_BYTES} bytes; give it a shorter one"
    return f"{name!r} is a file and the folder of other files; give it another name" if is_folder_too else ""


class _Transfer:
    """Many files, fetched by a few threads; this one looks on, and keeps the count."""

    def __init__(
        self, place: Place, target: Path, wanted: Sequence[tuple[bytes, Found]], brought: Brought, choice: Choice
    ) -> None:
        self._place = place
        self._target = target
        self._wanted = wanted
        self._brought = brought
        self._choice = choice
        self._work: queue.SimpleQueue[tuple[bytes, Found] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[bytes, int, BatchpointError | OSError | None]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._hands: list[threading.Thread] = []

    def run(self) -> None:
        self._make_folders()
        for one in self._wanted:
            self._work.put(one)
        for _ in range(min(HANDS, len(self._wanted))):
            self._work.put(None)
            # Nobody waits for one that is in the middle of a large file when the job is canceled.
            self._hands.append(threading.Thread(target=self._fetch_all, daemon=True))
            self._hands[-1].start()
        try:
            self._look_on()
        finally:
            self._stop()

    def _stop(self) -> None:
        """The caller may remove what has come: who is about to put a file there, does it before or not at all."""
        self._stopped.set()
        until = time.monotonic() + _LAST_MOMENT_S
        for hand in self._hands:
            hand.join(max(0.0, until - time.monotonic()))

    def _make_folders(self) -> None:
        for folder in {os.path.dirname(item) for item, _ in self._wanted}:  # noqa: PTH120 - paths are bytes here
            self._path(folder).mkdir(parents=True, exist_ok=True)

    def _path(self, item: bytes) -> Path:
        return self._target / os.fsdecode(item)

    def _fetch_all(self) -> None:
        while not self._stopped.is_set() and (one := self._work.get()) is not None:
            item, found = one
            size = 0
            problem: BatchpointError | OSError | None = BatchpointError("a fault that the driver's log describes")
            try:
                size, problem = self._fetch(item, found), None
            except (BatchpointError, OSError) as error:
                problem = error
            except RuntimeError:
                # What the caller has closed meanwhile is used no more.
                if not self._stopped.is_set():
                    raise
            finally:
                self._done.put((item, size, problem))

    def _fetch(self, item: bytes, found: Found) -> int:
        final = self._path(item)
        # An earlier driver may have fetched it; names appear only when they are whole.
        if final.is_file() and (found.size is None or final.stat().st_size == found.size):
            return final.stat().st_size
        aside = aside_path(self._target)
        try:
            self._place.fetch(found, aside)
            aside.replace(final)
        finally:
            aside.unlink(missing_ok=True)
        return final.stat().st_size

    def _look_on(self) -> None:
        done, length, failures, streak, told = 0, 0, 0, 0, time.monotonic()
        while done < len(self._wanted):
            self._choice.still_wanted()
            try:
                item, size, error = self._done.get(timeout=_LOOK_S)
            except queue.Empty:
                self._require_hands()
                continue
            done, length = done + 1, length + size
            streak = 0 if error is None else streak + 1
            if error is not None:
                failures += 1
                self._give_up(
                    item, error, streak, everything=failures == len(self._wanted) and self._choice.only is None
                )
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                self._choice.note(f"{done:,} of {len(self._wanted):,} files fetched ({_bytes(length)})")

    def _require_hands(self) -> None:
        if self._done.empty() and not any(hand.is_alive() for hand in self._hands):
            raise InputUnreadable("The transfer of the input was given up; the driver's log says why.")

    def _give_up(self, item: bytes, error: BatchpointError | OSError, streak: int, everything: bool) -> None:
        reason = error.message if isinstance(error, BatchpointError) else f"{error.strerror or error}"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise InputUnreadable(
                f"The input cannot be stored in {self._target}: {reason}. Make room or check the rights there.",
                target=str(self._target),
            ) from error
        if everything or streak >= _HOPELESS:
            which = "None of the files of the input" if everything else f"{streak} files in a row of the input"
            raise InputUnreadable(f"{which} could be fetched. The last one: {reason}") from error
        self._brought.failed[item] = reason
        self._choice.note(f"{os.fsdecode(item)!r} could not be fetched: {reason}")


def _apart(act: Callable[[], T], still_wanted: Callable[[], None]) -> T:
    """What ``act`` answers or raises, from a thread of its own: a long list must not keep signs of life back."""
    answer: queue.SimpleQueue[tuple[T | None, BatchpointError | OSError | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((act(), None))
        except (BatchpointError, OSError) as error:
            answer.put((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while True:
        still_wanted()
        try:
            found, error = answer.get(timeout=_LOOK_S)
        except queue.Empty:
            if not thread.is_alive() and answer.empty():
                raise InputUnreadable("Reading the input was given up; the driver's log says why.") from None
            continue
        if error is not None:
            raise error
        return cast("T", found)


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,} bytes"
