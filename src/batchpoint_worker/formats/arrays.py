"""Columns of pyarrow as text, many values at a time: fields of CSV, or values of JSON, and the lines made of them.

Used by the encoders for tables and DataFrames. Where a kind of value has no fast way, ``values`` writes each by itself.
"""

import struct
from json.encoder import encode_basestring

from batchpoint_worker.formats.results import arrow
from batchpoint_worker.formats.values import INFINITY, NAN, SPECIAL, field, json_text, quoted

MYPY = False
if MYPY:
    from typing import Any

_JSON_SPECIAL = r'["\\\x00-\x1f]'
_WHOLE = r"\A-?[0-9]+\z"


def fields(column: "Any") -> "Any":
    """Texts of one column of CSV: a list, an array of pyarrow, or one text for all."""
    if isinstance(column, list):
        return [quoted(field(value)) for value in column]
    found = _numbers(column)
    if found is not None:
        return found
    if not _is_text(column):
        return [quoted(field(value)) for value in column.to_pylist()]
    one = _one_value(column)
    if one is not None:
        return quoted(one)
    if _has(column, SPECIAL.replace("$", r"\z")):
        return [quoted(value) for value in column.to_pylist()]
    return column


def members(column: "Any") -> "Any":
    """Values of one column as JSON: a list, an array of pyarrow, or one text for all."""
    if isinstance(column, list):
        return list(map(json_text, column))
    pc, found = arrow().compute, _numbers(column)
    if found is not None:
        if _is_float(column):
            names = (NAN, INFINITY, "-" + INFINITY)
            for name in names if not _all_finite(column) else ():
                found = pc.if_else(pc.equal(found, name), '"%s"' % name, found)
        return pc.fill_null(found, "null")
    if not _is_text(column):
        return list(map(json_text, column.to_pylist()))
    one = _one_value(column)
    if one is not None:
        return encode_basestring(one)
    if _has(column, _JSON_SPECIAL):
        return ["null" if value is None else encode_basestring(value) for value in column.to_pylist()]
    return pc.fill_null(_joined('"', column, '"'), "null")


def _is_text(column: "Any") -> bool:
    types = arrow().types
    return bool(types.is_string(column.type) or types.is_large_string(column.type))


def _is_float(column: "Any") -> bool:
    return bool(arrow().types.is_floating(column.type))


def _all_finite(column: "Any") -> bool:
    pc = arrow().compute
    return pc.all(pc.is_finite(column)).as_py() is not False


def _numbers(column: "Any") -> "Any":
    """Numbers and truth values as texts; None for anything else."""
    pa, pc = arrow(), arrow().compute
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return pc.cast(column, pa.string())
    if not _is_float(column):
        return None
    if pa.types.is_float16(column.type):
        column = pc.cast(column, pa.float32())
    texts = pc.cast(column, pa.string())
    if not _all_finite(column):
        for short, name in (("nan", NAN), ("inf", INFINITY), ("-inf", "-" + INFINITY)):
            texts = pc.if_else(pc.equal(texts, short), name, texts)
    if pc.any(pc.equal(pc.floor(column), column)).as_py():
        # 1.0 stays a number with a point.
        whole = pc.match_substring_regex(texts, _WHOLE)
        texts = pc.if_else(whole, pc.binary_join_element_wise(texts, ".0", ""), texts)
    return texts


def _one_value(column: "Any") -> "str | None":
    """The text of a column that has one value only, as the name of a file does."""
    pc = arrow().compute
    if len(column) < 2 or column.null_count:
        return None
    first = column[0]
    return str(first.as_py()) if pc.all(pc.equal(column, first)).as_py() else None


def _has(column: "Any", pattern: str) -> bool:
    pc = arrow().compute
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def lines(frame: "list[str]", columns: "list[Any]", rows: int) -> "bytes | list[str]":
    """Lines of which ``frame`` is the constant text before, between and after the columns.

    Bytes where all columns are arrays or constants, and otherwise the lines apart, without their ends.
    """
    if any(isinstance(column, list) for column in columns):
        return _lines_apart(frame, columns, rows)
    pieces, constant = [], frame[0]  # type: list[Any], str
    for column, text in zip(columns, frame[1:]):
        if isinstance(column, str):
            constant += column + text
        else:
            pieces += [constant, arrow().compute.fill_null(column, "")]
            constant = text
    pieces.append(constant + "\n")
    if len(pieces) == 1:
        return pieces[0].encode("utf-8") * rows  # type: ignore[no-any-return]
    return _bytes_of(_joined(*[piece for piece in pieces if not isinstance(piece, str) or piece]))


def _joined(*pieces: "Any") -> "Any":
    """Arrays and constants beside each other; a missing value stays one."""
    pa = arrow()
    kind = pa.large_string()
    wide = [pa.scalar(piece, kind) if isinstance(piece, str) else piece.cast(kind) for piece in pieces]
    return pa.compute.binary_join_element_wise(*wide, pa.scalar("", kind))


def _bytes_of(array: "Any") -> bytes:
    """The texts of an array of large_string, one after the other."""
    chunks = array.chunks if hasattr(array, "chunks") else [array]
    return b"".join(map(_bytes_of_chunk, chunks))


def _bytes_of_chunk(chunk: "Any") -> bytes:
    _, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return b""
    first, last = (struct.unpack_from("=q", offsets, 8 * (chunk.offset + at))[0] for at in (0, len(chunk)))
    return bytes(memoryview(data)[first:last])


def _lines_apart(frame: "list[str]", columns: "list[Any]", rows: int) -> "list[str]":
    texts = []
    for column in columns:
        if isinstance(column, str):
            column = [column] * rows
        elif not isinstance(column, list):
            column = ["" if text is None else text for text in column.to_pylist()]
        texts.append(column)
    inner = frame[1:-1]
    if len(set(inner)) <= 1:
        joined = map((inner or [""])[0].join, zip(*texts))
        head, tail = frame[0], frame[-1]
        return list(joined) if not head and not tail else [head + text + tail for text in joined]
    template = "%s".join(text.replace("%", "%%") for text in frame)
    return [template % row for row in zip(*texts)]
