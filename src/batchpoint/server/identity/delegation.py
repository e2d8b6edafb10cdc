"""Who may give rights to whom: nobody more than they have themselves, nor at a wider scope.

The routes of people call it. What a role allows is decided in ``caller``; here one role is compared with another.
"""

import re
from fnmatch import fnmatchcase

from batchpoint.entities.identity.role import Role
from batchpoint.errors import AuthorizationFailed, ReferenceInvalid
from batchpoint.server.identity.caller import Caller, Grant
from batchpoint.server.identity.roles import find_role
from batchpoint.store.store import Store

_SCOPE = re.compile(
    r"/|/subscriptions/[^/]+(/resourceGroups/[^/]+(/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+)?)?",
    re.IGNORECASE,
)
_SCOPE_LENGTH = 500


def checked_scope(text: str) -> str:
    """A scope as it is kept. Raises ReferenceInvalid for what is none."""
    given = text.strip()
    # Nothing is not the whole server: it is a variable that was not set.
    scope = given.rstrip("/") or given[:1]
    if len(scope) > _SCOPE_LENGTH or not _SCOPE.fullmatch(scope) or not scope.isprintable():
        raise ReferenceInvalid(
            f"{text[:120]!r} is no scope. Write / for the whole server, or the id of a subscription, a resource group "
            "or a workspace: /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.MachineLearningServices/"
            "workspaces/<name>",
            target="scope",
        )
    return scope


def may_give(caller: Caller, role: Role, scope: str) -> bool:
    """Whether the caller has, at ``scope``, everything that the role allows there."""
    if caller.is_owner:
        return True
    return all(any(_is_wider(grant, action, role, scope) for grant in caller.grants) for action in role.actions)


def refuse_more(caller: Caller, role: Role, scope: str) -> None:
    """Raises AuthorizationFailed where the role would give more than the caller has."""
    if not may_give(caller, role, scope):
        raise AuthorizationFailed(
            f"{caller.name} (object id {caller.id}) cannot give the role {role.name} at {scope}: it allows more than "
            "what they may do there themselves. Ask an Owner of that scope.",
            target=role.name,
        )


def refuse_stronger(store: Store, caller: Caller, principal_id: str) -> None:
    """Raises AuthorizationFailed for a principal that may do more than the caller: its secret would give all that.

    What a disabled one has been given counts as well: it can be enabled again.
    """
    for given in store.list_assignments(principal_id):
        role = find_role(store, given.role)
        if role is not None and not may_give(caller, role, given.scope):
            raise AuthorizationFailed(
                f"{caller.name} (object id {caller.id}) cannot do this to a principal that has the role {role.name} at "
                f"{given.scope}: it may do more there than they may. Ask an Owner of that scope.",
                target=principal_id,
            )


def _is_wider(grant: Grant, action: str, role: Role, scope: str) -> bool:
    """Whether the grant allows all that ``action``, a pattern of the role, allows at the scope."""
    own, here = f"{grant.scope.rstrip('/')}/".lower(), f"{scope.rstrip('/')}/".lower()
    if not here.startswith(own) or not _is_within(action, grant.role.actions):
        return False
    # What the grant withholds, the role must withhold as well, or not be about.
    return all(_is_within(one, role.not_actions) or _are_apart(one, action) for one in grant.role.not_actions)


def _is_within(pattern: str, patterns: list[str]) -> bool:
    """Whether one of ``patterns`` allows whatever ``pattern`` does: its stars stand for themselves in it."""
    return any(fnmatchcase(pattern.lower(), wider.lower()) for wider in patterns)


def _are_apart(one: str, other: str) -> bool:
    """Whether no action can match both: their beginnings differ before the first star."""
    first, second = (pattern.lower().partition("*")[0] for pattern in (one, other))
    return not first.startswith(second) and not second.startswith(first)
