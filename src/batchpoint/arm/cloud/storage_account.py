"""Storage accounts and their keys on the wire, as the command lines of the field read them."""

from typing import Any

from batchpoint.entities.workspace import Workspace

_TYPE = "Microsoft.Storage/storageAccounts"


def account_id(workspace: Workspace, account: str) -> str:
    """The id of the account of a workspace: it is in the group of that."""
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.resource_group}"
    return f"{group}/providers/{_TYPE}/{account}"


def to_json(workspace: Workspace, account: str, blob_url: str, location: str) -> dict[str, Any]:
    """The resource; ``blob_url`` is where its containers are."""
    return {
        "id": account_id(workspace, account),
        "name": account,
        "type": _TYPE,
        "location": location,
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS", "tier": "Standard"},
        "tags": {"workspace": workspace.name},
        "properties": {
            "provisioningState": "Succeeded",
            "primaryEndpoints": {"blob": blob_url},
            "primaryLocation": location,
            "statusOfPrimary": "available",
            "accessTier": "Hot",
            "allowBlobPublicAccess": False,
            "supportsHttpsTrafficOnly": blob_url.startswith("https:"),
        },
    }


def keys_to_json(keys: tuple[str, ...]) -> dict[str, Any]:
    """The answer of ``listKeys``."""
    return {
        "keys": [{"keyName": f"key{at}", "value": key, "permissions": "FULL"} for at, key in enumerate(keys, start=1)]
    }


def pending_upload_to_json(upload_id: str, url: str, signed_url: str, arm_id: str) -> dict[str, Any]:
    """Where a client shall send files before it registers them."""
    return {
        "pendingUploadId": upload_id,
        "pendingUploadType": "TemporaryBlobReference",
        "blobReferenceForConsumption": {
            "blobUri": url,
            "storageAccountArmId": arm_id,
            "credential": {"credentialType": "SAS", "sasUri": signed_url},
        },
    }
