"""``compute``: the pools of instances that jobs run on."""

from typing import Any

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import EDITS, FILE, NO_WAIT, SET, YES, Command, Flag, named


def create(call: Call) -> object:
    """Create the compute, or overwrite it."""
    from batchpoint.entities.compute import Compute

    return call.client.computes.create_or_update(documents.load(call, Compute, _values(call)))


def show(call: Call) -> object:
    return call.client.computes.get(call.flags.name)


def list_all(call: Call) -> object:
    """All computes, or those of one type."""
    wanted = call.flags.type and call.flags.type.lower()
    return [compute for compute in call.client.computes.list() if wanted in (None, compute.type)]


def update(call: Call) -> object:
    current = call.client.computes.get(call.flags.name)
    return call.client.computes.create_or_update(documents.updated(call, current, _values(call)))


def list_nodes(call: Call) -> object:
    """The instances that are there now; what is not known of one is null."""
    return [node.model_dump(mode="json") for node in call.client.computes.list_nodes(call.flags.name)]


def list_sizes(call: Call) -> object:
    return call.client.computes.list_sizes(call.flags.location or call.settings.location)


def list_usage(call: Call) -> object:
    return call.client.computes.list_usage(call.flags.location or call.settings.location)


def delete(call: Call) -> None:
    call.remove(f"Delete compute {call.flags.name}?", lambda: call.client.computes.delete(call.flags.name))


def _values(call: Call) -> dict[str, Any]:
    given = call.given(
        "name",
        "type",
        "size",
        "tier",
        "min_instances",
        "max_instances",
        "idle_time_before_scale_down",
        "location",
        "enable_node_public_ip",
        "ssh_public_access_enabled",
        "address",
        "cpus_per_instance",
        "gpus_per_instance",
        "memory_per_instance",
        "token_path",
        "isolation",
    )
    return given | _blocks(call) | documents.described(call)


def _blocks(call: Call) -> dict[str, Any]:
    """The keys that hold several flags."""
    network = call.given("vnet_name", "subnet")
    found: dict[str, Any] = {"network_settings": network} if network else {}
    identity = call.given("identity_type", "user_assigned_identities")
    if identity:
        ids = [word.strip() for word in identity.get("user_assigned_identities", "").split(",") if word.strip()]
        kind = identity.get("identity_type", "user_assigned" if ids else "system_assigned")
        found["identity"] = {"type": kind} | (
            {"user_assigned_identities": [{"resource_id": one} for one in ids]} if ids else {}
        )
    return found


_SCALE = (
    Flag("--min-instances", "Instances that are always kept; default 0.", "N", number=int),
    Flag("--max-instances", "Instances at most; default 4.", "N", number=int),
    Flag("--idle-time-before-scale-down -d", "Seconds an idle instance is kept; default 120.", "S", number=int),
)
_PLACE = (
    Flag("--isolation", "process, or container: workers run in the environment's image; default process.", "KIND"),
    Flag("--memory-per-instance", "Containers and Ray: memory of one instance, such as 2g.", "SIZE"),
)
_RAY = (
    Flag("--address", "Ray: auto, HOST:6379 or ray://HOST:10001.", "ADDRESS"),
    Flag("--cpus-per-instance", "Ray: CPUs of one instance; default 1.", "N", number=float),
    Flag("--gpus-per-instance", "Ray: GPUs of one instance; default 0.", "N", number=float),
    Flag("--token-path", "Ray: file with the cluster's token, on the server's machine.", "PATH"),
)
_IDENTITY = (
    Flag("--identity-type", "Identity of the machines; kept for the record, default none.", "TYPE"),
    Flag(
        "--user-assigned-identities -i",
        "Resource ids of identities, with commas between; kept for the record, default none.",
        "IDS",
    ),
)
_KEPT = (
    Flag("--vnet-name", "Virtual network of the subnet; read and not kept.", "NAME"),
    Flag("--subnet", "Subnet; kept for the record, default none.", "NAME"),
    Flag("--enable-node-public-ip", "Kept for the record; default true.", "BOOL"),
    Flag("--ssh-public-access-enabled -p", "Kept for the record; default nothing is said.", "BOOL"),
    Flag("--admin-username", "Read and not kept: nobody signs in to an instance.", "NAME"),
    Flag("--admin-password", "Read and not kept.", "TEXT"),
    Flag("--ssh-key-value", "Read and not kept.", "TEXT"),
)
_LOCATION = Flag("--location -l", "Location; default the one of the settings, 'local'.", "NAME")
_TAGS = Flag("--tags", "Tags.", "KEY=VALUE", many=True)

COMMANDS = (
    Command(
        "compute create",
        "Create a compute, or overwrite it.",
        create,
        (
            FILE,
            named("compute", required=False),
            Flag("--type -t", "amlcompute, processes of this machine, or ray, actors of a Ray cluster.", "TYPE"),
            *_SCALE,
            *_PLACE,
            *_RAY,
            Flag("--size", "Machine size; kept for the record.", "SIZE"),
            Flag(
                "--tier",
                "dedicated or low_priority, whose jobs may live for 7 days instead of 21; default dedicated.",
                "TIER",
            ),
            Flag("--location -l", "Location.", "NAME"),
            Flag("--description", "Description.", "TEXT"),
            _TAGS,
            *_IDENTITY,
            *_KEPT,
            SET,
            NO_WAIT,
        ),
        example="compute create --name batch-cluster --type amlcompute --min-instances 0 --max-instances 5",
    ),
    Command(
        "compute show",
        "Show a compute, and how many instances it has at this moment.",
        show,
        (named("compute"),),
        example="compute show --name batch-cluster --query node_state_counts",
    ),
    Command(
        "compute list",
        "List computes.",
        list_all,
        (Flag("--type", "Only this type; default all.", "TYPE"),),
        example="compute list --output table",
    ),
    Command(
        "compute update",
        "Change a compute.",
        update,
        (
            named("compute"),
            *_SCALE,
            *_PLACE,
            Flag("--description", "Description.", "TEXT"),
            _TAGS,
            *_IDENTITY,
            *EDITS,
            NO_WAIT,
        ),
        example="compute update --name batch-cluster --max-instances 8",
    ),
    Command(
        "compute delete",
        "Delete a compute; jobs that run on it go on, jobs that wait for it fail.",
        delete,
        (named("compute"), YES, NO_WAIT),
        example="compute delete --name batch-cluster --yes",
    ),
    Command(
        "compute list-nodes",
        "List the instances that a compute has at this moment.",
        list_nodes,
        (named("compute"),),
        example="compute list-nodes --name batch-cluster --output table",
    ),
    Command(
        "compute list-sizes",
        "List the sizes of instances: all are as large as this machine.",
        list_sizes,
        (_LOCATION,),
        example="compute list-sizes",
    ),
    Command(
        "compute list-usage",
        "List what is limited, and how much of it is used.",
        list_usage,
        (_LOCATION,),
        example="compute list-usage --output table",
    ),
    *(
        refused(
            f"compute {verb}",
            f"{purpose}.",
            "Instances come with jobs and go when they are idle; there is nothing to "
            f"{verb}. To have some ready all the time: compute update --name NAME --min-instances N.",
        )
        for verb, purpose in (
            ("start", "Start a compute"),
            ("stop", "Stop a compute"),
            ("restart", "Restart a compute"),
        )
    ),
    refused(
        "compute attach",
        "Attach a compute that exists elsewhere.",
        "Machines and clusters of Azure cannot be attached. For a Ray cluster of your own: compute create --type ray "
        "--name NAME --address HOST:6379.",
    ),
    refused(
        "compute connect-ssh",
        "Open a shell on a compute.",
        "Instances of an amlcompute are processes on the machine of the server; open a shell there. What they wrote: "
        "job stream --name JOB, and the logs of the job.",
    ),
)
