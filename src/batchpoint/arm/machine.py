"""Sizes and usage on the wire, as the locations of a subscription answer them."""

from typing import Any

from batchpoint.arm.envelope.reading import Body, build
from batchpoint.entities.compute import MachineSize, Usage
from batchpoint.entities.workspace import PROVIDER


def location_path(subscription: str, location: str) -> str:
    """Where a location is asked."""
    return f"/subscriptions/{subscription}/providers/{PROVIDER}/locations/{location}"


def size_to_json(size: MachineSize) -> dict[str, Any]:
    return {
        "name": size.name,
        "family": size.family,
        "vCPUs": size.v_cp_us,
        "gpus": size.gpus,
        "osVhdSizeMB": 0,
        "maxResourceVolumeMB": 0,
        "memoryGB": size.memory_gb,
        "lowPriorityCapable": size.low_priority_capable,
        "premiumIO": False,
        "supportedComputeTypes": list(size.supported_compute_types),
    }


def size_from_json(body: Body) -> MachineSize:
    values = {
        "name": body.text("name"),
        "family": body.text("family"),
        "v_cp_us": body.integer("vCPUs"),
        "gpus": body.integer("gpus"),
        "memory_gb": body.raw("memoryGB"),
        "low_priority_capable": body.boolean("lowPriorityCapable"),
        "supported_compute_types": body.raw("supportedComputeTypes"),
    }
    return build(MachineSize, values)


def usage_to_json(usage: Usage, subscription: str, location: str) -> dict[str, Any]:
    return {
        "id": f"{location_path(subscription, location)}/usages/{usage.name}",
        "type": f"{PROVIDER}/usages",
        "amlWorkspaceLocation": location,
        "unit": usage.unit,
        "currentValue": usage.current_value,
        "limit": usage.limit,
        "name": {"value": usage.name, "localizedValue": usage.name},
    }


def usage_from_json(body: Body) -> Usage:
    values = {
        "name": body.child("name").text("value"),
        "current_value": body.integer("currentValue"),
        "limit": body.integer("limit"),
        "unit": body.text("unit"),
    }
    return build(Usage, values)
