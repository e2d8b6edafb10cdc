"""What the blob service refuses, in the words that clients of blob storage know: a status, a code, a sentence, XML."""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

from starlette.responses import Response

from batchpoint.errors import BlobRefused
from batchpoint.server.transport.request_ids import current_request_id

#: The version of the protocol that answers speak, where a request names none.
VERSION = "2021-12-02"
PROLOGUE = '<?xml version="1.0" encoding="utf-8"?>'


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> BlobRefused:
    """``code`` is what clients of blob storage call it."""
    found = BlobRefused(message)
    found.status, found.storage_code, found.headers = status, code, headers or {}
    return found


def response_of(refusal: BlobRefused, *, with_body: bool = True) -> Response:
    """The answer that says so."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    told = f"{refusal.message}\nRequestId:{current_request_id()}\nTime:{moment}"
    content = f"{PROLOGUE}<Error><Code>{refusal.storage_code}</Code><Message>{text(told)}</Message></Error>"
    headers = {**refusal.headers, "x-ms-error-code": refusal.storage_code}
    body = content if with_body and refusal.status != 304 else b""
    return Response(body, refusal.status, headers, media_type="application/xml" if body else None)


def text(value: str) -> str:
    """For XML; what XML cannot hold becomes a question mark."""
    return escape("".join(c if c in "\t\n\r" or _is_xml(ord(c)) else "?" for c in value))


def _is_xml(point: int) -> bool:
    return 0x20 <= point <= 0xD7FF or 0xE000 <= point <= 0xFFFD or point >= 0x10000


def not_authenticated(why: str) -> BlobRefused:
    """The request shows nothing, or nothing that is good."""
    message = f"Server failed to authenticate the request: {why}"
    return refused(403, "AuthenticationFailed", message)


def nothing_shown() -> BlobRefused:
    message = (
        "The request carries neither a shared access signature nor an authorization header. Ask for a signature with "
        "listSecrets of the datastore, or for the keys of the storage account."
    )
    return refused(401, "NoAuthenticationInformation", message, {"WWW-Authenticate": "Bearer"})


def not_allowed(what: str) -> BlobRefused:
    message = f"This request is not authorized to perform this operation: {what}."
    return refused(403, "AuthorizationPermissionMismatch", message)


def invalid(header: str, why: str) -> BlobRefused:
    code = "InvalidHeaderValue" if header.lower() == header else "InvalidQueryParameterValue"
    return refused(400, code, f"{header}: {why}")
