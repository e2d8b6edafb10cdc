"""The error body of the data plane: that of ARM with more about where and when. ``app`` uses it for those paths."""

from datetime import datetime
from typing import Any

#: The beginnings of paths that are no ARM paths: scoring URIs, and the services that a workspace's discovery names.
PREFIXES = ("/endpoints/", "/mferp/", "/history/", "/data/")


def widened(body: dict[str, Any], request_id: str, location: str, now: datetime) -> dict[str, Any]:
    """``body``, an ARM error, with the fields that clients of the data plane look for; unknown ones are null."""
    error = body["error"]
    more = {
        "severity": None,
        "messageFormat": error["message"].replace("{", "{{").replace("}", "}}"),
        "messageParameters": {},
        "referenceCode": None,
        "detailsUri": None,
        "innerError": None,
        "debugInfo": None,
    }
    return {
        "error": {"target": None, **error, **more},
        "correlation": {"operation": request_id, "request": request_id},
        "environment": location,
        "location": location,
        "time": now.isoformat(),
        "componentName": "batchpoint",
    }
