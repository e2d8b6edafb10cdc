"""The one place where the client speaks to a server: a request in, JSON or an error of ours out.

Every group of the client sends through it; it knows no noun.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from json import dumps
from typing import Any
from urllib.parse import quote

import httpx

from batchpoint.arm.envelope import error_body
from batchpoint.arm.envelope.error_body import AGAIN
from batchpoint.arm.envelope.reading import Body
from batchpoint.errors import (
    AccessDenied,
    BatchpointError,
    InternalError,
    ReferenceInvalid,
    ResourceNotFound,
    ServerUnreachable,
)

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
#: How often a request that may be repeated is sent while the server cannot be reached.
_ATTEMPTS = 3
#: A server that wants to be asked again later than that is not waited for.
_LONGEST_WAIT_S = 10


class Requests:
    """Sends requests to one server with one token."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Body:
        """The answer's JSON object; an empty one when there is no body. Raises what the server raised."""
        response = self._answered(method, path, json=body, query=query, headers=headers)
        return Body(_object(response))

    def json_at_last(self, path: str, query: Mapping[str, str] | None = None) -> Body:
        """As ``json``, for an answer that takes as long as it takes: the server reads large files for it."""
        with _reachable(self._http):
            response = self._http.get(path, params=query, timeout=httpx.Timeout(None, connect=TIMEOUT.connect))
        _raise_for(response)
        return Body(_object(response))

    def delete(self, path: str, what: str) -> None:
        """Raises ResourceNotFound when there was nothing to delete, which a server answers with 204."""
        response = self._answered("DELETE", path)
        if response.status_code == 204:
            raise ResourceNotFound(f"There is no {what}; nothing was deleted.", target=what)

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[Body]:
        """The entries of a list, page after page."""
        found = self.json("GET", path, query=query)
        while True:
            yield from (Body(entry) for entry in found.items("value"))
            link = found.text("nextLink")
            if not link:
                return
            # Only the path: the link may name the server by another name than we reached it by.
            found = self.json("GET", httpx.URL(link).raw_path.decode("ascii"))

    def raw(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The answer's body as it is."""
        return self._answered("GET", path, query=query).content

    def free(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> bytes:
        """Any request, sent once; the answer's body as it is."""
        sent = {"Content-Type": "application/json", **headers} if content is not None else dict(headers)
        with _reachable(self._http):
            response = self._http.request(method, path, content=content, params=query or None, headers=sent)
        _raise_for(response)
        return response.content

    def send(self, path: str, content: Iterable[bytes], query: Mapping[str, str] | None = None) -> None:
        """PUT a raw body, which is read once."""
        with _reachable(self._http):
            response = self._http.put(path, content=content, params=query)
        _raise_for(response)

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """A large answer, to be read piece by piece."""
        with _reachable(self._http), self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
            _raise_for(response)
            yield response

    def close(self) -> None:
        self._http.close()

    def _answered(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        # ASCII, because a path may hold bytes that are no UTF-8.
        content = None if json is None else dumps(json).encode("ascii")
        sent = {**({"Content-Type": "application/json"} if content is not None else {}), **(headers or {})}
        # All requests are idempotent: an invocation carries its repeatability_request-id.
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _reachable(self._http):
                    response = self._http.request(method, path, content=content, params=query, headers=sent)
                pause_s = _asked_to_wait(response)
                if pause_s is None or attempt == _ATTEMPTS:
                    break
                time.sleep(pause_s)
            except ServerUnreachable as error:
                # One that took the request and then said nothing for so long would do so again.
                if attempt == _ATTEMPTS or isinstance(error.__cause__, httpx.ReadTimeout):
                    raise
        _raise_for(response)
        return response


def segment(name: str) -> str:
    """``name`` as one segment of a path; ReferenceInvalid for one that would lead to another noun."""
    if name in {"", ".", ".."} or "/" in name:
        raise ReferenceInvalid(f"{name!r} is not a name. Give the name alone, without a slash.", target="name")
    return quote(os.fsencode(name), safe=":@")


@contextmanager
def _reachable(http: httpx.Client) -> Iterator[None]:
    try:
        yield
    except httpx.ReadTimeout as error:
        raise ServerUnreachable(
            f"The Batchpoint server at {http.base_url} took the request and said nothing for {http.timeout.read:g} s. "
            "On its machine, 'batchpoint doctor' says whether it was stopped, and its home's server.log what it does.",
            target=str(http.base_url),
        ) from error
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ServerUnreachable(
                f"The certificate of the server at {http.base_url} is not believed, so it was sent nothing ({error}). "
                "If it is the right one, name the PEM file of its authority with the setting server_ca, or as "
                "BATCHPOINT_SERVER_CA; a server of ours has it as ca.pem in the folder 'tls' of its home.",
                target=str(http.base_url),
            ) from error
        if said := _wrong_scheme(http.base_url, error):
            raise ServerUnreachable(said, target=str(http.base_url)) from error
        raise ServerUnreachable(
            f"No Batchpoint server answers at {http.base_url} ({error or type(error).__name__}). Start one with "
            "'batchpoint serve', name another with --server or BATCHPOINT_SERVER, or unset it to work without one.",
            target=str(http.base_url),
        ) from error


def _wrong_scheme(url: httpx.URL, error: httpx.TransportError) -> str:
    """What to try where somebody answers in the other way; empty where nobody does."""
    if "WRONG_VERSION_NUMBER" in str(error):
        return f"What answers at {url} speaks no TLS. Write http:// if it is a server on this machine."
    if url.scheme == "http" and isinstance(error, httpx.RemoteProtocolError):
        return f"What answers at {url} hangs up on plain http. Write https:// if it is the port with TLS."
    return ""


def _asked_to_wait(response: httpx.Response) -> float | None:
    """Seconds after which the server wants to be asked again; None where it does not, or where that is too long."""
    said = response.headers.get("Retry-After", "")
    if response.status_code not in AGAIN or not said.isdecimal() or int(said) > _LONGEST_WAIT_S:
        return None
    return float(said)


def _raise_for(response: httpx.Response) -> None:
    if not response.is_error:
        return
    raise _error_of(response)


def _error_of(response: httpx.Response) -> BatchpointError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if body is None and response.status_code in {401, 403}:
        return AccessDenied()
    return error_body.from_json(response.status_code, body)


def _object(response: httpx.Response) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InternalError(
            f"{response.url} answered something that is not from Batchpoint. Check the server's address."
        )
    return found
