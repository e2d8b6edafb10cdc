"""The open files of a worker: the plan it reads, the segment it appends to, and the descriptors under both.

Used by the session and the protocol; knows nothing of lines or scripts. User code may close a descriptor or use its
number for a file of its own, so each one is recognised before it is used.
"""

import errno
import os
import sys
import zlib

MYPY = False
if MYPY:
    from collections.abc import Iterable

# Scripts replace functions of these modules; the worker keeps the ones it started with.
_close, _exit, _fstat, _open, _pread, _write = os.close, os._exit, os.fstat, os.open, os.pread, os.write
_ftruncate, _getpid = os.ftruncate, os.getpid
_set_inheritable = os.set_inheritable
_crc32 = zlib.crc32

#: Exit status of a worker whose descriptors were closed by its script.
CHANNEL_CLOSED = 97
#: Exit status of a worker that was told something it cannot follow.
CANNOT_GO_ON = 98

CLOSED_BY_SCRIPT = (
    "HarnessChannelClosed: the scoring script closed file descriptors that it had not opened (%s). "
    "Close only files that the script opened itself."
)


def die(status: int, sentence: str) -> None:
    """Leaves at once, saying why on descriptor 2 whatever became of sys.stderr."""
    try:
        _write(2, ("batchpoint_worker: " + sentence + "\n").encode("utf-8", "backslashreplace"))
    except OSError:
        pass
    _exit(status)


class Descriptor:
    """A descriptor, and the file that it meant when it was handed to us."""

    __slots__ = ("_identity", "_name", "number")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self._name = name
        found = _fstat(number)
        self._identity = (found.st_dev, found.st_ino)
        _set_inheritable(number, False)

    def is_ours(self) -> bool:
        """Whether the number still means the same file."""
        try:
            found = _fstat(self.number)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def demand(self) -> int:
        """The number; the worker ends here if its script took the file away."""
        if not self.is_ours():
            die(CHANNEL_CLOSED, CLOSED_BY_SCRIPT % self._name)
        return self.number

    def write(self, data: bytes) -> None:
        """Writes all of it, however short the single writes are."""
        number = self.demand()
        written = _write(number, data)
        while written < len(data):
            data = data[written:]
            written = _write(number, data)

    def close(self) -> None:
        """Closes the file unless that has been done already."""
        if self.is_ours():
            _close(self.number)


class SegmentUnwritable(Exception):
    """Rows could not be written: the disk, not the script, is at fault."""


class Segment:
    """The file that the rows of this worker go to, one mini-batch after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY
        self.descriptor = Descriptor(_open(path, flags, 0o644), "the segment file")
        self._offset = 0
        self._pid = _getpid()

    def append(self, pieces: "Iterable[bytes]") -> "tuple[int, int, int]":
        """Appends the rows of one mini-batch; says where they stand: offset, length, CRC.

        Raises SegmentUnwritable, and what ``pieces`` raise; nothing of them is then in the segment.
        """
        offset, length, crc = self._offset, 0, 0
        try:
            for piece in pieces:
                self._write(piece)
                length += len(piece)
                crc = _crc32(piece, crc)
        except BaseException:
            self._take_back(offset)
            raise
        self._offset = offset + length
        return offset, length, crc

    def _write(self, piece: bytes) -> None:
        if _getpid() != self._pid:
            _exit(0)  # forked while the rows were made: they are the worker's, not this child's
        try:
            self.descriptor.write(piece)
        except OSError as error:
            raise SegmentUnwritable("%s: %s" % (self._path, error.strerror or error)) from error

    def _take_back(self, offset: int) -> None:
        if _getpid() != self._pid or not self.descriptor.is_ours():
            return
        try:
            _ftruncate(self.descriptor.number, offset)
        except OSError:
            # Then there is a hole, which nobody refers to.
            pass
        self._offset = _fstat(self.descriptor.number).st_size


class PlanFile:
    """The items of the job: NUL-terminated paths, read by byte range."""

    def __init__(self, path: str, input_root: str) -> None:
        self._path = path
        self._prefix = os.path.join(input_root, "") if input_root else ""
        self._encoding = sys.getfilesystemencoding()
        self._file = None  # type: Descriptor | None

    def paths(self, offset: int, length: int, items: int) -> "list[str]":
        """The absolute paths in one byte range, decoded as ``os.fsdecode`` does."""
        text = self._read(offset, length).decode(self._encoding, "surrogateescape")
        # One replacement joins them all to the root: half the time of a loop.
        paths = (self._prefix + text.replace("\0", "\0" + self._prefix)).split("\0")
        if paths.pop() != self._prefix or len(paths) != items:
            die(CANNOT_GO_ON, "%s does not hold %d items at byte %d." % (self._path, items, offset))
        return paths

    def names(self, offset: int, length: int) -> "list[bytes]":
        """The items of one byte range as they stand in the plan."""
        return self._read(offset, length).split(b"\0")[:-1]

    def _read(self, offset: int, length: int) -> bytes:
        if self._file is None:
            self._file = Descriptor(_open(self._path, os.O_RDONLY | os.O_CLOEXEC), "the plan file")
        number = self._file.demand()
        data = _pread(number, length, offset)
        while len(data) < length:
            more = _pread(number, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


def is_full(error: "BaseException | None") -> bool:
    """Whether a disk without room is behind the error."""
    if isinstance(error, SegmentUnwritable):
        error = error.__cause__
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def was_closed(error: OSError) -> bool:
    """Whether the call failed because its descriptor is not open."""
    return error.errno == errno.EBADF
