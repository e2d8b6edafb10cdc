"""What a request to the blob service says in its headers: conditions, ranges, what is to be known about a blob."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate, parsedate_to_datetime

from batchpoint.errors import BlobRefused
from batchpoint.server.blobs.refusals import invalid, refused
from batchpoint.storage.accounts.about import About
from batchpoint.storage.accounts.blobs import Blob

_META = "x-ms-meta-"
_META_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Bytes of all metadata of a blob at most.
_META_BYTES = 8192
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
#: Header of a blob → how ``About`` calls it.
_CONTENT = {
    "content-type": "content_type",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "content-disposition": "content_disposition",
    "cache-control": "cache_control",
    "content-md5": "content_md5",
}


def check(headers: Mapping[str, str], blob: Blob | None, *, reads: bool = False) -> None:
    """Raises BlobRefused where a condition of the request does not hold for ``blob``; None is no blob."""
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    if wanted is not None and (blob is None or not _names(wanted, blob)):
        raise _not_met()
    if unwanted is not None and blob is not None and _names(unwanted, blob):
        if reads:
            raise refused(304, "ConditionNotMet", "The blob is as it was.", known_by(blob))
        if unwanted.strip() == "*":
            raise refused(409, "BlobAlreadyExists", f"There is a blob {blob.name} already.")
        raise _not_met()
    if blob is not None:
        _check_dates(headers, blob, reads)


def _check_dates(headers: Mapping[str, str], blob: Blob, reads: bool) -> None:
    modified = int(blob.about.modified)
    since, until = _moment(headers, "if-modified-since"), _moment(headers, "if-unmodified-since")
    if since is not None and modified <= since:
        raise (refused(304, "ConditionNotMet", "The blob is as it was.", known_by(blob)) if reads else _not_met())
    if until is not None and modified > until:
        raise _not_met()


def _names(etags: str, blob: Blob) -> bool:
    return etags.strip() == "*" or blob.about.etag in [one.strip().strip('"') for one in etags.split(",")]


def _not_met() -> BlobRefused:
    message = "The condition specified using HTTP conditional header(s) is not met."
    return refused(412, "ConditionNotMet", message)


def _moment(headers: Mapping[str, str], name: str) -> float | None:
    if name not in headers:
        return None
    try:
        return parsedate_to_datetime(headers[name]).timestamp()
    except (ValueError, OverflowError) as error:
        raise invalid(name, "this is no date.") from error


def known_by(blob: Blob) -> dict[str, str]:
    """The headers by which clients know the state of a blob."""
    return {"ETag": f'"{blob.about.etag}"', "Last-Modified": formatdate(blob.about.modified, usegmt=True)}


def range_of(headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """First byte and how many; None for all. BlobRefused for a range that begins behind the end, or for several."""
    text = headers.get("x-ms-range") or headers.get("range")
    if text is None:
        return None
    found = _RANGE.fullmatch(text.strip())
    begin, end = (int(found[1]), int(found[2] or size - 1)) if found else (0, -1)
    if found is None or begin >= size or end < begin:
        message = f"One range of bytes is answered, bytes=first-last; {text[:80]!r} is none of the {size} bytes here."
        raise refused(416, "InvalidRange", message, {"Content-Range": f"bytes */{size}"})
    return begin, min(end, size - 1) - begin + 1


def about_of(headers: Mapping[str, str], *, of_body: bool) -> About:
    """What is to be known about a blob; ``of_body``: the headers of the body stand in for those of the blob."""
    found = {}
    for header, name in _CONTENT.items():
        given = headers.get(f"x-ms-blob-{header}")
        if given is None and of_body and header in ("content-type", "content-encoding", "content-language"):
            given = headers.get(header)
        if given is None and of_body and header == "cache-control":
            given = headers.get(header)
        if given:
            found[name] = given
    about = About(metadata=metadata_of(headers))
    return replace(about, **found)  # type: ignore[arg-type]


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Raises BlobRefused for names that no metadata may have, and for too much of it."""
    found = {n[len(_META) :]: value.strip() for n, value in headers.items() if n.lower().startswith(_META)}
    if any(not _META_NAME.fullmatch(name) for name in found):
        raise refused(400, "InvalidMetadata", "Names of metadata are letters, digits and underscores.")
    if sum(len(name) + len(value) for name, value in found.items()) > _META_BYTES:
        raise refused(400, "MetadataTooLarge", f"The metadata has more than {_META_BYTES} bytes.")
    return found


def md5_of(headers: Mapping[str, str]) -> bytes | None:
    """The checksum that a body was announced with."""
    text = headers.get("content-md5")
    if not text:
        return None
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise refused(400, "InvalidMd5", "The header Content-MD5 is no MD5 in base64.")
    return found


def described(blob: Blob) -> dict[str, str]:
    """The headers that tell about a blob."""
    about = blob.about
    told = {
        **known_by(blob),
        "Accept-Ranges": "bytes",
        "Content-Type": about.content_type,
        "Content-Encoding": about.content_encoding,
        "Content-Language": about.content_language,
        "Content-Disposition": about.content_disposition,
        "Cache-Control": about.cache_control,
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "false",
        **{f"{_META}{name}": value for name, value in about.metadata.items()},
    }
    return {name: value for name, value in told.items() if value}
