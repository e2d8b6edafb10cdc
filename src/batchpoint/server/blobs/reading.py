"""Reads of the blob service: blobs and ranges of them, what is known about them, lists of blobs and containers.

``service`` calls it with what was found and allowed. Bytes are read as they are sent; none are kept.
"""

import base64
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response, StreamingResponse

from batchpoint.server.blobs import conditions
from batchpoint.server.blobs.address import Address
from batchpoint.server.blobs.places import Places
from batchpoint.server.blobs.refusals import PROLOGUE, refused, text
from batchpoint.storage.accounts.blobs import Blob, Blobs
from batchpoint.storage.accounts.blocks import blocks_of

_PIECE_BYTES = 1 << 20
#: Longest range that its checksum is reckoned of, as the protocol has it.
_CHECKED_BYTES = 4 << 20
_PAGE = 5000
#: Parameter of a signature → the header of the answer that it sets.
_OVERRIDES = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}


def get_blob(blobs: Blobs, address: Address, headers: Headers, query: QueryParams) -> Response:
    """The bytes, all or one range of them."""
    file, blob = blobs.open(address.blob)
    try:
        conditions.check(headers, blob, reads=True)
        part = conditions.range_of(headers, blob.size)
        begin, length = part or (0, blob.size)
        told = conditions.described(blob) | {"Content-Length": str(length)} | _overridden(query)
        if part:
            told["Content-Range"] = f"bytes {begin}-{begin + length - 1}/{blob.size}"
            if headers.get("x-ms-range-get-content-md5", "").lower() == "true":
                told["Content-MD5"] = _md5(file, begin, length)
        if blob.about.content_md5:
            told["x-ms-blob-content-md5" if part else "Content-MD5"] = blob.about.content_md5
    except BaseException:
        file.close()
        raise
    return StreamingResponse(_pieces(file, begin, length), 206 if part else 200, told)


def head_blob(blobs: Blobs, address: Address, headers: Headers) -> Response:
    blob = blobs.get(address.blob)
    conditions.check(headers, blob, reads=True)
    told = conditions.described(blob) | {"Content-Length": str(blob.size)}
    if blob.about.content_md5:
        told["Content-MD5"] = blob.about.content_md5
    return Response(None, 200, told)


def get_metadata(blobs: Blobs, address: Address, headers: Headers) -> Response:
    blob = blobs.get(address.blob)
    conditions.check(headers, blob, reads=True)
    metadata = {f"x-ms-meta-{name}": value for name, value in blob.about.metadata.items()}
    return Response(None, 200, conditions.known_by(blob) | metadata)


def get_block_list(places: Places, blobs: Blobs, address: Address, query: QueryParams) -> Response:
    wanted = query.get("blocklisttype", "committed").lower()
    blob = blobs.find(address.blob)
    sent = blocks_of(places.blocks(address), address.blob).sizes()
    if blob is None and not sent:
        raise refused(404, "BlobNotFound", "The specified blob does not exist.")
    parts = [f"{PROLOGUE}<BlockList>"]
    if wanted in ("committed", "all"):
        parts += ["<CommittedBlocks>", *_blocks(blob.about.blocks if blob else ()), "</CommittedBlocks>"]
    if wanted in ("uncommitted", "all"):
        parts += ["<UncommittedBlocks>", *_blocks(tuple(sent.items())), "</UncommittedBlocks>"]
    known = conditions.known_by(blob) | {"x-ms-blob-content-length": str(blob.size)} if blob else {}
    return _xml([*parts, "</BlockList>"], known)


def list_blobs(blobs: Blobs, address: Address, query: QueryParams, service_url: str) -> Response:
    """One page, in the order of bytes."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    if delimiter not in ("", "/"):
        raise refused(400, "InvalidQueryParameterValue", "delimiter: only / divides names here.")
    most, start = _most(query), max(_name_of(query.get("marker", "")), query.get("startFrom", ""))
    names = blobs.level(prefix, start) if delimiter else blobs.walk(prefix, start)
    with_metadata = "metadata" in query.get("include", "").lower().split(",")
    listed, following = _page(blobs, names, most, with_metadata=with_metadata)
    told = {"Prefix": prefix, "Marker": query.get("marker", ""), "MaxResults": query.get("maxresults", "")}
    parts = [_results(service_url, address.container), *_elements(told | {"Delimiter": delimiter})]
    return _xml([*parts, "<Blobs>", *listed, "</Blobs>", _next(following), "</EnumerationResults>"], {})


def _page(blobs: Blobs, names: Iterator[str], most: int, *, with_metadata: bool) -> tuple[list[str], str]:
    """Elements, and the name that the next page begins with."""
    listed: list[str] = []
    for name in names:
        if len(listed) == most:
            return listed, name
        if name.endswith("/"):
            listed.append(f"<BlobPrefix><Name>{text(name)}</Name></BlobPrefix>")
        elif blob := blobs.find(name):
            listed.append(_blob(blob, with_metadata=with_metadata))
    return listed, ""


def list_containers(places: Places, address: Address, query: QueryParams, service_url: str) -> Response:
    prefix, most = query.get("prefix", ""), _most(query)
    start = _name_of(query.get("marker", ""))
    names = [name for name in places.names(address.account) if name.startswith(prefix) and name >= start]
    told = {"Prefix": prefix, "Marker": query.get("marker", ""), "MaxResults": query.get("maxresults", "")}
    parts = [_results(service_url), *_elements(told), "<Containers>"]
    for name in names[:most]:
        found = Address(address.account, name, "", "")
        metadata = places.metadata(found) if "metadata" in query.get("include", "").lower() else {}
        parts.append(f"<Container><Name>{text(name)}</Name><Properties>")
        parts += [*_elements(_container_properties(places.find(found))), "</Properties>", *_metadata(metadata)]
        parts.append("</Container>")
    following = names[most] if len(names) > most else ""
    return _xml([*parts, "</Containers>", _next(following), "</EnumerationResults>"], {})


def get_container(places: Places, address: Address) -> Response:
    told = _container_properties(places.find(address))
    metadata = {f"x-ms-meta-{name}": value for name, value in places.metadata(address).items()}
    fixed = {
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-has-immutability-policy": "false",
        "x-ms-has-legal-hold": "false",
    }
    return Response(None, 200, {"ETag": told["Etag"], "Last-Modified": told["Last-Modified"], **fixed, **metadata})


def _container_properties(blobs: Blobs) -> dict[str, str]:
    status = blobs.root.stat()
    moment = formatdate(status.st_ctime, usegmt=True)
    return {
        "Last-Modified": moment,
        "Etag": f'"0x{status.st_ino:016X}"',
        "LeaseStatus": "unlocked",
        "LeaseState": "available",
    }


def _blob(blob: Blob, *, with_metadata: bool) -> str:
    about = blob.about
    moment = formatdate(about.modified, usegmt=True)
    properties = {
        "Creation-Time": moment,
        "Last-Modified": moment,
        "Etag": about.etag,
        "Content-Length": str(blob.size),
        "Content-Type": about.content_type,
        "Content-Encoding": about.content_encoding,
        "Content-Language": about.content_language,
        "Content-MD5": about.content_md5,
        "Cache-Control": about.cache_control,
        "Content-Disposition": about.content_disposition,
        "BlobType": "BlockBlob",
        "AccessTier": "Hot",
        "LeaseStatus": "unlocked",
        "LeaseState": "available",
        "ServerEncrypted": "false",
    }
    parts = ["<Blob>", f"<Name>{text(blob.name)}</Name>", "<Properties>", *_elements(properties), "</Properties>"]
    return "".join([*parts, *(_metadata(about.metadata) if with_metadata else ()), "</Blob>"])


def _metadata(metadata: dict[str, str]) -> list[str]:
    return ["<Metadata>", *_elements(metadata), "</Metadata>"]


def _blocks(blocks: tuple[tuple[str, int], ...]) -> list[str]:
    return [f"<Block><Name>{text(name)}</Name><Size>{size}</Size></Block>" for name, size in blocks]


def _elements(values: dict[str, str]) -> list[str]:
    return [f"<{name}>{text(value)}</{name}>" if value else f"<{name} />" for name, value in values.items()]


def _results(service_url: str, container: str = "") -> str:
    written = {"ServiceEndpoint": service_url, **({"ContainerName": container} if container else {})}
    inside = " ".join(f'{name}="{text(value).replace(chr(34), "&quot;")}"' for name, value in written.items())
    return f"{PROLOGUE}<EnumerationResults {inside}>"


def _next(name: str) -> str:
    marker = base64.urlsafe_b64encode(name.encode()).decode("ascii")
    return f"<NextMarker>{marker}</NextMarker>" if name else "<NextMarker />"


def _name_of(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode("ascii")).decode()
    except ValueError as error:
        message = "marker: give the NextMarker of an answer as it stands there."
        raise refused(400, "InvalidQueryParameterValue", message) from error


def _most(query: QueryParams) -> int:
    given = query.get("maxresults", "")
    if given and not (given.isdecimal() and len(given) < 10 and int(given)):
        raise refused(400, "OutOfRangeQueryParameterValue", f"maxresults: give a number from 1 to {_PAGE}.")
    return min(int(given), _PAGE) if given else _PAGE


def _xml(parts: list[str], headers: dict[str, str]) -> Response:
    return Response("".join(parts), 200, headers, media_type="application/xml")


def _overridden(query: QueryParams) -> dict[str, str]:
    """What the signer of an address wants the answer's headers to be."""
    found = {header: query[name] for name, header in _OVERRIDES.items() if name in query and "sig" in query}
    return {header: value for header, value in found.items() if value.isascii() and value.isprintable()}


def _md5(file: BinaryIO, begin: int, length: int) -> str:
    if length > _CHECKED_BYTES:
        raise refused(400, "OutOfRangeInput", "A checksum is told of ranges of 4 MiB at most.")
    data = os.pread(file.fileno(), length, begin)
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")


async def _pieces(file: BinaryIO, begin: int, length: int) -> AsyncIterator[bytes]:
    try:
        while length > 0:
            piece = await run_in_threadpool(os.pread, file.fileno(), min(length, _PIECE_BYTES), begin)
            if not piece:
                break
            begin, length = begin + len(piece), length - len(piece)
            yield piece
    finally:
        file.close()
