"""Which versions of an asset a list shows, and in which order: what clients ask for in the query."""

from collections.abc import Mapping
from typing import TypeVar

from fastapi import Request

from batchpoint.arm.assets import Asset

A = TypeVar("A", bound=Asset)

_BY_TIME = ("createdtime", "createdat", "created")


def chosen(request: Request, newest_first: list[A]) -> list[A]:
    """Those that have the ``tags`` (``a,b=c``), ``properties``, ``version`` and ``description`` that are asked for.

    ``$orderBy=createdtime asc`` turns the order; by anything else they are not ordered.
    """
    asked = {key.removeprefix("$").lower(): value for key, value in request.query_params.items()}
    found = [asset for asset in newest_first if _is_asked_for(asset, asked)]
    key, _, direction = asked.get("orderby", "createdtime desc").strip().lower().partition(" ")
    return found[::-1] if key in _BY_TIME and direction.strip() != "desc" else found


def _is_asked_for(asset: Asset, asked: Mapping[str, str]) -> bool:
    description = (getattr(asset, "description", None) or "").lower()
    return (
        asked.get("version", asset.version) == asset.version
        and asked.get("description", "").lower() in description
        and _has_all(getattr(asset, "tags", {}), asked.get("tags", ""))
        and _has_all(getattr(asset, "properties", {}), asked.get("properties", ""))
    )


def _has_all(values: Mapping[str, str], wanted: str) -> bool:
    pairs = [pair.strip().partition("=") for pair in wanted.split(",") if pair.strip()]
    return all(key in values and (not equals or values[key] == value) for key, equals, value in pairs)
