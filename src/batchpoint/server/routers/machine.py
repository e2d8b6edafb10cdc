"""What clients ask about a location, which is this machine: its sizes, and how much of every limit is used."""

from typing import Any

from fastapi import APIRouter

from batchpoint.arm import machine as wire
from batchpoint.entities.compute import Usage
from batchpoint.entities.workspace import PROVIDER
from batchpoint.server import capacity
from batchpoint.server.identity.actions import ML
from batchpoint.server.routers.asked import AtPlane, By

router = APIRouter(prefix=f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}")


@router.get("/vmSizes")
def list_sizes(plane: AtPlane, by: By, subscription: str, location: str) -> dict[str, Any]:
    computes = [one for one in plane.store.all_computes(subscription) if by.may(f"{ML}/computes/read", one.id or "/")]
    return {"value": [wire.size_to_json(size) for size in capacity.sizes(computes)]}


@router.get("/usages")
@router.get("/quotas")
def list_usage(plane: AtPlane, subscription: str, location: str) -> dict[str, Any]:
    store, settings = plane.store, plane.settings
    endpoints, deployments = store.count_endpoints(subscription), store.count_deployments(subscription)
    used = [
        Usage(name="batchEndpoints", current_value=endpoints, limit=settings.endpoints_per_subscription),
        Usage(name="batchDeployments", current_value=deployments, limit=settings.deployments_per_subscription),
    ]
    for situation in store.situations():
        if situation.limits and situation.workspace.startswith(f"{subscription.lower()}/"):
            held = sum(1 for one in situation.instances if one.job)
            name = f"{situation.workspace.rpartition('/')[2]}/{situation.compute}/instances"
            used.append(Usage(name=name, current_value=held, limit=situation.limits.maximum))
    return {"value": [wire.usage_to_json(one, subscription, location) for one in used]}
