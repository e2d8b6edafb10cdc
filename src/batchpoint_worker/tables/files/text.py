"""Files of text: their bytes, unpacked and in UTF-8, and the lines on which rows stand.

The readers of CSV and JSON use it.
"""

import codecs
import errno
import gzip
import zlib

from batchpoint_worker.tables.parts import FileChanged, open_part, whole_of
from batchpoint_worker.tables.signature import rejected

MYPY = False
if MYPY:
    from collections.abc import Callable

    from batchpoint_worker.tables.parts import Part

_open = open
#: Errors of a disk or a network that may be over at the next try.
_PASSING = frozenset(
    (
        *(errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE),
        *(errno.ETIMEDOUT, errno.ECONNRESET, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    )
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Text:
    """The text of one file, or of a part of one with the file's head in front; ``packing``: gzip, zstd, bzip2, xz."""

    def __init__(self, path: str, part: "Part | None", where: str, packing: str) -> None:
        #: How messages name the file.
        self.where = where
        #: Index in the file of the first row of ``data``.
        self.first_row = part.first_row if part else 0
        #: How many rows a part has; None for a whole file.
        self.rows = None if part is None else part.rows
        self._path = path
        self._part = part
        try:
            data = _bytes_of(path, part)
        except OSError as error:
            raise unopened(where, error)
        except FileChanged:
            raise rejected("%s has become shorter while it was scored; score it again once it is complete" % where)
        self.data = _in_utf8(_unpacked(data, packing, where), where)

    def line(self, line: int) -> int:
        """The line of the file for a line of ``data``; both are counted from 1.

        Of a part that came to a node without its file nobody knows more than its own lines.
        """
        if self._part is None or not self._part.begin or whole_of(self._path, self._part):
            return line
        with _open(self._path, "rb") as source:
            head = source.read(self._part.head).count(b"\n")
            source.seek(0)
            return line - head + _newlines(source.read, self._part.begin)


def unopened(where: str, error: OSError) -> Exception:
    """What to raise for a file that cannot be opened or read: the error itself, where another try may help."""
    if is_passing(error):
        return error
    return rejected("%s cannot be read: %s; see that the file is there and may be read" % (where, error.strerror))


def is_passing(error: Exception) -> bool:
    """Whether not the file is at fault, but a disk, a network or the memory."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _PASSING


def _newlines(read: "Callable[[int], bytes]", length: int) -> int:
    found = 0
    while length > 0:
        piece = read(min(length, 1 << 20))
        if not piece:
            break
        found += piece.count(b"\n")
        length -= len(piece)
    return found


def _bytes_of(path: str, part: "Part | None") -> bytes:
    if part is not None:
        return open_part(path, part)
    with _open(path, "rb") as source:
        return source.read()


def _unpacked(data: bytes, packing: str, where: str) -> bytes:
    if not packing:
        return data
    try:
        return _unpack(data, packing)
    except ImportError:
        raise rejected(
            "%s is packed with %s, and the model's environment has nothing that unpacks it: add the package zstandard "
            "to it, or unpack the file" % (where, packing)
        )
    except (OSError, EOFError, zlib.error, ValueError, RuntimeError) as error:
        raise rejected("%s cannot be unpacked as %s: %s; pack it again" % (where, packing, error or "it is cut off"))


def _unpack(data: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.decompress(data)
    # Imported here: few files are packed in these ways.
    if packing == "bzip2":
        import bz2

        return bz2.decompress(data)
    if packing == "xz":
        import lzma

        try:
            return lzma.decompress(data)
        except lzma.LZMAError as error:
            raise ValueError(str(error))
    return _unpack_zstd(data)


def _unpack_zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        return _unpack_zstd_otherwise(data)
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return reader.read()  # type: ignore[no-any-return]
    except zstandard.ZstdError as error:
        raise ValueError(str(error))


def _unpack_zstd_otherwise(data: bytes) -> bytes:
    """With what Python 3.14 has itself, or with what pyarrow brings along."""
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        import pyarrow

        with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
            return stream.read()  # type: ignore[no-any-return]
    try:
        return zstd.decompress(data)  # type: ignore[no-any-return, unused-ignore]
    except zstd.ZstdError as error:
        raise ValueError(str(error))


def _in_utf8(data: bytes, where: str) -> bytes:
    """Without a byte order mark."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    if data.startswith(_UTF16):
        try:
            return data.decode("utf-16").encode("utf-8")
        except UnicodeError:
            raise rejected("%s begins as UTF-16, but is not: write it as UTF-8" % where)
    return data


def not_utf8(text: Text) -> "Exception | None":
    """The refusal of a text that is no UTF-8, naming the line; None if it is."""
    try:
        text.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.line(text.data.count(b"\n", 0, error.start) + 1)
        return rejected("%s, line %d: the text is not UTF-8; write the file as UTF-8" % (text.where, line))
    return None
