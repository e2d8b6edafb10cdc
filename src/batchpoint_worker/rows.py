"""What ``run()`` returned becomes bytes, in the text that Azure writes: one element per line, verbatim.

Used by the session; never imports numpy or pandas, only recognises their objects when a script has loaded them.
"""

import sys

from batchpoint_worker.failures import Refused

MYPY = False
if MYPY:
    from typing import Any

#: The types of the elements of nearly every result; such elements are their own text.
_TEXT_ALONE = {str}


def count(result: object) -> int:
    """How many items the script says it has scored; refuses what is no list, array or DataFrame."""
    return len(_frame(result) if _is_frame(result) else _elements(result))


def encode(result: object) -> "tuple[int, bytes]":
    """The number of elements (rows of a DataFrame) and their lines in UTF-8."""
    if _is_frame(result):
        frame = _frame(result)
        text = str(frame.to_csv(sep=" ", header=False, index=False)) if len(frame) else ""
        return len(frame), _utf8(text, None)
    elements = _elements(result)
    if not elements:
        return 0, b""
    texts = elements if set(map(type, elements)) == _TEXT_ALONE else list(map(str, elements))
    return len(elements), _utf8("\n".join(texts) + "\n", texts)


def _elements(result: object) -> "list[Any]":
    if type(result) is list:
        # A second thread of the script may still append to it.
        return result[:]
    if isinstance(result, (list, tuple)):
        return list(result)
    if _is_a(result, "numpy", "ndarray"):
        return _array_rows(result)
    if _is_a(result, "pandas", "Series"):
        return list(result)  # type: ignore[call-overload, no-any-return]
    raise _invalid("None" if result is None else "a value of type " + type(result).__name__)


def _array_rows(array: "Any") -> "list[Any]":
    """The elements of a flat array; the rows of a deeper one, as lists."""
    if array.ndim == 0:
        raise _invalid("an ndarray without dimensions")
    if array.ndim == 1:
        return list(array)
    return array.tolist()  # type: ignore[no-any-return]


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


def _utf8(text: str, texts: "list[str] | None") -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        restored = _file_names_restored(text)
        if restored is not None:
            return restored
        raise _not_encodable(texts if texts is not None else text.split("\n"), error) from None


def _file_names_restored(text: str) -> "bytes | None":
    """Where the locale is not UTF-8, Python reads UTF-8 file names as surrogates: gives their bytes back."""
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return None
    try:
        data = text.encode("utf-8", "surrogateescape")
        data.decode("utf-8")
    except UnicodeError:
        return None
    return data


def _not_encodable(texts: "list[str]", error: UnicodeEncodeError) -> Refused:
    for index, text in enumerate(texts):
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
