"""``batch-endpoint``: the durable name, and the invocation that makes a job."""

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.commands.endpoints import invocation
from batchpoint.cli.grammar import EDITS, FILE, NO_WAIT, SET, YES, Command, Flag, named
from batchpoint.errors import ResourceNotFound


def create(call: Call) -> object:
    """Create the endpoint, or overwrite it."""
    from batchpoint.entities.endpoint import Endpoint

    wanted = documents.load(call, Endpoint, call.given("name"))
    before = _default_of(call, wanted.name)
    created = call.client.endpoints.create_or_update(wanted)
    if before and not created.defaults.deployment_name:
        call.warn(
            f"{created.name} had the default deployment {before} and has none now, because it was overwritten by what "
            f"names none. To have it again: batch-endpoint update --name {created.name} "
            f"--set defaults.deployment_name={before}"
        )
    return created


def _default_of(call: Call, name: str) -> str | None:
    try:
        return call.client.endpoints.get(name).defaults.deployment_name
    except ResourceNotFound:
        return None


def show(call: Call) -> object:
    return call.client.endpoints.get(call.flags.name)


def list_all(call: Call) -> object:
    return call.client.endpoints.list()


def update(call: Call) -> object:
    """Change the endpoint as it stands, or as a file says."""
    from batchpoint.entities.endpoint import Endpoint

    sets = [f"defaults.{word}" for word in call.flags.defaults or ()]
    if call.flags.file:
        endpoint = documents.load(call, Endpoint, call.given("name"), sets=sets)
        # An update makes nothing new.
        current = call.client.endpoints.get(endpoint.name)
        if "defaults" not in endpoint.model_fields_set:
            endpoint = endpoint.model_copy(update={"defaults": current.defaults})
    else:
        current = call.client.endpoints.get(documents.needed(call, "name"))
        endpoint = documents.updated(call, current, {}, sets=sets)
    return call.client.endpoints.create_or_update(endpoint)


def delete(call: Call) -> None:
    call.remove(
        f"Delete endpoint {call.flags.name} with its deployments? Its jobs and their outputs stay.",
        lambda: call.client.endpoints.delete(call.flags.name),
    )


def list_jobs(call: Call) -> object:
    return call.client.endpoints.list_jobs(call.flags.name)


_NAME = named("endpoint")

COMMANDS = (
    Command(
        "batch-endpoint create",
        "Create an endpoint, or overwrite it.",
        create,
        (FILE, named("endpoint", required=False), SET, NO_WAIT),
        example="batch-endpoint create --name digits",
    ),
    Command(
        "batch-endpoint show",
        "Show an endpoint; exit code 3 when there is none.",
        show,
        (_NAME,),
        example="batch-endpoint show --name digits --query defaults.deployment_name -o tsv",
    ),
    Command("batch-endpoint list", "List endpoints.", list_all, example="batch-endpoint list -o table"),
    Command(
        "batch-endpoint update",
        "Change an endpoint, its default deployment above all.",
        update,
        (
            FILE,
            named("endpoint", required=False),
            Flag(
                "--defaults",
                "What an invocation gets that names nothing; default as it stands.",
                "deployment_name=NAME",
                many=True,
            ),
            *EDITS,
            NO_WAIT,
        ),
        example="batch-endpoint update --name digits --defaults deployment_name=blue",
    ),
    Command(
        "batch-endpoint delete",
        "Delete an endpoint with its deployments.",
        delete,
        (_NAME, YES, NO_WAIT),
        example="batch-endpoint delete --name digits --yes",
    ),
    Command(
        "batch-endpoint invoke",
        "Score data: starts a job and prints it, or with --wait follows it to its end.",
        invocation.invoke,
        invocation.FLAGS,
        example="batch-endpoint invoke --name digits --input images/ --query name -o tsv",
    ),
    Command(
        "batch-endpoint list-jobs",
        "List the jobs of an endpoint, the latest first.",
        list_jobs,
        (_NAME,),
        example="batch-endpoint list-jobs --name digits --query [].name -o tsv",
    ),
)
