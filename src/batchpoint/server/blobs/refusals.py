"""What the blob service refuses, in the words that clients of blob storage know: a status, a code, a sentence, XML."""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

from starlette.responses import Response

from batchpoint.server.transport.request_ids import current_request_id

#: The version of the protocol that answers speak, where a request names none.
VERSION = "2021-12-02"


class BlobRefusal(Exception):
    """An answer of the blob service that is no success. Its edge turns it into a response."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        super().__init__(message)

    def response(self, *, with_body: bool = True) -> Response:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        told = f"{self.message}\nRequestId:{current_request_id()}\nTime:{moment}"
        content = f"{PROLOGUE}<Error><Code>{self.code}</Code><Message>{text(told)}</Message></Error>"
        headers = {**self.headers, "x-ms-error-code": self.code}
        body = content if with_body and self.status != 304 else b""
        return Response(body, self.status, headers, media_type="application/xml" if body else None)


PROLOGUE = '<?xml version="1.0" encoding="utf-8"?>'


def text(value: str) -> str:
    """For XML; what XML cannot hold becomes a question mark."""
    return escape("".join(c if c in "\t\n\r" or _is_xml(ord(c)) else "?" for c in value))


def _is_xml(point: int) -> bool:
    return 0x20 <= point <= 0xD7FF or 0xE000 <= point <= 0xFFFD or point >= 0x10000


def not_authenticated(why: str) -> BlobRefusal:
    """The request shows nothing, or nothing that is good."""
    message = f"Server failed to authenticate the request: {why}"
    return BlobRefusal(403, "AuthenticationFailed", message)


def nothing_shown() -> BlobRefusal:
    message = (
        "The request carries neither a shared access signature nor an authorization header. Ask for a signature with "
        "listSecrets of the datastore, or for the keys of the storage account."
    )
    return BlobRefusal(401, "NoAuthenticationInformation", message, {"WWW-Authenticate": "Bearer"})


def not_allowed(what: str) -> BlobRefusal:
    message = f"This request is not authorized to perform this operation: {what}."
    return BlobRefusal(403, "AuthorizationPermissionMismatch", message)


def invalid(header: str, why: str) -> BlobRefusal:
    code = "InvalidHeaderValue" if header.lower() == header else "InvalidQueryParameterValue"
    return BlobRefusal(400, code, f"{header}: {why}")
