"""Makes bytes of what ``run()`` returned, in the format that the job asks for; one object for the life of a worker.

``choice`` takes one at the start of the session. Each has ``count`` and ``encode`` as ``rows`` has.
"""

from json.encoder import encode_basestring

from batchpoint_worker import rows
from batchpoint_worker.formats import arrays
from batchpoint_worker.formats.results import PREDICTION, Results, arrow, results_of, row_of
from batchpoint_worker.formats.values import json_text, quoted

MYPY = False
if MYPY:
    from collections.abc import Callable, Iterator
    from typing import Any

    from batchpoint_worker.provenance import Origin

#: Rows of arrays that become bytes at once.
AT_ONCE = 65536


class Encoder:
    """What all formats have in common."""

    def __init__(self, limits: rows.Limits, is_no_code: bool) -> None:
        self.limits = limits
        self._is_no_code = is_no_code

    def count(self, result: object) -> int:
        """How many items the script says it has scored."""
        return results_of(result).length

    def encode(self, result: object, origin: "Origin | None" = None) -> "tuple[int, Iterator[bytes]]":
        """The number of rows, and their bytes; they raise Refused for what is too large or cannot be written."""
        results = results_of(result)
        if origin is not None:
            results = results.with_origin(origin, self._is_no_code)
        # A mini-batch without rows leaves nothing, no header either.
        pieces = self.pieces(results) if results.length else iter(())
        return results.length, rows.within(pieces, self.limits.result)

    def pieces(self, results: Results) -> "Iterator[bytes]":
        """What stands in the segment for results that are at least one."""
        raise NotImplementedError

    def _blocks(self, length: int, lines: "Callable[[int, int], bytes | list[str]]") -> "Iterator[bytes]":
        """The lines of all rows, some at a time."""
        for start in range(0, length, AT_ONCE):
            made = lines(start, min(length, start + AT_ONCE))
            if not isinstance(made, bytes):
                for piece in rows.list_pieces(made, self.limits.row, start):
                    yield piece
            else:
                if len(made) > self.limits.row:
                    _find_too_large(lines, start, min(length, start + AT_ONCE), self.limits.row)
                yield made


def _find_too_large(lines: "Callable[[int, int], Any]", start: int, stop: int, limit: int) -> None:
    """Raises Refused if one of the rows, and not only all together, is too large."""
    size = len(lines(start, stop))
    if size <= limit:
        return
    if stop - start == 1:
        raise rows.too_large("row %d" % start, size, limit)
    middle = (start + stop) // 2
    _find_too_large(lines, start, middle, limit)
    _find_too_large(lines, middle, stop, limit)


class CommaSeparated(Encoder):
    """RFC 4180, lines ending with LF; each mini-batch begins with its header, unless there is none."""

    def __init__(self, limits: rows.Limits, is_no_code: bool, has_header: bool) -> None:
        super().__init__(limits, is_no_code)
        self._has_header = has_header

    def pieces(self, results: Results) -> "Iterator[bytes]":
        names, columns = results.table()
        if self._has_header:
            yield rows.utf8(",".join(map(quoted, names)) + "\n", None, 0)
        frame = [""] + [","] * (len(columns) - 1) + [""]
        is_alone = len(columns) == 1

        def lines(start: int, stop: int) -> "bytes | list[str]":
            made = [arrays.fields(column[start:stop]) for column in columns]
            if is_alone:
                made = [_never_empty(made[0])]
            return arrays.lines(frame, made, stop - start)

        for piece in self._blocks(results.length, lines):
            yield piece


def _never_empty(texts: "Any") -> "Any":
    """Of one column: a line with nothing in it, a reader would take for none."""
    if isinstance(texts, str):
        return texts
    if isinstance(texts, list):
        return [text or '""' for text in texts]
    return arrow().compute.fill_null(texts, '""')


class JsonLines(Encoder):
    """One JSON object for each row, in UTF-8; only half a character is written as an escape."""

    def pieces(self, results: Results) -> "Iterator[bytes]":
        elements = results.elements
        if elements is not None:
            for start in range(0, len(elements), rows.AT_ONCE):
                some = list(map(_object, elements[start : start + rows.AT_ONCE]))
                for piece in rows.list_pieces(_encodable(some), self.limits.row, start):
                    yield piece
            return
        names, columns = results.table()
        keys = [encode_basestring(name) + ":" for name in names]
        frame = ["{" + keys[0]] + ["," + key for key in keys[1:]] + ["}"]

        def lines(start: int, stop: int) -> "bytes | list[str]":
            made = arrays.lines(frame, [arrays.members(column[start:stop]) for column in columns], stop - start)
            return made if isinstance(made, bytes) else _encodable(made)

        for piece in self._blocks(results.length, lines):
            yield piece


def _object(element: "Any") -> str:
    if type(element) is str:
        return '{"%s":%s}' % (PREDICTION, encode_basestring(element))
    return json_text(row_of(element))


def _encodable(lines: "list[str]") -> "list[str]":
    """The lines, with the half characters among them as escapes."""
    try:
        "".join(lines).encode("utf-8")
    except UnicodeEncodeError:
        return list(map(_escaped, lines))
    return lines


def _escaped(line: str) -> str:
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        restored = rows.file_names_restored(line)
        if restored is not None:
            return restored.decode("utf-8")
        start = error.start
        return line[:start] + "".join("\\u%04x" % ord(c) if 0xD800 <= ord(c) <= 0xDFFF else c for c in line[start:])
    return line
