"""Operations: every PUT names one, and whoever asks for it learns that it has succeeded.

The name of an operation is a proof that this server gave it, so that none has to be remembered.
"""

import re
from typing import Any

from fastapi import APIRouter, Request, Response

from batchpoint.arm.envelope import operations as wire
from batchpoint.entities.workspace import PROVIDER
from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.links import Links
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import AtPlane

router = APIRouter(prefix=f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}")

_NAME = re.compile(r"(?P<drawn>[0-9a-f]{32})-(?P<proof>[0-9a-f]{64})")


def answered(desk: Desk, response: Response, resource: dict[str, Any]) -> dict[str, Any]:
    """What a PUT answers: the resource, with the operation that made it in its body and in the headers."""
    subscription, location = desk.workspace.subscription, desk.settings.location
    uri = wire.address(desk.server, subscription, location, _name(desk.plane.links, subscription))
    response.headers.update(wire.headers(uri))
    return wire.named_in(resource, uri)


@router.get("/operationsStatus/{operation}")
def get_status(
    request: Request, response: Response, plane: AtPlane, subscription: str, location: str, operation: str
) -> dict[str, Any]:
    found = _NAME.fullmatch(operation)
    if found is None or not plane.links.proves(_fact(subscription, found["drawn"]), found["proof"]):
        raise ResourceNotFound(f"There is no operation {operation[:80]} in this subscription.", target="operation")
    response.headers["Retry-After"] = "1"
    return wire.status_to_json(request.url.path, operation)


def _name(links: Links, subscription: str) -> str:
    drawn = links.drawn()
    return f"{drawn}-{links.proof(_fact(subscription, drawn))}"


def _fact(subscription: str, drawn: str) -> str:
    return f"operation {drawn} of {subscription.lower()} has succeeded"
