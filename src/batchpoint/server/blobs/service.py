"""The blob service: an ASGI application of its own, which the gate gives the requests that are for storage accounts.

It checks by itself who asks, since signatures open here what no token opens, and answers in XML as clients of blob
storage expect. Nothing is open to everybody.
"""

import errno
import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchpoint.errors import BlobRefused, ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.server.blobs import conditions, reading, writing
from batchpoint.server.blobs.access import Access, access_of
from batchpoint.server.blobs.address import Address, address_of
from batchpoint.server.blobs.places import Places
from batchpoint.server.blobs.refusals import PROLOGUE, VERSION, refused, response_of
from batchpoint.server.identity.caller import Caller
from batchpoint.storage.accounts.blobs import Blobs, Taken

log = logging.getLogger(__name__)

#: What no answer goes without: whatever a blob says that it is, a browser shall not run it as a page of ours.
_ALWAYS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Operation = Callable[["Exchange"], Awaitable[Response]]


class Exchange:
    """One request, and what it was found to be about."""

    def __init__(self, request: Request, address: Address, access: Access, places: Places) -> None:
        self.request = request
        self.address = address
        self.access = access
        self.places = places
        self.headers = request.headers
        self.query = request.query_params

    async def blobs(self) -> Blobs:
        """The container that it is about. Raises BlobRefused where there is none."""
        return await run_in_threadpool(self.places.find, self.address)

    def target(self, blobs: Blobs) -> writing.Target:
        """The blob that is to be written."""
        return writing.Target(self.places, blobs, self.address, self.access, self.headers)

    @property
    def service_url(self) -> str:
        host = f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"
        is_in_path = self.address.raw_path.startswith(f"/{self.address.account.name}")
        return f"{host}/{self.address.account.name}/" if is_in_path else f"{host}/"


class BlobService:
    """Answers requests to the storage accounts of a home."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def address_of(self, scope: Scope) -> Address | None:
        """What a request is about; None for one that is not for this service."""
        return address_of(scope, self._places.home)

    def place(self, scope: Scope) -> str:
        """The path of the request with its account in front, in whichever spelling it was sent."""
        address = self.address_of(scope)
        return f"/{address.account.name}/{address.container}/{address.blob}".rstrip("/") if address else scope["path"]

    async def answer(self, address: Address, caller: Caller | None, scope: Scope, receive: Receive, send: Send) -> None:
        """``caller`` is whose bearer token the request has, if it has a good one."""
        request = Request(scope, receive)
        try:
            response = await self._answered(request, address, caller)
        except BlobRefused as refusal:
            response = response_of(refusal, with_body=request.method != "HEAD")
        response.headers["x-ms-version"] = _version(request)
        for name, value in _ALWAYS.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _answered(self, request: Request, address: Address, caller: Caller | None) -> Response:
        try:
            access = await run_in_threadpool(access_of, request, address, caller)
            exchange = Exchange(request, address, access, self._places)
            return await _operation(exchange)(exchange)
        except Taken as error:
            raise refused(409, "BlobAlreadyExists", error.message) from error
        except ResourceConflict as error:
            raise refused(409, "BlobNameConflict", error.message) from error
        except ResourceNotFound as error:
            raise refused(404, "BlobNotFound", "The specified blob does not exist.") from error
        except ReferenceInvalid as error:
            raise refused(400, "InvalidResourceName", error.message) from error
        except ClientDisconnect as error:
            raise refused(400, "IncompleteBody", "The body ended before it was whole.") from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            log.warning("a blob cannot be stored, the disk is full: %s", error)
            raise refused(507, "InsufficientStorage", "The disk of the server is full.") from error


def _version(request: Request) -> str:
    given = request.headers.get("x-ms-version", "")
    return given if given.replace("-", "").isdecimal() and len(given) <= len(VERSION) else VERSION


def _operation(exchange: Exchange) -> Operation:
    address = exchange.address
    level = "blob" if address.blob else "container" if address.container else "account"
    query = {name.lower(): value.lower() for name, value in exchange.query.items()}
    if query.get("restype") == "account" and exchange.request.method in ("GET", "HEAD"):
        return _tell_account
    kind = query.get("comp", "")
    if level == "container" and query.get("restype") != "container":
        kind = f"{kind} without restype"
    found = _OPERATIONS.get((exchange.request.method, level, kind))
    if found is None:
        message = f"This server has no {exchange.request.method} of comp={kind[:40]!r} for a {level}."
        raise refused(400, "UnsupportedHttpVerb" if not kind else "InvalidQueryParameterValue", message)
    return found


async def _tell_account(exchange: Exchange) -> Response:
    return Response(None, 200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"})


async def _tell_service(exchange: Exchange) -> Response:
    exchange.access.require("r", "s")
    return Response(f"{PROLOGUE}<StorageServiceProperties />", 200, media_type="application/xml")


async def _list_containers(exchange: Exchange) -> Response:
    exchange.access.require("l", "s")
    return await run_in_threadpool(
        reading.list_containers, exchange.places, exchange.address, exchange.query, exchange.service_url
    )


async def _create_container(exchange: Exchange) -> Response:
    exchange.access.require("cw", "c")
    _keep_private(exchange)
    metadata = conditions.metadata_of(exchange.headers)
    await run_in_threadpool(exchange.places.create, exchange.address, metadata)
    found = await run_in_threadpool(reading.get_container, exchange.places, exchange.address)
    return Response(None, 201, {name: found.headers[name] for name in ("etag", "last-modified")})


async def _delete_container(exchange: Exchange) -> Response:
    exchange.access.require("d", "c")
    await run_in_threadpool(exchange.places.delete, exchange.address)
    return Response(None, 202)


async def _get_container(exchange: Exchange) -> Response:
    exchange.access.require("rl", "c")
    return await run_in_threadpool(reading.get_container, exchange.places, exchange.address)


async def _describe_container(exchange: Exchange) -> Response:
    exchange.access.require("w", "c")
    await exchange.blobs()
    metadata = conditions.metadata_of(exchange.headers)
    await run_in_threadpool(exchange.places.describe, exchange.address, metadata)
    return await _get_container(exchange)


async def _get_acl(exchange: Exchange) -> Response:
    found = await _get_container(exchange)
    known = {name: found.headers[name] for name in ("etag", "last-modified")}
    return Response(f"{PROLOGUE}<SignedIdentifiers />", 200, known, media_type="application/xml")


async def _set_acl(exchange: Exchange) -> Response:
    exchange.access.require("w", "c")
    _keep_private(exchange)
    body = await writing.body_of(exchange.request)
    if b"<SignedIdentifier>" in body:
        raise refused(400, "InvalidXmlDocument", "Stored access policies are not offered; sign each address.")
    return await _get_container(exchange)


def _keep_private(exchange: Exchange) -> None:
    if exchange.headers.get("x-ms-blob-public-access"):
        raise refused(409, "PublicAccessNotPermitted", "Nothing is open to everybody here; containers are private.")


async def _list_blobs(exchange: Exchange) -> Response:
    exchange.access.require("l", "c")
    blobs = await exchange.blobs()
    return await run_in_threadpool(reading.list_blobs, blobs, exchange.address, exchange.query, exchange.service_url)


async def _get_blob(exchange: Exchange) -> Response:
    exchange.access.require("r", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(reading.get_blob, blobs, exchange.address, exchange.headers, exchange.query)


async def _head_blob(exchange: Exchange) -> Response:
    exchange.access.require("r", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(reading.head_blob, blobs, exchange.address, exchange.headers)


async def _get_metadata(exchange: Exchange) -> Response:
    exchange.access.require("r", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(reading.get_metadata, blobs, exchange.address, exchange.headers)


async def _get_block_list(exchange: Exchange) -> Response:
    exchange.access.require("r", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(reading.get_block_list, exchange.places, blobs, exchange.address, exchange.query)


async def _put_blob(exchange: Exchange) -> Response:
    exchange.access.require("wc", "o")
    if "x-ms-copy-source" in exchange.headers:
        message = "Blobs are not copied on the server here. Download the blob, and upload it under the other name."
        raise refused(400, "UnsupportedHeader", message)
    blobs = await exchange.blobs()
    # Before the body comes.
    blobs.check_name(exchange.address.blob)
    return await writing.put_blob(exchange.request, exchange.target(blobs))


async def _put_block(exchange: Exchange) -> Response:
    exchange.access.require("wc", "o")
    blobs = await exchange.blobs()
    blobs.check_name(exchange.address.blob)
    return await writing.put_block(exchange.request, exchange.places, exchange.address)


async def _put_block_list(exchange: Exchange) -> Response:
    exchange.access.require("wc", "o")
    blobs = await exchange.blobs()
    return await writing.put_block_list(exchange.request, exchange.target(blobs))


async def _set_metadata(exchange: Exchange) -> Response:
    exchange.access.require("w", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(writing.set_metadata, blobs, exchange.address, exchange.headers)


async def _set_properties(exchange: Exchange) -> Response:
    exchange.access.require("w", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(writing.set_properties, blobs, exchange.address, exchange.headers)


async def _delete_blob(exchange: Exchange) -> Response:
    exchange.access.require("d", "o")
    blobs = await exchange.blobs()
    return await run_in_threadpool(writing.delete_blob, exchange.places, blobs, exchange.address, exchange.headers)


#: Method, level and what is asked for → who answers. What is not here is refused.
_OPERATIONS: dict[tuple[str, str, str], Operation] = {
    ("GET", "account", "list"): _list_containers,
    ("GET", "account", "properties"): _tell_service,
    ("PUT", "container", ""): _create_container,
    ("DELETE", "container", ""): _delete_container,
    ("GET", "container", ""): _get_container,
    ("HEAD", "container", ""): _get_container,
    ("GET", "container", "metadata"): _get_container,
    ("HEAD", "container", "metadata"): _get_container,
    ("PUT", "container", "metadata"): _describe_container,
    ("GET", "container", "acl"): _get_acl,
    ("HEAD", "container", "acl"): _get_acl,
    ("PUT", "container", "acl"): _set_acl,
    ("GET", "container", "list"): _list_blobs,
    ("GET", "blob", ""): _get_blob,
    ("HEAD", "blob", ""): _head_blob,
    ("GET", "blob", "metadata"): _get_metadata,
    ("HEAD", "blob", "metadata"): _get_metadata,
    ("GET", "blob", "blocklist"): _get_block_list,
    ("PUT", "blob", ""): _put_blob,
    ("PUT", "blob", "block"): _put_block,
    ("PUT", "blob", "blocklist"): _put_block_list,
    ("PUT", "blob", "metadata"): _set_metadata,
    ("PUT", "blob", "properties"): _set_properties,
    ("DELETE", "blob", ""): _delete_blob,
}
