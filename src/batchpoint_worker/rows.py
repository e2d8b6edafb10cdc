"""What ``run()`` returned becomes bytes, in the text that Azure writes: one element per line, verbatim.

Used by the session; never imports numpy or pandas, only recognises their objects when a script has loaded them. Bytes
come in pieces, so that a large result stands in memory once more at most in part.
"""

import sys

from batchpoint_worker.failures import Refused

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import Any

    from batchpoint_worker.provenance import Origin

MB = 1024 * 1024
#: Characters that become bytes at once.
PIECE = 4 * MB
#: Elements that become text at once.
AT_ONCE = 4096
#: Cells of a DataFrame that pandas formats at once; other borders could change how it writes dates.
FRAME_CELLS = 100000
#: The types of the elements of nearly every result; such elements are their own text.
_TEXT_ALONE = {str}


def count(result: object) -> int:
    """How many items the script says it has scored; refuses what is no list, array or DataFrame."""
    return len(_frame(result) if _is_frame(result) else _elements(result))


class Limits:
    """How large a row, and all rows of one ``run()``, may be, in bytes."""

    def __init__(self, row: int, result: int) -> None:
        self.row = row
        self.result = result


def encode(result: object, limits: Limits, origin: "Origin | None" = None) -> "tuple[int, Iterator[bytes]]":
    """The number of elements (rows of a DataFrame) and their lines in UTF-8, each with its origin if one is given.

    The lines are made while they are taken: they raise Refused for what is too large or no UTF-8, and whatever the
    elements raise when they are asked for their text.
    """
    if _is_frame(result):
        frame = _frame(result)
        pieces = _frame_pieces(frame, limits.row)
        if origin is not None:
            origin.share(len(frame))
            pieces = origin.records(pieces)
        return len(frame), within(pieces, limits.result)
    elements = _elements(result)
    if origin is not None:
        origin.share(len(elements))
        elements = _WithOrigin(elements, origin)
    return len(elements), within(list_pieces(elements, limits.row), limits.result)


class _WithOrigin:
    """Elements whose texts begin with where they come from; taken in slices, from the first on."""

    def __init__(self, elements: "Any", origin: "Origin") -> None:
        self._elements = elements
        self._origin = origin

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, part: slice) -> "list[str]":
        some = enumerate(_listed(self._elements[part]), part.start)
        return [self._origin.element(index, str(element)) for index, element in some]


class Verbatim:
    """The encoder of scripts whose job asks for no other format; see ``formats.encoders``."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def count(self, result: object) -> int:
        return count(result)

    def encode(self, result: object, origin: "Origin | None" = None) -> "tuple[int, Iterator[bytes]]":
        return encode(result, self._limits, origin)


def within(pieces: "Iterator[bytes]", limit: int) -> "Iterator[bytes]":
    """The pieces; raises Refused when they are too large in all."""
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > limit:
            raise Refused(
                "ResultTooLarge",
                "the rows that run() returned for one mini-batch have more than %d MB in all, which is the limit; use "
                "smaller mini-batches, or raise the setting max_result_mb" % (limit // MB),
            )
        yield piece


def list_pieces(elements: "Any", row_limit: int, first: int = 0) -> "Iterator[bytes]":
    """A line for each element, some at a time; ``first``: the number that the first element has for people."""
    short = min(PIECE, row_limit // 4)
    for start in range(0, len(elements), AT_ONCE):
        some = _listed(elements[start : start + AT_ONCE])
        texts = some if set(map(type, some)) == _TEXT_ALONE else list(map(str, some))
        if sum(map(len, texts)) <= short:
            yield utf8("\n".join(texts) + "\n", texts, first + start)
        else:
            for piece in _long_pieces(texts, first + start, row_limit):
                yield piece


def _long_pieces(texts: "list[str]", start: int, row_limit: int) -> "Iterator[bytes]":
    waiting, length = [], 0
    for index, text in enumerate(texts, start):
        line = utf8("".join((text, "\n")), [text], index)
        if len(line) - 1 > row_limit:
            raise too_large("element %d" % index, len(line) - 1, row_limit)
        waiting.append(line)
        length += len(line)
        if length >= PIECE:
            yield b"".join(waiting)
            waiting, length = [], 0
    yield b"".join(waiting)


def _frame_pieces(frame: "Any", row_limit: int) -> "Iterator[bytes]":
    step = max(1, FRAME_CELLS // max(1, len(frame.columns)))
    for start in range(0, len(frame), step):
        some = frame if len(frame) <= step else frame.iloc[start : start + step]
        data = _frame_bytes(some, start)
        if len(data) > row_limit:
            _find_too_large(some, start, row_limit)
        yield data


def _frame_bytes(frame: "Any", start: int) -> bytes:
    return utf8(str(frame.to_csv(sep=" ", header=False, index=False)), None, start)


def _find_too_large(frame: "Any", start: int, row_limit: int) -> None:
    """Raises Refused if one of the rows, and not only all together, is too large."""
    if len(frame) == 1:
        raise too_large("row %d" % start, len(_frame_bytes(frame, start)) - 1, row_limit)
    middle = len(frame) // 2
    for part, first in ((frame.iloc[:middle], start), (frame.iloc[middle:], start + middle)):
        if len(_frame_bytes(part, first)) > row_limit:
            _find_too_large(part, first, row_limit)


def too_large(what: str, length: int, limit: int) -> Refused:
    """Why a row is refused."""
    return Refused(
        "ResultTooLarge",
        "%s of what run() returned has %d bytes, and a row may have %d MB; write large results to files of your own, "
        "or raise the setting max_row_mb" % (what, length, limit // MB),
    )


def _elements(result: object) -> "Any":
    """What has a length and can be sliced."""
    if type(result) is list:
        # A second thread of the script may still append to it.
        return result[:]
    if isinstance(result, (list, tuple)):
        return list(result)
    if _is_a(result, "numpy", "ndarray"):
        if result.ndim == 0:  # type: ignore[attr-defined]
            raise _invalid("an ndarray without dimensions")
        return result
    if _is_a(result, "pandas", "Series"):
        return list(result)  # type: ignore[call-overload]
    raise _invalid("None" if result is None else "a value of type " + type(result).__name__)


def _listed(some: "Any") -> "list[Any]":
    """The elements of a list or of a flat array; the rows of a deeper one, as lists."""
    if type(some) is list:
        return some
    return list(some) if some.ndim == 1 else some.tolist()


def _is_frame(result: object) -> bool:
    return _is_a(result, "pandas", "DataFrame")


def _frame(result: object) -> "Any":
    return result


def _is_a(result: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(result, kind)


def _invalid(kind: str) -> Refused:
    return Refused(
        "InvalidResult",
        "run() returned %s; it must return a list with one element for each scored item, or a pandas DataFrame" % kind,
    )


def utf8(text: str, texts: "list[str] | None", start: int) -> bytes:
    """The text as bytes; raises Refused that names which of ``texts``, counted from ``start``, cannot be one."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        restored = file_names_restored(text)
        if restored is not None:
            return restored
        raise _not_encodable(texts if texts is not None else text.split("\n"), start, error) from None


def file_names_restored(text: str) -> "bytes | None":
    """None, but where the locale is not UTF-8, Python reads UTF-8 file names as surrogates: gives their bytes back."""
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return None
    try:
        data = text.encode("utf-8", "surrogateescape")
        data.decode("utf-8")
    except UnicodeError:
        return None
    return data


def _not_encodable(texts: "list[str]", start: int, error: UnicodeEncodeError) -> Refused:
    for index, text in enumerate(texts, start):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as found:
            wrong = text[found.start]
            return Refused(
                "RowEncodingError",
                "element %d of what run() returned cannot be written as UTF-8: it has the lone surrogate U+%04X at "
                "character %d; encode file names with os.fsencode or errors='replace'"
                % (index, ord(wrong), found.start),
            )
    return Refused("RowEncodingError", "what run() returned cannot be written as UTF-8: %s" % error.reason)
