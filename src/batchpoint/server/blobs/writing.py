"""Writes of the blob service: blobs whole or in blocks, what is known about them, deletions.

``service`` calls it with what was found and allowed. A body goes to disk as it comes; a blob is seen when it is whole.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from batchpoint.errors import BlobRefused
from batchpoint.server.blobs import conditions
from batchpoint.server.blobs.access import Access
from batchpoint.server.blobs.address import Address
from batchpoint.server.blobs.places import Places
from batchpoint.server.blobs.refusals import not_allowed, refused
from batchpoint.storage.accounts.about import About
from batchpoint.storage.accounts.blobs import Blob, Blobs
from batchpoint.storage.accounts.blocks import Blocks, append_range, blocks_of
from batchpoint.storage.atomic import fsync_file

#: Bytes of one request at most: of a whole blob, of a block, of a list of blocks.
BLOB_BYTES, BLOCK_BYTES, _LIST_BYTES = 5000 << 20, 4000 << 20, 8 << 20
_BLOCKS_MAX = 50_000
_BLOCK_ID_LENGTH = 88
_PIECE_BYTES = 1 << 20
_LISTED = re.compile(r"<(Latest|Committed|Uncommitted)>([^<>]*)</\1>")


@dataclass(frozen=True)
class Target:
    """The blob that a request is to make, and what the sender may do."""

    places: Places
    blobs: Blobs
    address: Address
    access: Access
    headers: Headers

    @property
    def existing(self) -> Blob | None:
        return self.blobs.find(self.address.blob)

    def check(self, blob: Blob | None) -> None:
        """Whether the request may put its blob in the place of ``blob``, or of none. Raises BlobRefused."""
        conditions.check(self.headers, blob)
        if blob is not None and "w" not in self.access.letters:
            raise not_allowed("the blob is there already, and to replace it needs the permission write")

    def publish(self, finished: Path, about: About) -> Blob:
        """Give the finished file the name of the blob, if that may be now."""

        def may(blob: Blob | None) -> None:
            self.check(blob)
            self.places.keep_registered(self.address, finished)

        only_new = self.headers.get("if-none-match", "").strip() == "*" or "w" not in self.access.letters
        return self.blobs.publish(finished, self.address.blob, about, may, only_new=only_new)


async def put_blob(request: Request, target: Target) -> Response:
    """A blob in one piece."""
    kind = request.headers.get("x-ms-blob-type", "")
    if kind != "BlockBlob":
        message = f"Blobs are of type BlockBlob here, not {kind[:20]!r}."
        raise refused(400, "InvalidBlobType" if kind else "MissingRequiredHeader", message)
    about, wanted = conditions.about_of(target.headers, of_body=True), conditions.md5_of(target.headers)
    # Before the body comes, so that it need not.
    await run_in_threadpool(lambda: target.check(target.existing))
    aside = target.blobs.aside()
    try:
        checksum = await _receive(request, aside, BLOB_BYTES, wanted)
        known = replace(about, content_md5=about.content_md5 or checksum)
        blob = await run_in_threadpool(target.publish, aside, known)
    finally:
        aside.unlink(missing_ok=True)
    return _created(blob, {"Content-MD5": checksum})


async def put_block(request: Request, places: Places, address: Address) -> Response:
    block = _checked_id(request.query_params.get("blockid", ""))
    blocks, wanted = blocks_of(places.blocks(address), address.blob), conditions.md5_of(request.headers)
    aside = await run_in_threadpool(blocks.aside)
    try:
        checksum = await _receive(request, aside, BLOCK_BYTES, wanted)
        await run_in_threadpool(fsync_file, aside)
        await run_in_threadpool(blocks.keep, aside, block)
    finally:
        aside.unlink(missing_ok=True)
    return Response(None, 201, {"Content-MD5": checksum, "x-ms-request-server-encrypted": "false"})


async def put_block_list(request: Request, target: Target) -> Response:
    """Makes a blob of blocks that were sent, and of blocks of the blob that is there."""
    body = await body_of(request)
    listed = _listed(body.decode("utf-8", "replace"))
    blob = await run_in_threadpool(_assemble, target, listed)
    return _created(blob, {})


async def body_of(request: Request) -> bytes:
    """The whole of a body that says something, and is not kept.

    BlobRefused where it is too long for that, or not what was announced.
    """
    wanted, body = conditions.md5_of(request.headers), bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LIST_BYTES:
            raise _too_large(_LIST_BYTES)
    _check_md5(hashlib.md5(body, usedforsecurity=False).digest(), wanted)
    return bytes(body)


def _assemble(target: Target, listed: list[tuple[str, str]]) -> Blob:
    target.check(target.existing)
    blocks = blocks_of(target.places.blocks(target.address), target.address.blob)
    aside = target.blobs.aside()
    try:
        aside.touch()
        parts = _put_together(target.blobs, blocks, target.address, listed, aside)
        blob = target.publish(aside, replace(conditions.about_of(target.headers, of_body=False), blocks=parts))
    finally:
        aside.unlink(missing_ok=True)
    blocks.drop()
    return blob


def _put_together(
    blobs: Blobs, blocks: Blocks, address: Address, listed: list[tuple[str, str]], aside: Path
) -> tuple[tuple[str, int], ...]:
    """Write the blocks to ``aside``; their ids and sizes."""
    sent, existing = blocks.sizes(), blobs.find(address.blob)
    file = blobs.open(address.blob)[0] if existing else None
    committed: dict[str, tuple[int, int]] = {}
    offset = 0
    for block, size in existing.about.blocks if existing else ():
        committed[block] = offset, size
        offset += size
    parts: list[tuple[str, int]] = []
    try:
        for place, block in listed:
            if place != "Committed" and block in sent:
                parts.append((block, blocks.append(block, aside)))
            elif place != "Uncommitted" and block in committed and file is not None:
                parts.append((block, append_range(file.fileno(), *committed[block], aside)))
            else:
                raise refused(400, "InvalidBlockList", f"The block {block[:88]} of the list was not sent.")
    finally:
        if file is not None:
            file.close()
    return tuple(parts)


def _listed(body: str) -> list[tuple[str, str]]:
    """Where each block is to be looked for, and its id."""
    found = [(match[1], match[2].strip()) for match in _LISTED.finditer(body)]
    if "<BlockList" not in body:
        raise refused(400, "InvalidXmlDocument", "The body is no list of blocks in XML.")
    if len(found) > _BLOCKS_MAX:
        raise refused(400, "BlockListTooLong", f"A blob has {_BLOCKS_MAX} blocks at most.")
    return found


def set_metadata(blobs: Blobs, address: Address, headers: Headers) -> Response:
    """Replaces all metadata."""
    metadata = conditions.metadata_of(headers)

    def changed(blob: Blob) -> About:
        conditions.check(headers, blob)
        return replace(blob.about, metadata=metadata)

    return Response(None, 200, conditions.known_by(blobs.change(address.blob, changed)))


def set_properties(blobs: Blobs, address: Address, headers: Headers) -> Response:
    """Replaces the headers of the content."""
    about = conditions.about_of(headers, of_body=False)

    def changed(blob: Blob) -> About:
        conditions.check(headers, blob)
        return replace(about, metadata=blob.about.metadata, blocks=blob.about.blocks)

    return Response(None, 200, conditions.known_by(blobs.change(address.blob, changed)))


def delete_blob(places: Places, blobs: Blobs, address: Address, headers: Headers) -> Response:
    def may(blob: Blob) -> None:
        conditions.check(headers, blob)
        places.keep_registered(address, None)

    blobs.delete(address.blob, may)
    return Response(None, 202, {"x-ms-delete-type-permanent": "true"})


async def _receive(request: Request, target: Path, limit: int, md5: bytes | None) -> str:
    """Write the body to a new file; its MD5 as base64. BlobRefused where it is not what was announced, or too long."""
    announced = request.headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    digest, received = hashlib.md5(usedforsecurity=False), 0
    with target.open("xb", buffering=0) as file:

        def take(piece: bytes) -> None:
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]

        ahead = bytearray()
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise _too_large(limit)
            ahead += chunk
            if len(ahead) >= _PIECE_BYTES:
                await run_in_threadpool(take, bytes(ahead))
                ahead.clear()
        await run_in_threadpool(take, bytes(ahead))
    _check_md5(digest.digest(), md5)
    return base64.b64encode(digest.digest()).decode("ascii")


def _check_md5(found: bytes, wanted: bytes | None) -> None:
    if wanted is not None and found != wanted:
        raise refused(400, "Md5Mismatch", "The body is not what the header Content-MD5 says.")


def _checked_id(block: str) -> str:
    try:
        base64.b64decode(block, validate=True)
    except ValueError as error:
        raise refused(400, "InvalidQueryParameterValue", "blockid: it is not base64.") from error
    if not 0 < len(block) <= _BLOCK_ID_LENGTH:
        raise refused(400, "InvalidQueryParameterValue", "blockid: it has 1 to 64 bytes as base64.")
    return block


def _too_large(limit: int) -> BlobRefused:
    return refused(413, "RequestBodyTooLarge", f"The body has more than {limit} bytes; send larger blobs in blocks.")


def _created(blob: Blob, headers: dict[str, str]) -> Response:
    told = {**conditions.known_by(blob), "x-ms-request-server-encrypted": "false", **headers}
    return Response(None, 201, {**told, "x-ms-creation-time": formatdate(blob.about.modified, usegmt=True)})
