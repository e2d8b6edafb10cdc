"""The audit log of a home: one line of JSON for each request that changes something or was refused to, never rewritten.

``create_app`` puts the middleware around the gate; whoever runs a server reads the file, or asks for its end.
"""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchpoint.server.identity.caller import NOBODY, OWNER
from batchpoint.server.identity.tokens.attempts import Attempts
from batchpoint.server.transport.request_ids import current_request_id

log = logging.getLogger(__name__)

#: Methods that change nothing.
_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_REFUSED = 400
#: Below it files are sent one by one, perhaps a million of them.
_UPLOADS = "/batchpoint/v1/uploads/"
#: Bytes of a line at most, its end included: a line of that length is appended whole or not at all.
LINE_BYTES = 8192
#: Characters that are kept of a text, and of one in a line that would be too long.
_TEXT, _SHORT_TEXT = 1024, 120
#: How far from the end of the file lines are looked for.
_TAIL_BYTES = 8 << 20


def audit_file(home: Path) -> Path:
    return home / "audit.log"


class Audit:
    """ASGI middleware: notes who did what, with which result; no query and no body, where secrets may be.

    Of requests of strangers that were refused a few a minute from each address: whoever likes must not fill the disk.
    """

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        self._file = file
        self._strangers = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READS:
            await self._app(scope, receive, send)
            return
        # Made here, so that what is noted further in is seen out here.
        state = scope.setdefault("state", {})
        # Who is answered with nothing, has met a fault or gone away.
        statuses = [500]

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            entry = _entry(scope, state, statuses[-1])
            if not _is_part_of_upload(entry) and not self._is_one_of_many(state, entry):
                self._append(entry)

    def _is_one_of_many(self, state: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
        if state.get("caller", NOBODY) is not NOBODY or entry["status"] < _REFUSED:
            return False
        if self._strangers.wait_s(entry["address"], ""):
            return True
        self._strangers.failed(entry["address"], "")
        return False

    def _append(self, entry: Mapping[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._file, flags, 0o600)
            try:
                os.write(descriptor, line_of(entry))
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("nothing can be written to %s: %s", self._file, error.strerror)


def _is_part_of_upload(entry: Mapping[str, Any]) -> bool:
    """A file that was sent: it counts for nothing before the request that ends its upload, which has a line."""
    return entry["method"] == "PUT" and int(entry["status"]) < _REFUSED and str(entry["path"]).startswith(_UPLOADS)


def line_of(entry: Mapping[str, Any]) -> bytes:
    """The entry as one line in ASCII, long texts cut."""
    line = _dumped(entry, _TEXT)
    return line if len(line) <= LINE_BYTES else _dumped(entry, _SHORT_TEXT)


def _dumped(entry: Mapping[str, Any], most: int) -> bytes:
    cut = {key: value[:most] if isinstance(value, str) else value for key, value in entry.items()}
    return json.dumps(cut, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def _entry(scope: Scope, state: Mapping[str, Any], status: int) -> dict[str, Any]:
    caller = state.get("caller", NOBODY)
    client = scope.get("client")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "requestId": current_request_id(),
        "caller": caller.name,
        "objectId": caller.id,
        "isOwner": caller is OWNER,
        "action": state.get("action", ""),
        "scope": state.get("place", ""),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "address": client[0] if client else "",
    }


def last_lines(home: Path, most: int) -> list[dict[str, Any]]:
    """The latest entries, oldest first; what is further back than the end of a large file stays in the file."""
    try:
        with audit_file(home).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = (_read(line) for line in lines[-most:])
    return [entry for entry in found if entry is not None]


def _read(line: bytes) -> dict[str, Any] | None:
    """None for a line that a full disk cut off."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
