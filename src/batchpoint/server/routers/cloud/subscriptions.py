"""Subscriptions, the tenant and resource providers: what ``az`` asks when somebody logs in."""

from typing import Any

from fastapi import APIRouter, Request

from batchpoint.arm.cloud import subscription as wire
from batchpoint.errors import ResourceNotFound
from batchpoint.server.identity.home import home_id_of
from batchpoint.server.identity.tokens.authority import tenant_of
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.asked import AtPlane, By, page

router = APIRouter()


@router.get("/tenants")
def list_tenants(plane: AtPlane) -> dict[str, Any]:
    """The one tenant of the home, which its tokens name."""
    return {"value": [wire.tenant_to_json(_tenant(plane))]}


@router.get("/subscriptions")
def list_subscriptions(request: Request, plane: AtPlane, caller: By) -> dict[str, Any]:
    """Those in which the caller may do anything, the home's own first."""
    own = plane.settings.subscription.lower()
    known = {own: None, **dict.fromkeys(plane.store.list_subscriptions())}
    return page(request, [_shown(plane, one) for one in known if caller.knows_of(_id(one))])


@router.get("/subscriptions/{subscription}")
def get_subscription(plane: AtPlane, caller: By, subscription: str) -> dict[str, Any]:
    """Any id is a subscription: each has its default workspace without anybody creating it."""
    if not caller.knows_of(_id(subscription)):
        raise ResourceNotFound(f"There is no subscription {subscription}.", target=subscription)
    return _shown(plane, subscription)


@router.get("/subscriptions/{subscription}/locations")
def list_locations(plane: AtPlane, subscription: str) -> dict[str, Any]:
    return {"value": [wire.location_to_json(subscription, plane.settings.location)]}


@router.get("/subscriptions/{subscription}/providers")
def list_providers(plane: AtPlane, subscription: str) -> dict[str, Any]:
    location = plane.settings.location
    return {"value": [wire.provider_to_json(subscription, name, location) for name in wire.PROVIDERS]}


@router.get("/subscriptions/{subscription}/providers/{provider}")
def get_provider(plane: AtPlane, subscription: str, provider: str) -> dict[str, Any]:
    name = next((one for one in wire.PROVIDERS if one.lower() == provider.lower()), None)
    if name is None:
        message = f"There is no provider {provider} here; there are {', '.join(wire.PROVIDERS)}."
        raise ResourceNotFound(message, target=provider)
    return wire.provider_to_json(subscription, name, plane.settings.location)


def _shown(plane: ControlPlane, subscription: str) -> dict[str, Any]:
    is_named = subscription.lower() == plane.settings.subscription.lower()
    return wire.to_json(subscription, _tenant(plane), is_named=is_named)


def _tenant(plane: ControlPlane) -> str:
    return tenant_of(home_id_of(plane.settings.home))


def _id(subscription: str) -> str:
    return f"/subscriptions/{subscription}"
