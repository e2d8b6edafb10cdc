"""The ``identity`` of a resource: written with underscores in files, in the words of ARM on the wire."""

from typing import Any

from batchpoint.arm.envelope.reading import Body

_LIST, _MAP = "user_assigned_identities", "userAssignedIdentities"
_KINDS = {"none": "None", "system_assigned": "SystemAssigned", "user_assigned": "UserAssigned"}
_BY_SQUEEZED = {word.replace("_", ""): word for word in _KINDS}


def to_wire(identity: dict[str, Any] | None) -> dict[str, Any] | None:
    """``system_assigned`` as ``SystemAssigned``; the list of a file as the map of ARM."""
    if not identity:
        return None
    found = {key: value for key, value in identity.items() if key not in ("type", _LIST)}
    named = identity.get(_LIST) or []
    entries = [entry if isinstance(entry, dict) else {"resource_id": str(entry)} for entry in named]
    if entries:
        found[_MAP] = {str(entry.get("resource_id", "")): {} for entry in entries}
    return {"type": ",".join(_KINDS.get(kind, kind) for kind in _kinds(str(identity.get("type") or "none"))), **found}


def from_wire(body: Body) -> dict[str, Any] | None:
    """The reverse, from the resource that has it; None when it has none."""
    identity = body.child("identity")
    found = {key: identity.raw(key) for key in identity.names() if key.lower() not in ("type", _MAP.lower())}
    named = identity.mapping(_MAP)
    if named:
        found[_LIST] = [{"resource_id": resource} for resource in named]
    return {"type": ",".join(_kinds(identity.text("type") or "none")), **found} if identity.names() else None


def _kinds(text: str) -> list[str]:
    """``SystemAssigned, UserAssigned`` → ``["system_assigned", "user_assigned"]``, whatever the casing."""
    squeezed = [kind.strip().replace("_", "").lower() for kind in text.split(",")]
    return [_BY_SQUEEZED.get(kind, kind) for kind in squeezed]
