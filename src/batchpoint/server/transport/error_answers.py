"""Errors as answers: status, body, when to come again. What this machine suffers from, its owner alone is told.

``app`` answers with it what routes raise, the gate and the limits what they raise themselves.
"""

import logging
from collections.abc import Callable
from typing import Any

from batchpoint.arm.envelope import error_body
from batchpoint.errors import BatchpointError, QueueFull
from batchpoint.server.transport.ascii_json import AsciiJson
from batchpoint.server.transport.request_ids import current_request_id

log = logging.getLogger(__name__)

#: What an answer of "not now" tells its client, in seconds.
_SOON_S = 2
#: The same for what takes longer to pass.
_LATER_S = {QueueFull.code: 30}
_UNAUTHORIZED = 401


def error_answer(
    error: BatchpointError,
    *,
    is_owner: bool,
    widened: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body,
    again_s: int | None = None,
) -> AsciiJson:
    """The answer that says so; ``widened`` makes of its body what clients of a path expect.

    ``again_s``: when to come again, in seconds, where that is known better than by the kind of error.
    """
    status = error_body.status_of(error)
    shown = error if is_owner or status < error_body.OURS else _without_details(error)
    headers = {}
    if status in error_body.AGAIN:
        headers["Retry-After"] = str(again_s or _LATER_S.get(error.code, _SOON_S))
    if status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return AsciiJson(widened(error_body.to_json(shown, current_request_id())), status, headers)


def _without_details(error: BatchpointError) -> BatchpointError:
    """What went wrong on this machine, with its paths, goes to the log; others get the id of the request."""
    log.error("%s: %s", error.code, error.message)
    kind = type(error)
    return kind(f"{(kind.__doc__ or '').strip()} The operator of the server finds why in its log, by the request id.")
