"""The fixed words of ARM paths in any casing. ``app`` puts it before the routes; it knows none of them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from batchpoint.arm.envelope.ids import SEGMENTS
from batchpoint.entities.workspace import PROVIDER

#: What may stand before an ARM path: the services that are asked about a workspace by its id.
PREFIXES = ("", "/mferp/managementfrontend", "/history/v1.0", "/data/v1.0", "/batchpoint/v1")

_WORDS = {
    word.lower(): word
    for word in (
        *("subscriptions", "resourceGroups", "providers", PROVIDER, "workspaces", "Microsoft.Storage"),
        *("Microsoft.Resources", "operations"),
        *SEGMENTS,
        *("versions", "labels", "cancel", "listNodes", "start", "stop", "restart", "startPendingUpload", "listSecrets"),
        *("diagnose", "listKeys", "resyncKeys", "listStorageAccountKeys", "storageAccounts"),
        *("locations", "vmSizes", "usages", "quotas", "operationsStatus"),
        *("experiments", "runs", "children", "details", "rundata", "dataversion", "batchGetResolvedUris"),
    )
}


class CanonicalPaths:
    """ASGI middleware: the fixed words of ARM paths are matched in any casing; names are left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": canonical(scope["path"])}
        await self._app(scope, receive, send)


def canonical(path: str) -> str:
    """``path`` with its fixed words as routes spell them; whatever is no ARM path as it is."""
    lowered = path.lower()
    prefix = next((one for one in PREFIXES if lowered.startswith(f"{one}/subscriptions")), None)
    if prefix is None:
        return path
    parts = path[len(prefix) + 1 :].split("/")
    for at, part in enumerate(parts):
        if not _is_word(parts, at):
            continue
        word = _WORDS.get(part.lower())
        if word is None:
            # What follows a word that is not ours is somebody's path.
            break
        parts[at] = word
    return f"{prefix}/{'/'.join(parts)}"


def _is_word(parts: list[str], at: int) -> bool:
    """Words and names alternate; but behind ``providers`` stands a word, and behind ``versions`` may stand a label."""
    before = parts[at - 1].lower() if at else ""
    is_label = before == "versions" and parts[at].lower() == "labels" and at + 1 < len(parts)
    return at % 2 == 0 or before == "providers" or is_label
