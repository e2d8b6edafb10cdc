"""Errors on the wire: code → status once, error → body for the server, body → error for the client."""

import json
from typing import Any

from batchpoint import errors
from batchpoint.entities.noun import snake_cased
from batchpoint.errors import BatchpointError, Problem, UserError, ValidationFailed

#: HTTP status by error code. Anything else of ours is 500, any other UserError 400.
STATUS = {
    "UserError": 400,
    "InvalidReference": 400,
    "NotSupported": 400,
    "LimitExceeded": 400,
    "RequestMalformed": 400,
    "InvalidAuthenticationToken": 401,
    "AuthorizationFailed": 403,
    "LocalPathNotAllowed": 403,
    "ResourceNotFound": 404,
    "MethodNotAllowed": 405,
    "RequestTooSlow": 408,
    "ResourceConflict": 409,
    "RequestTooLarge": 413,
    "IdempotencyKeyReused": 422,
    "TooManyRequests": 429,
    "QueueFull": 429,
    "RequestHeadTooLarge": 431,
    "InternalServerError": 500,
    "StoreUnavailable": 503,
    "ServerBusy": 503,
    "StorageFull": 507,
    "StoreDamaged": 500,
}

#: From this status on it is not the fault of who asks.
OURS = 500

#: The statuses of what passes by itself: ask again later.
AGAIN = frozenset({429, 503})

#: What the code of a validation error is on the wire; its problems are in ``details``.
_VALIDATION = "UserError"


def status_of(error: BatchpointError) -> int:
    """The HTTP status that ``error`` is answered with."""
    return STATUS.get(error.code, 400 if isinstance(error, UserError) else 500)


def to_json(error: BatchpointError, request_id: str = "") -> dict[str, Any]:
    """The ARM error body; ``request_id`` stands where clients of Azure show it."""
    if isinstance(error, ValidationFailed):
        body = _validation(error)
    else:
        body = {"code": error.code, "message": error.message, "details": []}
        if error.target:
            body["target"] = error.target
    if request_id:
        body["additionalInfo"] = [{"type": "Correlation", "info": {"value": {"request": request_id}}}]
    return {"error": body}


def _validation(error: ValidationFailed) -> dict[str, Any]:
    listed = [
        {"PropertyName": p.key, "ErrorMessage": p.message, "AttemptedValue": None, "ErrorCode": "PredicateValidator"}
        for p in error.problems
    ]
    return {
        "code": _VALIDATION,
        "message": f"{error.message}\nErrors: {json.dumps(listed)}",
        "target": error.subject,
        "details": [{"code": error.code, "message": p.message, "target": p.key} for p in error.problems],
    }


def from_json(status: int, body: object) -> BatchpointError:
    """The error that the server raised, as the same class; an unreadable body becomes one by its status."""
    found = body.get("error") if isinstance(body, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return _by_status(status, f"The server answered {status} without saying why.")
    details = [d for d in found.get("details") or [] if isinstance(d, dict)]
    if details and all(d.get("code") == ValidationFailed.code for d in details):
        problems = tuple(Problem(_our_key(str(d.get("target") or "")), str(d.get("message"))) for d in details)
        return ValidationFailed(str(found.get("target") or "request"), problems)
    cls = _BY_CODE.get(str(found.get("code")))
    target = found.get("target") if isinstance(found.get("target"), str) else None
    return cls(found["message"], target=target) if cls else _by_status(status, found["message"])


def _our_key(wire_key: str) -> str:
    """``properties.retrySettings.maxRetries`` → ``retry_settings.max_retries``: as the caller knows it."""
    return str(snake_cased(wire_key.removeprefix("properties.")))


def _by_status(status: int, message: str) -> BatchpointError:
    code = next((code for code, known in STATUS.items() if known == status), None)
    cls = _BY_CODE.get(code or "", UserError if status < 500 else errors.InternalError)
    return cls(message)


def _all_kinds(kind: type[BatchpointError]) -> list[type[BatchpointError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _all_kinds(child))]


_BY_CODE = {cls.code: cls for cls in _all_kinds(BatchpointError) if cls is not ValidationFailed}
