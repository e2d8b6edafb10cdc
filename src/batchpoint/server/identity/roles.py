"""The roles that exist from the start, and what a principal has been given where.

Which route needs which action stands in ``policy``; ``Authority`` remembers for a moment who may do what.
"""

from batchpoint.entities.identity.role import Role
from batchpoint.entities.workspace import PROVIDER
from batchpoint.server.identity.caller import Grant
from batchpoint.store.store import Store

#: What is in a workspace.
_ML = f"{PROVIDER}/workspaces"
_AUTHORIZATION = "Microsoft.Authorization"
#: Bytes of storage accounts, for tokens of the storage audience.
_ACCOUNTS = "Microsoft.Storage/storageAccounts"
_BLOBS = f"{_ACCOUNTS}/blobServices/containers"
#: Scripts ask for the group of their workspace.
_GROUP_READ = "Microsoft.Resources/subscriptions/resourceGroups/read"

BUILT_IN = (
    Role(
        name="Reader",
        description="Sees everything, changes nothing, starts nothing, learns no secret.",
        actions=["*/read"],
    ),
    Role(
        name="Invoker",
        description="Invokes endpoints and sees jobs; uses datastores without learning their secrets.",
        actions=[
            f"{_ML}/read",
            f"{_ML}/batchEndpoints/read",
            f"{_ML}/batchEndpoints/deployments/read",
            f"{_ML}/batchEndpoints/jobs/write",
            f"{_ML}/batchEndpoints/deployments/jobs/write",
            f"{_ML}/experiments/read",
            f"{_ML}/experiments/runs/read",
            f"{_ML}/computes/read",
            f"{_ML}/datasets/registered/read",
            f"{_ML}/data/versions/write",
            f"{_ML}/datastores/read",
            _GROUP_READ,
        ],
    ),
    Role(
        name="AzureML Data Scientist",
        description="Everything inside a workspace, but for computes, the workspace itself and who may do what.",
        actions=[f"{_ML}/*", f"{_BLOBS}/*", f"{_ACCOUNTS}/read", f"{_ACCOUNTS}/listKeys/action", _GROUP_READ],
        not_actions=[
            f"{_ML}/delete",
            f"{_ML}/write",
            f"{_ML}/computes/*/write",
            f"{_ML}/computes/*/delete",
            f"{_ML}/computes/write",
            f"{_ML}/computes/delete",
            f"{_ML}/computes/listKeys/action",
            f"{_ML}/listKeys/action",
            f"{_AUTHORIZATION}/*",
        ],
    ),
    Role(
        name="Contributor",
        description="Everything but who may do what.",
        actions=["*"],
        not_actions=[f"{_AUTHORIZATION}/*/write", f"{_AUTHORIZATION}/*/delete", f"{_AUTHORIZATION}/*/action"],
    ),
    Role(name="Owner", description="Everything, including who may do what.", actions=["*"]),
)
_BUILT_IN = {role.name.lower(): role for role in BUILT_IN}


def find_role(store: Store, name: str) -> Role | None:
    """One that is built in, or that somebody created."""
    return _BUILT_IN.get(name.lower()) or store.get_role(name)


def is_built_in(name: str) -> bool:
    return name.lower() in _BUILT_IN


def grants_of(store: Store, principal_id: str) -> tuple[Grant, ...]:
    """What a principal may do; nothing for one that is unknown or disabled."""
    principal = store.get_principal(principal_id)
    if principal is None or principal.disabled:
        return ()
    assigned = ((given.scope, find_role(store, given.role)) for given in store.list_assignments(principal_id))
    return tuple(Grant(scope, role) for scope, role in assigned if role is not None)
