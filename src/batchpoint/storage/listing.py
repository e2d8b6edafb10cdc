"""Owns the list of a job's input: which files there are, in which order, and what was left out.

The engine calls it once before it plans. It looks at names only: no file is opened and none is asked for its size.
"""

# Paths are bytes here, which pathlib does not know.
# ruff: noqa: PTH116, PTH118
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from batchpoint.errors import InputUnreadable

_HIDDEN = frozenset(b"._")
#: Names of one folder that are read between two signs of life.
_AT_ONCE = 5000


@dataclass(frozen=True)
class Found:
    """A file in a place that can be listed but has no paths of this machine."""

    #: Where it is, from the beginning of its datastore or website folder.
    name: str
    #: Bytes; None where the place does not say.
    size: int | None = None


@dataclass(frozen=True)
class Listing:
    """The files of one input."""

    #: Absolute folder that ``items`` are relative to.
    root: str
    #: Relative paths as the file system spells them (``os.fsencode``), in the order of their bytes.
    items: list[bytes]
    #: Names passed over because they start with ``.`` or ``_``; a folder counts once.
    hidden: int = 0
    #: Files that ``include`` or ``exclude`` left out.
    filtered: int = 0
    #: Sockets, pipes and devices: reading one could wait for ever.
    special: int = 0
    #: Symbolic links that lead back to a folder they lie in.
    loops: int = 0

    def __len__(self) -> int:
        return len(self.items)


def list_folder(
    folder: Path,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    still_wanted: Callable[[], None] = lambda: None,
) -> Listing:
    """Every file below ``folder``, symbolic links followed. Raises InputUnreadable.

    ``still_wanted`` is called again and again meanwhile and raises to stop.

    A glob without ``/`` is compared with the file's name at any depth, one with ``/`` with the whole relative path;
    ``**`` stands for any number of folders, and a trailing ``/`` for everything below that folder.
    """
    root = folder.absolute()
    if not root.is_dir():
        raise InputUnreadable(_why_not_a_folder(root), target=str(root))
    walk = _Walk(os.fsencode(root), still_wanted)
    walk.run()
    wanted = walk.items
    if include or exclude:
        keep = glob_filter(include, exclude)
        wanted = [item for item in wanted if keep(os.fsdecode(item))]
    wanted.sort()
    return Listing(str(root), wanted, walk.hidden, len(walk.items) - len(wanted), walk.special, walk.loops)


def list_file(path: Path) -> Listing:
    """The one-item list of a ``uri_file`` input. Raises InputUnreadable."""
    path = path.absolute()
    if path.is_dir():
        raise InputUnreadable(
            f"The input {path} is a folder, but its type is uri_file. Invoke with --input-type uri_folder.",
            target=str(path),
        )
    if not path.is_file():
        raise InputUnreadable(_missing(path, "file"), target=str(path))
    return Listing(str(path.parent), [os.fsencode(path.name)])


def _why_not_a_folder(root: Path) -> str:
    if root.is_file():
        return f"The input {root} is a file, but its type is uri_folder. Invoke with --input-type uri_file."
    return _missing(root, "folder")


def _missing(path: Path, kind: str) -> str:
    if path.is_symlink():
        return f"The input {path} is a symbolic link to {path.readlink()}, which does not exist. Mend or remove it."
    try:
        path.stat()
    except FileNotFoundError:
        return f"The input {path} does not exist on this machine. Check the path; it must name a {kind}."
    except OSError as error:
        return _unreadable(str(path), error)
    return f"The input {path} is neither a file nor a folder. Name a {kind} that holds the data."


def _unreadable(path: str, error: OSError) -> str:
    return (
        f"The input {path} cannot be read: {error.strerror or error}. "
        "Give the user that runs Batchpoint the right to read it, or leave it out of the input, and invoke again."
    )


class _Walk:
    """One pass over a folder tree; flat loops, because this runs once per file."""

    def __init__(self, root: bytes, still_wanted: Callable[[], None]) -> None:
        self.items: list[bytes] = []
        self.hidden = 0
        self.special = 0
        self.loops = 0
        self._root = root
        self._still_wanted = still_wanted
        #: Relative folders still to read, each with a trailing ``/`` unless it is the root.
        self._ahead = [b""]

    def run(self) -> None:
        while self._ahead:
            prefix = self._ahead.pop()
            try:
                with os.scandir(os.path.join(self._root, prefix)) as entries:
                    while some := list(islice(entries, _AT_ONCE)):
                        self._read(prefix, some)
                        self._still_wanted()
            except OSError as error:
                path = os.fsdecode(os.path.join(self._root, prefix)).rstrip("/")
                raise InputUnreadable(_unreadable(path, error), target=path) from error

    def _read(self, prefix: bytes, entries: Iterable["os.DirEntry[bytes]"]) -> None:
        items = self.items
        hidden = _HIDDEN
        for entry in entries:
            name = entry.name
            if name[0] in hidden:
                self.hidden += 1
            elif entry.is_file(follow_symlinks=False):
                items.append(prefix + name if prefix else name)
            elif entry.is_dir(follow_symlinks=False):
                self._ahead.append(prefix + name + b"/")
            elif entry.is_symlink():
                self._follow(prefix, entry)
            else:
                self.special += 1

    def _follow(self, prefix: bytes, link: "os.DirEntry[bytes]") -> None:
        path = prefix + link.name
        try:
            target = os.stat(link.path)
        except OSError:
            # A link to nothing stays in the list: reading it fails and is counted, instead of going unnoticed.
            self.items.append(path)
            return
        if stat.S_ISREG(target.st_mode):
            self.items.append(path)
        elif not stat.S_ISDIR(target.st_mode):
            self.special += 1
        elif self._leads_back(prefix, target):
            self.loops += 1
        else:
            self._ahead.append(path + b"/")

    def _leads_back(self, prefix: bytes, target: os.stat_result) -> bool:
        depth = prefix.count(b"/")
        ancestors = (prefix.split(b"/")[:count] for count in range(depth + 1))
        return any(os.path.samestat(target, os.stat(os.path.join(self._root, *parts))) for parts in ancestors)


def glob_filter(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a relative path is wanted. Raises InputUnreadable for a glob that is none."""
    included = _any_of(include) if include else re.compile("")
    excluded = _any_of(exclude) if exclude else None

    def keep(path: str) -> bool:
        return included.match(path) is not None and (excluded is None or excluded.match(path) is None)

    return keep


def _any_of(globs: Sequence[str]) -> re.Pattern[str]:
    for glob in globs:
        try:
            re.compile(_glob_regex(glob))
        except re.error as error:
            raise InputUnreadable(
                f"The pattern {glob!r} of include or exclude cannot be read: {error}. "
                "Use *, ?, [abc], [!abc] and ** only; write [[] for a bracket.",
                target=glob,
            ) from error
    return re.compile("|".join(map(_glob_regex, globs)))


def _glob_regex(glob: str) -> str:
    anchored = "/" in glob.rstrip("/")
    below = glob.endswith("/")
    segments = [segment for segment in glob.split("/") if segment not in ("", ".")]
    if below and segments[-1:] != ["**"]:
        segments.append("**")
    if not anchored:
        segments.insert(0, "**")
    regex = ""
    for position, segment in enumerate(segments):
        is_last = position == len(segments) - 1
        if segment == "**":
            regex += ".*" if is_last else "(?:.*/)?"
        else:
            regex += _segment_regex(segment) + ("" if is_last else "/")
    return rf"(?s:{regex})\Z"


def _segment_regex(segment: str) -> str:
    # What stands before, between and behind the stars.
    parts = [""]
    for piece in re.findall(r"\[!?\]?[^\]]*\]|.", segment, re.DOTALL):
        if piece == "*":
            parts.append("")
        elif piece == "?":
            parts[-1] += "[^/]"
        elif len(piece) > 2 and piece.startswith("["):
            inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            parts[-1] += "[^/" + inside[1:] + "]" if inside.startswith("!") else "[" + inside.replace("^", "\\^") + "]"
        else:
            parts[-1] += re.escape(piece)
    first, *others = parts
    # What stands between two stars may as well be the first that fits: to try all others would take for ever.
    between = "".join(f"(?>[^/]*?{one})" for one in others[:-1])
    return f"{first}{between}[^/]*{others[-1]}" if others else first
