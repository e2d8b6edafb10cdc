"""Subscriptions, their tenant and their resource providers on the wire."""

from typing import Any

from batchpoint.entities.workspace import PROVIDER

#: What the one subscription of a home is called.
NAME = "Batchpoint"

#: Resource types by provider, as ``az provider show`` lists them.
PROVIDERS = {
    PROVIDER: ("workspaces", "workspaces/batchEndpoints", "workspaces/batchEndpoints/deployments", "workspaces/jobs"),
    "Microsoft.Storage": ("storageAccounts",),
    "Microsoft.Resources": ("subscriptions", "resourceGroups"),
}


def to_json(subscription: str, tenant: str, *, is_named: bool) -> dict[str, Any]:
    """The resource of a subscription; only the home's own has a name, others are called by their id."""
    return {
        "id": f"/subscriptions/{subscription}",
        "subscriptionId": subscription,
        "tenantId": tenant,
        "displayName": NAME if is_named else subscription,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": {"spendingLimit": "Off"},
        "managedByTenants": [],
    }


def tenant_to_json(tenant: str) -> dict[str, Any]:
    return {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": NAME, "tenantCategory": "Home"}


def provider_to_json(subscription: str, name: str, location: str) -> dict[str, Any]:
    """A resource provider, which nobody needs to register."""
    types = [{"resourceType": one, "locations": [location], "apiVersions": ["2023-10-01"]} for one in PROVIDERS[name]]
    return {
        "id": f"/subscriptions/{subscription}/providers/{name}",
        "namespace": name,
        "registrationState": "Registered",
        "resourceTypes": types,
    }


def location_to_json(subscription: str, location: str) -> dict[str, Any]:
    """The one place where things are: this machine."""
    return {
        "id": f"/subscriptions/{subscription}/locations/{location}",
        "name": location,
        "displayName": location,
        "regionalDisplayName": location,
    }
