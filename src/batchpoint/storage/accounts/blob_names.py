"""Owns which names blobs may have: each is a relative path below its container, and leads nowhere else. Pure."""

import re

from batchpoint.storage.atomic import is_aside

#: Characters of a name at most, as the service that clients know has it.
_LENGTH = 1024
#: Bytes of one segment at most: file systems have no longer names.
_SEGMENT_BYTES = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\\ufffd\ufffe\uffff]")


def problem_with(name: str) -> str | None:
    """What is wrong with the name of a blob, as a sentence; None for a good one."""
    if not 0 < len(name) <= _LENGTH:
        return f"A blob's name has 1 to {_LENGTH} characters, this one has {len(name)}."
    if _CONTROL.search(name):
        return "A blob's name has no control characters and no backslashes here."
    segments = name.split("/")
    if "" in segments:
        return "A blob's name neither begins nor ends with a slash here, and has no two in a row."
    if any(segment in (".", "..") for segment in segments):
        return "A blob's name has no segments '.' and '..'."
    if any(segment.endswith(".") for segment in segments):
        return "No segment of a blob's name ends with a dot."
    if any(is_aside(segment) for segment in segments):
        return "Names that begin with .batchpoint- are kept for files that are not finished yet."
    return _problem_with_bytes(segments)


def _problem_with_bytes(segments: list[str]) -> str | None:
    try:
        longest = max(len(segment.encode()) for segment in segments)
    except UnicodeEncodeError:
        return "A blob's name is UTF-8."
    if longest > _SEGMENT_BYTES:
        return f"A segment of a blob's name has {_SEGMENT_BYTES} bytes at most, this one has {longest}."
    return None
