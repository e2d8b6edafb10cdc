"""What a client asks about the server itself, and the names by which two sides find that they share a home."""

import socket
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter

from batchpoint.server.identity.home import home_id_of
from batchpoint.server.routers.asked import AtPlane, By

router = APIRouter()


@router.get("/healthz")
def health() -> dict[str, str]:
    """For whoever watches the server: it answers."""
    return {"status": "ok"}


@router.get("/batchpoint/v1/info")
def info(plane: AtPlane, by: By) -> dict[str, Any]:
    settings = plane.settings
    return {
        "version": _version(),
        "home": home_id_of(settings.home),
        # Only the owner may name paths on this machine: everybody else is far away, wherever they sit.
        "host": socket.gethostname() if by.is_owner else "",
        "subscription": settings.subscription,
        "resource_group": settings.resource_group,
        "workspace": settings.workspace,
    }


def _version() -> str:
    try:
        return version("batchpoint")
    except PackageNotFoundError:
        # A checkout on PYTHONPATH.
        return "0"
