"""How an answer names the operation that made it: everything here is done at once, and clients may still ask.

Routers add it to what a PUT answers; readers of resources leave it out again, as nobody keeps it.
"""

from typing import Any

from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.workspace import PROVIDER

#: Where scripts read the address of the operation: in ``properties.properties`` of the resource.
URI_KEY = "AzureAsyncOperationUri"
#: Scripts and clients know of no api-version for operations; any date does.
_QUERY = "api-version=2023-10-01"
#: Milliseconds. Whole seconds would make every client wait one for what is done already.
_RETRY_AFTER_MS = 50


def address(server: str, subscription: str, location: str, operation: str) -> str:
    """Where the operation is asked for."""
    path = f"/subscriptions/{subscription}/providers/{PROVIDER}/locations/{location}/operationsStatus/{operation}"
    return f"{server}{path}?{_QUERY}"


def headers(uri: str) -> dict[str, str]:
    """What an answer says beside the resource."""
    return {
        "Azure-AsyncOperation": uri,
        "x-ms-async-operation-timeout": "PT1H",
        "x-ms-retry-after-ms": str(_RETRY_AFTER_MS),
    }


def named_in(resource: dict[str, Any], uri: str) -> dict[str, Any]:
    """The resource with the address where scripts look for it."""
    properties = resource["properties"]
    inner = {**(properties.get("properties") or {}), URI_KEY: uri}
    return {**resource, "properties": {**properties, "properties": inner}}


def status_to_json(path: str, operation: str) -> dict[str, Any]:
    """What an operation answers: it has succeeded, or its request would have been refused."""
    return {"id": path, "name": operation, "status": "Succeeded", "percentComplete": 100, "properties": {}}


def kept_properties(properties: Body) -> dict[str, str]:
    """The user's ``properties`` of a resource, without the address of an operation."""
    return {key: text for key, text in properties.texts("properties").items() if key != URI_KEY}
