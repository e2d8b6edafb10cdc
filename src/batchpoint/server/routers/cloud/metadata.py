"""What clients ask before they have a token: where this cloud is, where it gives out tokens, how to check them.

Nothing here tells of a home, but for the public halves of its keys.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request

from batchpoint.server.identity.tokens.authority import Authority
from batchpoint.server.identity.tokens.keys import ALGORITHM
from batchpoint.server.routers.asked import plane, server_of

router = APIRouter()

#: Of a UUID, as which tenants are written that are no name.
_ID_LENGTH, _ID_DASHES = 36, 4

#: What clients know this cloud by.
CLOUD_NAME = "Batchpoint"
#: The one version that lists clouds; later ones answer a single one.
_LISTS = "2019-05-01"


def authority(request: Request) -> Authority:
    found = request.app.state.authority
    assert isinstance(found, Authority)
    return found


AtAuthority = Annotated[Authority, Depends(authority)]


@router.get("/metadata/endpoints")
def endpoints(request: Request) -> Any:
    cloud = _cloud(server_of(request), plane(request).settings.storage_host)
    return [cloud] if request.query_params.get("api-version") == _LISTS else cloud


def _cloud(server: str, storage_host: str) -> dict[str, Any]:
    return {
        "name": CLOUD_NAME,
        # Never called: clients make the audience of the data plane of what follows its second dot.
        "portal": "https://portal.azure.localhost/",
        "resourceManager": f"{server}/",
        "authentication": {
            "loginEndpoint": server,
            "audiences": [f"{server}/", server],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "storage": storage_host or urlsplit(server).netloc,
            "keyVaultDns": "vault.localhost",
            "acrLoginServer": "azurecr.localhost",
        },
    }


@router.get("/{tenant}/v2.0/.well-known/openid-configuration")
def openid_configuration_of(request: Request, tenant: str, authority: AtAuthority) -> dict[str, Any]:
    """The same; but az reads off the issuer which tenant a name is: in the place where Entra ID's has it."""
    found = openid_configuration(request, tenant, authority)
    is_id = len(tenant) == _ID_LENGTH and tenant.count("-") == _ID_DASHES
    return found if is_id else {**found, "issuer": f"{server_of(request)}/{authority.tenant}/v2.0"}


@router.get("/{tenant}/.well-known/openid-configuration")
def openid_configuration(request: Request, tenant: str, authority: AtAuthority) -> dict[str, Any]:
    """Addresses are those under which the client has reached the server; the issuer is the same under all."""
    here = f"{server_of(request)}/{tenant}"
    return {
        "issuer": authority.issuer,
        "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
        "token_endpoint": f"{here}/oauth2/v2.0/token",
        "jwks_uri": f"{here}/discovery/v2.0/keys",
        "response_types_supported": ["token"],
        "grant_types_supported": ["client_credentials", "password"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
    }


@router.get("/{tenant}/discovery/keys")
@router.get("/{tenant}/discovery/v2.0/keys")
def keys(authority: AtAuthority) -> dict[str, Any]:
    return authority.keys.jwks()


@router.get("/common/discovery/instance")
def instance(request: Request) -> dict[str, Any]:
    """Whether an authority is one: only that of this server is, whatever the client asks about."""
    host = urlsplit(server_of(request)).netloc
    asked = urlsplit(request.query_params.get("authorization_endpoint", "")).path.split("/")
    tenant = asked[1] if len(asked) > 1 and asked[1] else "common"
    return {
        "tenant_discovery_endpoint": f"{server_of(request)}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }
