"""What the beginning of a file says of its columns: the first lines of text, the schema of Parquet and Arrow.

``columns`` compares it with what the model wants. The standard library reads text; pyarrow is loaded only for files
that need it.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

#: Bytes of a text file that are looked at.
HEAD_BYTES = 64 << 10
#: The longest first line.
LINE_BYTES = 16 << 20
#: Values of rows that are kept of one file.
_VALUES_MAX = 2_000_000
#: What to do about a file that may not be read.
MAKE_READABLE = "Give the user that runs Batchpoint the right to read it, or leave it out of the input."
_OPENERS: dict[str, type[gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    "gzip": gzip.GzipFile,
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Head:
    """What a file of a kind that holds a table begins with."""

    kind: str
    #: Names of the columns in the order of the file; a name may stand there twice.
    columns: tuple[str, ...]
    #: The type of each column as Arrow calls it; empty for text, whose values are read as what is wanted.
    types: tuple[str, ...] = ()
    #: The first rows of text, each as a value for every column; None for one that is not there.
    rows: tuple[tuple[object, ...], ...] = ()
    #: The first line as it stands there.
    line: str = ""


@dataclass(frozen=True)
class Unfit:
    """A file that nothing can be read from: why, and what to do."""

    code: str
    message: str
    fix: str
    row: int | None = None


class _Unreadable(Exception):
    """Carries an Unfit out of whatever has found it."""

    def __init__(self, code: str, message: str, fix: str, row: int | None = None) -> None:
        self.unfit = Unfit(code, message, fix, row)
        super().__init__(message)


def read_head(path: Path, kind: str, packed: str = "", limit: int = HEAD_BYTES) -> Head | Unfit:
    """The head of a file that holds a table: its columns, and the rows in the first ``limit`` bytes; or why not."""
    try:
        return _read(path, kind, packed, limit)
    except _Unreadable as failed:
        return failed.unfit
    except OSError as error:
        return Unfit("FileUnreadable", f"The file cannot be read: {error.strerror or error}.", MAKE_READABLE)


def _read(path: Path, kind: str, packed: str, limit: int) -> Head:
    if not path.stat().st_size:
        raise _Unreadable("EmptyFile", "The file is empty.", "Leave it out of the input, or write it again.")
    if kind in ("parquet", "arrow"):
        return _columnar(path, kind, packed)
    text, is_whole = _text(path, packed, limit)
    if not text.strip():
        raise _Unreadable("EmptyFile", "The file holds nothing but white space.", "Leave it out, or write it again.")
    if kind == "jsonl":
        return _json_lines(text, is_whole)
    if kind == "json":
        return _json(text, is_whole)
    return _delimited(text, kind, "\t" if kind == "tsv" else ",", is_whole)


# ---- text ---------------------------------------------------------------------------------------------------------


def _text(path: Path, packed: str, limit: int) -> tuple[str, bool]:
    """The beginning of a file as text, and whether that is all of it."""
    raw = _bytes(path, packed, limit)
    is_whole = len(raw) <= limit
    if not is_whole and b"\n" not in raw and limit < LINE_BYTES:
        return _text(path, packed, LINE_BYTES)
    raw = raw[:limit]
    if raw.startswith(_UTF16):
        # What is cut in two at the end is left out.
        text = raw.decode("utf-16", "ignore" if not is_whole else "replace")
        if "\ufffd" not in text:
            return text, is_whole
        fix = "Write it as UTF-8: iconv -f UTF-16 -t UTF-8."
        raise _Unreadable("WrongEncoding", "The file begins as UTF-16, and is not.", fix)
    try:
        return raw.decode("utf-8-sig"), is_whole
    except UnicodeDecodeError as error:
        # A character may be cut in two at the end.
        if not is_whole and error.start >= len(raw) - 4:
            return raw[: error.start].decode("utf-8-sig"), False
        line = raw[: error.start].count(b"\n") + 1
        what = f"Line {line} holds the byte 0x{raw[error.start]:02x}, which is no UTF-8."
        raise _Unreadable(
            "WrongEncoding", what, "Write the file as UTF-8: iconv -f LATIN1 -t UTF-8.", _row(line)
        ) from error


def _row(line: int) -> int | None:
    return line - 1 or None


def _bytes(path: Path, packed: str, limit: int) -> bytes:
    if not packed:
        with path.open("rb") as file:
            return file.read(limit + 1)
    fix = "Compress it again, or leave it out of the input."
    if packed in _OPENERS:
        try:
            with _OPENERS[packed](path) as file:
                return file.read(limit + 1)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise _Unreadable("FileBroken", f"The file is no whole {packed} file: {error}.", fix) from error
    import pyarrow

    try:
        with pyarrow.input_stream(str(path), compression=packed) as stream:
            return bytes(stream.read(limit + 1))
    except pyarrow.ArrowException as error:
        raise _Unreadable("FileBroken", f"The file is no whole zstd file: {error}.", fix) from error


def _delimited(text: str, kind: str, delimiter: str, is_whole: bool) -> Head:
    """The header and the first rows, by the rules of quotes; a row that is cut off at the end does not count."""
    # Else a long text counts as a quote that is never closed.
    csv.field_size_limit(LINE_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    try:
        records.extend(record for record in reader if record)
    except csv.Error as error:
        if not records or is_whole:
            row = len(records)
            where = f"row {row:,}" if row else "the header"
            what = f"The quotes in {where} do not match (line {reader.line_num:,}): {error}."
            fix = "Put a quotation mark twice within quotes, and end every quoted value with one."
            raise _Unreadable("UnclosedQuote", what, fix, row or None) from error
    if not is_whole and len(records) > 1:
        records.pop()
    header = records[0]
    line = text.splitlines()[0]
    return Head(kind, tuple(header), rows=tuple(tuple(one) for one in records[1:]), line=line)


def _json_lines(text: str, is_whole: bool) -> Head:
    # Not splitlines: U+2028 and its like may stand in a text.
    lines = text.split("\n")
    if not is_whole and len(lines) > 1:
        lines.pop()
    found: list[dict[str, object]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not is_whole and len(lines) == 1:
                raise _Unreadable(
                    "FileBroken", "Its first line is longer than 16 MiB.", "Write shorter lines.", 1
                ) from error
            what = f"Line {number:,} is no JSON: {error}."
            raise _Unreadable("FileBroken", what, "Write one JSON object on each line.", number) from error
        if not isinstance(value, dict):
            what = f"Line {number:,} is {_json_kind(value)}, not an object."
            raise _Unreadable(
                "FileBroken", what, "Write one JSON object with the columns as keys on each line.", number
            )
        found.append(value)
    return _of_records("jsonl", found)


def _json(text: str, is_whole: bool) -> Head:
    """A list of objects, or ``{"columns": […], "data": […]}``; of a long file nothing is said."""
    if not is_whole:
        return Head("json", ())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Unreadable("FileBroken", f"The file is no JSON: {error}.", "Write it again, or leave it out.") from error
    value = value.get("dataframe_split", value.get("dataframe_records", value)) if isinstance(value, dict) else value
    if isinstance(value, dict) and isinstance(value.get("columns"), list):
        return Head("json", tuple(map(str, value["columns"])))
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return _of_records("json", value)
    return Head("json", ())


def _of_records(kind: str, records: Sequence[dict[str, object]]) -> Head:
    columns = tuple(dict.fromkeys(str(key) for record in records for key in record))
    # Of records that have no key in common a table would be the square of what was read.
    kept = records[: max(1, _VALUES_MAX // max(1, len(columns)))]
    rows = tuple(tuple(record.get(column) for column in columns) for record in kept)
    return Head(kind, columns, rows=rows)


def _json_kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


# ---- columns ------------------------------------------------------------------------------------------------------


def _columnar(path: Path, kind: str, packed: str) -> Head:
    import pyarrow
    import pyarrow.parquet

    if packed:
        what = f"A {kind} file inside {packed} cannot be read in parts."
        raise _Unreadable("UnsupportedFile", what, "Unpack it; it is compressed inside.")
    try:
        if kind == "parquet":
            schema = pyarrow.parquet.read_schema(str(path))
        else:
            with pyarrow.memory_map(str(path)) as source:
                schema = _arrow_schema(source)
        return Head(kind, tuple(schema.names), tuple(str(one) for one in schema.types))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        fix = "Write it again: it may be cut off, or be of another kind than its name says."
        raise _Unreadable("FileBroken", f"The file is no whole {kind} file: {reason}.", fix) from error


def _arrow_schema(source: "pyarrow.MemoryMappedFile") -> "pyarrow.Schema":
    import pyarrow
    import pyarrow.ipc

    try:
        return pyarrow.ipc.open_file(source).schema
    except pyarrow.ArrowInvalid:
        source.seek(0)
        return pyarrow.ipc.open_stream(source).schema
