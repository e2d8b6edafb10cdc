"""Who sends a request to the blob service, and what that allows: a signature, a signed request, or a bearer token."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from batchpoint.server.blobs import sas, shared_key
from batchpoint.server.blobs.address import Address
from batchpoint.server.blobs.refusals import not_allowed, not_authenticated, nothing_shown, refused
from batchpoint.server.identity.caller import Caller
from batchpoint.storage.accounts.keys import keys_of

_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
#: What a bearer must be allowed in the workspace of the account → what that allows here.
_LETTERS_OF = {
    f"{_CONTAINERS}/blobs/read": frozenset("rl"),
    f"{_CONTAINERS}/blobs/write": frozenset("wac"),
    f"{_CONTAINERS}/blobs/delete": frozenset("d"),
}

_ALL = frozenset("rlwacd")
_EVERYWHERE = frozenset("sco")
_WORD = {"r": "read", "l": "list", "w": "write", "a": "add", "c": "create", "d": "delete"}


@dataclass(frozen=True)
class Access:
    """What the sender of a request may do at its address."""

    letters: frozenset[str]
    #: ``s`` the account itself, ``c`` containers, ``o`` blobs.
    levels: frozenset[str]
    #: False where containers may be looked at only.
    may_change_containers: bool = True

    def require(self, letters: str, level: str) -> None:
        """One of ``letters`` is needed at ``level``. Raises BlobRefused."""
        if level not in self.levels or (level == "c" and not self.may_change_containers and "l" not in letters):
            raise refused(
                403,
                "AuthorizationResourceTypeMismatch",
                "This request is not authorized to perform this operation using this resource type.",
            )
        if not self.letters & set(letters):
            raise not_allowed(f"it needs the permission {' or '.join(_WORD[letter] for letter in letters)}")


def access_of(request: Request, address: Address, caller: Caller | None) -> Access:
    """What the request may do; ``caller`` is whose bearer token it has. BlobRefused for who shows nothing good."""
    scheme = request.headers.get("authorization", "").partition(" ")[0]
    if scheme.lower() in ("sharedkey", "sharedkeylite"):
        _check_key(request, address)
        return Access(_ALL, _EVERYWHERE)
    if scheme.lower() == "bearer":
        return _of_bearer(caller, address)
    if "sig" in request.query_params:
        return _of_signature(request, address)
    raise nothing_shown()


def _check_key(request: Request, address: Address) -> None:
    query = tuple(parse_qsl(request.url.query, keep_blank_values=True, errors="surrogateescape"))
    headers = {name.lower(): value for name, value in request.headers.items()}
    signed = shared_key.SignedRequest(request.method, address.raw_path, query, headers)
    shared_key.check(signed, address.account.name, keys_of(address.account), datetime.now(UTC))


def _of_bearer(caller: Caller | None, address: Address) -> Access:
    workspace = address.account.workspace()
    if caller is None or workspace is None:
        raise refused(
            401, "InvalidAuthenticationInfo", "The bearer token is not valid here.", {"WWW-Authenticate": "Bearer"}
        )
    place = workspace.arm_id
    letters = frozenset().union(*(found for action, found in _LETTERS_OF.items() if caller.may(action, place)))
    if not letters:
        raise not_allowed(f"{caller.name} has no role in workspace {workspace.name} that lets one read its blobs")
    return Access(letters, _EVERYWHERE, may_change_containers=caller.may(f"{_CONTAINERS}/write", place))


def _of_signature(request: Request, address: Address) -> Access:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise not_authenticated("a parameter stands twice in the address.")
    asked = sas.Asked(
        address.account.name,
        address.container,
        address.blob,
        request.url.scheme,
        request.client.host if request.client else "",
    )
    granted = sas.check(request.query_params, asked, keys_of(address.account), datetime.now(UTC))
    return Access(granted.letters, granted.levels, may_change_containers=granted.is_of_account)
