"""The datastore on the wire, and its secrets, which only ``listSecrets`` answers.

The types ``LocalFolder`` and ``S3`` are ours.
"""

from dataclasses import dataclass
from typing import Any

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import (
    Body,
    build,
    creation_context,
    enum_from_wire,
    enum_to_wire,
    system_data,
    without_none,
)
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported

#: Our key → the wire's, where it is not the same word in camel case.
_TEXTS = {
    "path": "path",
    "account_name": "accountName",
    "container_name": "containerName",
    "filesystem": "filesystem",
    "endpoint": "endpoint",
    "protocol": "protocol",
    "bucket": "bucket",
    "prefix": "prefix",
    "endpoint_url": "endpointUrl",
    "region": "region",
    "description": "description",
}
#: Type of credentials → what stands beside the secrets, and the secrets: our key → the wire's.
_OPEN = {
    "tenant_id": "tenantId",
    "client_id": "clientId",
    "resource_url": "resourceUrl",
    "authority_url": "authorityUrl",
}
_SECRETS = {
    "account_key": {"account_key": "key"},
    "sas": {"sas_token": "sasToken"},
    "service_principal": {"client_secret": "clientSecret"},
    "access_key": {"access_key": "accessKey", "secret_key": "secretKey", "session_token": "sessionToken"},
    "none": {},
}
_ACCOUNT = ("endpoint", "protocol")


@dataclass(frozen=True)
class BlobPlace:
    """What a folder of the server's machine is to clients of blob storage."""

    account: str
    container: str
    #: What follows ``<account>.blob.`` in addresses.
    endpoint: str
    protocol: str


def to_json(datastore: Datastore, workspace: Workspace, place: BlobPlace | None = None) -> dict[str, Any]:
    """The resource, without any secret. With ``place`` a folder is spelled as the container that it is."""
    arm_id = datastore.id or ids.datastore_id(workspace, datastore.name)
    texts = {wire: getattr(datastore, ours) or None for ours, wire in _TEXTS.items()}
    if datastore.type not in ("azure_blob", "azure_data_lake_gen2"):
        texts = {wire: text for wire, text in texts.items() if wire not in _ACCOUNT}
    found: dict[str, Any] = {
        "id": arm_id,
        "name": datastore.name,
        "type": ids.type_of(arm_id),
        "systemData": system_data(datastore.creation_context),
        "properties": without_none(
            {
                "datastoreType": enum_to_wire(datastore.type),
                **texts,
                "tags": datastore.tags,
                "properties": {},
                "isDefault": datastore.is_default,
                "credentials": {"credentialsType": enum_to_wire(datastore.credentials_type or "none")},
            }
        ),
    }
    if place is not None:
        found["properties"] = _as_container(found["properties"], place)
    return found


def _as_container(properties: dict[str, Any], place: BlobPlace) -> dict[str, Any]:
    """Clients of the field know containers, not folders; ours find the folder beside."""
    folder = {"type": properties["datastoreType"], "path": properties.pop("path", None)}
    return {
        **properties,
        "datastoreType": "AzureBlob",
        "accountName": place.account,
        "containerName": place.container,
        "endpoint": place.endpoint,
        "protocol": place.protocol,
        "credentials": {"credentialsType": "Sas"},
        "batchpoint": folder,
    }


def request_to_json(datastore: Datastore, workspace: Workspace) -> dict[str, Any]:
    """What a client sends: the resource with the secrets that its file names.

    A datastore that was read from the server says nothing about credentials unless new ones were put in.
    """
    sent = to_json(datastore, workspace)
    properties: dict[str, Any] = sent["properties"]
    if datastore.credentials is not None:
        properties["credentials"] = _credentials_to_json(datastore.credentials)
    elif datastore.credentials_type is not None:
        del properties["credentials"]
    return sent


def _credentials_to_json(credentials: Credentials) -> dict[str, Any]:
    values = credentials.revealed()
    beside = {wire: values[ours] for ours, wire in _OPEN.items() if ours in values}
    found: dict[str, Any] = {"credentialsType": enum_to_wire(credentials.type), **beside}
    if credentials.type != "none":
        found["secrets"] = secrets_to_json(credentials)
    return found


def secrets_to_json(credentials: Credentials) -> dict[str, Any]:
    """The answer of ``listSecrets``."""
    values, names = credentials.revealed(), _SECRETS[credentials.type]
    secrets = {wire: values[ours] for ours, wire in names.items() if ours in values}
    return {"secretsType": enum_to_wire(credentials.type), **secrets}


def secrets_from_json(body: Body) -> dict[str, str]:
    """The secrets by our own names."""
    names = {ours: wire for keys in _SECRETS.values() for ours, wire in keys.items()}
    return {ours: text for ours, wire in names.items() if (text := body.text(wire))}


def from_json(body: Body, name: str | None = None) -> Datastore:
    """Reads a request (then ``name`` is that of its URL) or an answer."""
    properties = body.child("properties")
    folder = properties.child("batchpoint")
    if properties.has("batchpoint"):
        return _folder_from_json(body, folder, name)
    kind = enum_from_wire(properties.text("datastoreType")) or "local_folder"
    refusal = Datastore.refusals.get(f"type={kind}")
    if refusal:
        raise NotSupported(f"{refusal[0].upper()}{refusal[1:]}.", target="datastoreType")
    values: dict[str, Any] = {
        **{ours: properties.text(wire) for ours, wire in _TEXTS.items()},
        "name": name or body.text("name"),
        "type": kind,
        "tags": properties.texts("tags"),
        "is_default": properties.boolean("isDefault"),
        "id": body.text("id"),
        "creation_context": creation_context(body),
    }
    if kind == "local_folder":
        # Clients of the field send the cloud's domain with every datastore.
        values |= dict.fromkeys(_ACCOUNT)
    return build(Datastore, values | _credentials(properties))


def _folder_from_json(body: Body, folder: Body, name: str | None) -> Datastore:
    properties = body.child("properties")
    values = {
        "name": name or body.text("name"),
        "type": "local_folder",
        "path": folder.text("path"),
        "description": properties.text("description"),
        "tags": properties.texts("tags"),
        "is_default": properties.boolean("isDefault"),
        "id": body.text("id"),
        "creation_context": creation_context(body),
        "credentials_type": "none",
    }
    return build(Datastore, values)


def _credentials(properties: Body) -> dict[str, Any]:
    if not properties.has("credentials"):
        return {}
    given = properties.child("credentials")
    kind = enum_from_wire(given.text("credentialsType")) or "none"
    if kind == "certificate":
        message = "Credentials of type Certificate are not offered; send AccountKey, Sas or ServicePrincipal."
        raise NotSupported(message, target=given.at("credentialsType"))
    secrets = secrets_from_json(given.child("secrets"))
    beside = {ours: given.text(wire) for ours, wire in _OPEN.items()}
    found = {key: value for key, value in {**secrets, **beside}.items() if value}
    known = {"credentials_type": kind if kind in _SECRETS else "none"}
    return known | ({"credentials": found} if found else {})
