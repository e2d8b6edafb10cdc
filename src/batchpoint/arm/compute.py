"""The compute on the wire: ``AmlCompute``, and ``Ray``, which Azure does not have."""

from typing import Any

from batchpoint.arm.envelope import identity, ids
from batchpoint.arm.envelope.reading import (
    Body,
    build,
    creation_context,
    duration_to_iso,
    enum_from_wire,
    enum_to_wire,
    system_data,
    without_none,
)
from batchpoint.entities.compute import Compute, ComputeNode
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported

NODE_STATES = ("idle", "running", "preparing", "unusable", "leaving", "preempted")
_TYPES = {"amlcompute": "AmlCompute", "ray": "Ray"}


def to_json(compute: Compute, workspace: Workspace) -> dict[str, Any]:
    """The resource. ``ssh_settings`` hold secrets and are not passed on: nothing here uses them."""
    arm_id = compute.id or ids.compute_id(workspace, compute.name)
    return without_none(
        {
            "id": arm_id,
            "name": compute.name,
            "type": ids.type_of(arm_id),
            "location": compute.location,
            "tags": compute.tags,
            "identity": identity.to_wire(compute.identity),
            "systemData": system_data(compute.creation_context),
            "properties": without_none(
                {
                    "computeType": type_of(compute),
                    "computeLocation": compute.location,
                    "description": compute.description,
                    "provisioningState": compute.provisioning_state,
                    "properties": {
                        **(_ray_cluster(compute) if compute.type == "ray" else _cluster(compute)),
                        **_allocation(compute),
                    },
                }
            ),
        }
    )


def type_of(compute: Compute) -> str:
    """As the wire calls it."""
    return _TYPES[compute.type]


def _cluster(compute: Compute) -> dict[str, Any]:
    subnet = (compute.network_settings or {}).get("subnet")
    access = {True: "Enabled", False: "Disabled", None: None}[compute.ssh_public_access_enabled]
    return without_none(
        {
            "osType": "Linux",
            "vmSize": compute.size,
            "vmPriority": enum_to_wire(compute.tier),
            "scaleSettings": _scale(compute),
            "subnet": {"id": subnet} if subnet else None,
            "remoteLoginPortPublicAccess": access,
            "enableNodePublicIp": compute.enable_node_public_ip,
            # What is said to nobody who did not ask for it.
            "isolation": compute.isolation if compute.isolation != "process" else None,
            "memoryPerInstance": compute.memory_per_instance,
        }
    )


def _ray_cluster(compute: Compute) -> dict[str, Any]:
    return without_none(
        {
            "address": compute.address,
            "cpusPerInstance": compute.cpus_per_instance,
            "gpusPerInstance": compute.gpus_per_instance,
            "memoryPerInstance": compute.memory_per_instance,
            "resourcesPerInstance": compute.resources_per_instance or None,
            "tokenPath": compute.token_path,
            "scaleSettings": _scale(compute),
        }
    )


def _allocation(compute: Compute) -> dict[str, Any]:
    counts = compute.node_state_counts
    return without_none(
        {
            "allocationState": compute.allocation_state,
            "currentNodeCount": compute.current_node_count,
            "targetNodeCount": compute.target_node_count,
            "nodeStateCounts": counts and {f"{state}NodeCount": counts.get(state, 0) for state in NODE_STATES},
        }
    )


def _scale(compute: Compute) -> dict[str, Any]:
    return {
        "minNodeCount": compute.min_instances,
        "maxNodeCount": compute.max_instances,
        "nodeIdleTimeBeforeScaleDown": duration_to_iso(compute.idle_time_before_scale_down),
    }


def from_json(body: Body, name: str | None = None) -> Compute:
    """Reads a request (then ``name`` is that of its URL) or an answer."""
    properties = body.child("properties")
    kind = properties.text("computeType") or "AmlCompute"
    if kind.lower() not in _TYPES:
        raise NotSupported(
            f"Computes of type {kind} are not offered here; use amlcompute or ray.", target="computeType"
        )
    cluster = properties.child("properties")
    scale = cluster.child("scaleSettings")
    access = (cluster.text("remoteLoginPortPublicAccess") or "").lower()
    subnet = cluster.child("subnet").text("id")
    values = {
        "name": name or body.text("name"),
        "type": kind.lower(),
        "size": cluster.text("vmSize"),
        "tier": enum_from_wire(cluster.text("vmPriority")),
        "min_instances": scale.integer("minNodeCount"),
        "max_instances": scale.integer("maxNodeCount"),
        "idle_time_before_scale_down": scale.duration("nodeIdleTimeBeforeScaleDown"),
        "description": properties.text("description"),
        "tags": body.texts("tags"),
        "location": body.text("location") or properties.text("computeLocation"),
        "ssh_public_access_enabled": {"enabled": True, "disabled": False}.get(access),
        "network_settings": {"subnet": subnet} if subnet else None,
        "identity": identity.from_wire(body),
        "enable_node_public_ip": cluster.boolean("enableNodePublicIp"),
        "isolation": (cluster.text("isolation") or "process").lower(),
        "id": body.text("id"),
        "provisioning_state": properties.text("provisioningState"),
        "creation_context": creation_context(body),
    }
    return build(Compute, values | _ray_values(cluster) | _allocation_values(cluster))


def _ray_values(cluster: Body) -> dict[str, Any]:
    return {
        "address": cluster.text("address"),
        "cpus_per_instance": cluster.raw("cpusPerInstance"),
        "gpus_per_instance": cluster.raw("gpusPerInstance"),
        "memory_per_instance": cluster.text("memoryPerInstance"),
        "resources_per_instance": cluster.mapping("resourcesPerInstance") or None,
        "token_path": cluster.text("tokenPath"),
    }


def _allocation_values(cluster: Body) -> dict[str, Any]:
    return {
        "allocation_state": cluster.text("allocationState"),
        "current_node_count": cluster.integer("currentNodeCount"),
        "target_node_count": cluster.integer("targetNodeCount"),
        "node_state_counts": _counts(cluster.child("nodeStateCounts")),
    }


def rescaled(compute: Compute, body: Body) -> Compute:
    """The compute with what a PATCH says of it: tags, and the scale in one of the two places where it may stand."""
    properties = body.child("properties")
    inner = properties.child("properties").child("scaleSettings")
    scale = inner if properties.child("properties").has("scaleSettings") else properties.child("scaleSettings")
    changes = {
        "min_instances": scale.integer("minNodeCount"),
        "max_instances": scale.integer("maxNodeCount"),
        "idle_time_before_scale_down": scale.duration("nodeIdleTimeBeforeScaleDown"),
        "tags": body.texts("tags") if body.has("tags") else None,
    }
    return build(Compute, compute.model_dump() | {key: value for key, value in changes.items() if value is not None})


def node_to_json(node: ComputeNode) -> dict[str, Any]:
    """One element of the answer to ``listNodes``."""
    return {
        "nodeId": node.node_id,
        "privateIpAddress": node.private_ip_address,
        "publicIpAddress": node.public_ip_address,
        "port": node.port,
        "nodeState": node.node_state,
        "runId": node.current_job_name,
    }


def node_from_json(body: Body) -> ComputeNode:
    values = {
        "node_id": body.text("nodeId"),
        "private_ip_address": body.text("privateIpAddress"),
        "public_ip_address": body.text("publicIpAddress"),
        "port": body.integer("port"),
        "node_state": body.text("nodeState"),
        "current_job_name": body.text("runId"),
    }
    return build(ComputeNode, values)


def _counts(sent: Body) -> dict[str, int] | None:
    counts = {state: sent.integer(f"{state}NodeCount") for state in NODE_STATES}
    return (
        {state: count or 0 for state, count in counts.items()} if any(c is not None for c in counts.values()) else None
    )
