"""``batch-deployment``: what an endpoint runs."""

from typing import TYPE_CHECKING

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import EDITS, FILE, NO_WAIT, SET, YES, Command, Flag, named
from batchpoint.cli.output.preflight import OUTPUT
from batchpoint.errors import CommandLineInvalid

if TYPE_CHECKING:
    from batchpoint.entities.deployment import Deployment


def create(call: Call) -> object:
    """Upload what the file names, create the deployment, and make it the default if asked."""
    from batchpoint.entities.deployment import Deployment

    if call.flags.set_default and call.flags.no_wait:
        raise CommandLineInvalid(
            "--set-default makes a deployment the default once it has succeeded, so it waits; leave out --no-wait"
        )
    wanted = documents.load(call, Deployment, call.given("name", "endpoint_name"))
    if call.flags.validate:
        return _validated(call, wanted)
    call.flags.output = call.flags.output or "json"
    if call.flags.input:
        raise CommandLineInvalid("--input is a sample for --validate; add --validate, or leave it out")
    return _put(call, wanted, set_default=call.flags.set_default)


def _validated(call: Call, wanted: "Deployment") -> object:
    """Check the deployment, scored on a sample if there is one, and create nothing."""
    from batchpoint.cli.output.preflight import follow
    from batchpoint.entities.data import Input

    values = {"path": call.flags.input} | ({"type": call.flags.input_type} if call.flags.input_type else {})
    given = Input.model_validate(values) if call.flags.input else None
    return follow(call, call.client.preflights.deployment(wanted, given), "Nothing was created.")


def show(call: Call) -> object:
    return call.client.deployments.get(call.flags.endpoint_name, call.flags.name)


def list_all(call: Call) -> object:
    return call.client.deployments.list(call.flags.endpoint_name)


def update(call: Call) -> object:
    """Change the deployment as it stands, or as a file says."""
    from batchpoint.entities.deployment import Deployment

    if call.flags.file:
        wanted = documents.load(call, Deployment, call.given("name", "endpoint_name"))
        # An update makes nothing new.
        call.client.deployments.get(wanted.endpoint_name, wanted.name)
    else:
        endpoint, name = documents.needed(call, "endpoint_name"), documents.needed(call, "name")
        wanted = documents.updated(call, call.client.deployments.get(endpoint, name), {})
    return _put(call, wanted)


def _put(call: Call, wanted: "Deployment", *, set_default: bool = False) -> object:
    made = call.client.deployments.create_or_update(
        wanted,
        set_default=set_default,
        skip_script_validation=call.flags.skip_script_validation,
        skip_golden_rows=call.flags.skip_golden_rows,
    )
    for note in made.generated.notes if made.generated else ():
        call.warn(note)
    return made


def delete(call: Call) -> None:
    endpoint, name = call.flags.endpoint_name, call.flags.name
    call.remove(
        f"Delete deployment {name} of endpoint {endpoint}? Its jobs and their outputs stay.",
        lambda: call.client.deployments.delete(endpoint, name),
    )


def list_jobs(call: Call) -> object:
    return call.client.deployments.list_jobs(call.flags.endpoint_name, call.flags.name)


_ENDPOINT = Flag("--endpoint-name -e", "Name of the endpoint.", "NAME", required=True, of="endpoint")
_ENDPOINT_OR_FILE = Flag(
    "--endpoint-name -e", "Name of the endpoint; default the one in the file.", "NAME", of="endpoint"
)
_NAMES = (named("deployment"), _ENDPOINT)
_SKIP_GOLDEN_ROWS = Flag("--skip-golden-rows", "Do not score golden rows now; the first job does.")
_NAMES_OR_FILE = (FILE, named("deployment", required=False), _ENDPOINT_OR_FILE)

COMMANDS = (
    Command(
        "batch-deployment create",
        "Create a deployment from a file, or overwrite it.",
        create,
        (
            Flag("--file -f", "YAML file of the deployment.", "FILE", required=True),
            *_NAMES_OR_FILE[1:],
            SET,
            Flag("--set-default", "Make it the endpoint's default once it has succeeded; not with --no-wait."),
            Flag("--skip-script-validation", "Do not look into the scoring script."),
            _SKIP_GOLDEN_ROWS,
            Flag(
                "--validate", "Check all of it - environment, script, model, a sample of --input - and create nothing."
            ),
            Flag("--input", "With --validate: files to check and to score a few of; default none.", "DATA"),
            Flag(
                "--input-type",
                "uri_folder or uri_file; default what is found there.",
                "TYPE",
                choices=("uri_folder", "uri_file"),
            ),
            NO_WAIT,
            OUTPUT,
        ),
        example="batch-deployment create --file deployment.yml --endpoint-name digits --set-default",
    ),
    Command(
        "batch-deployment show",
        "Show a deployment; exit code 3 when there is none.",
        show,
        _NAMES,
        example="batch-deployment show --name blue --endpoint-name digits",
    ),
    Command(
        "batch-deployment list",
        "List the deployments of an endpoint.",
        list_all,
        (_ENDPOINT,),
        example="batch-deployment list --endpoint-name digits -o table",
    ),
    Command(
        "batch-deployment update",
        "Change a deployment; running jobs keep what they started with.",
        update,
        (
            *_NAMES_OR_FILE,
            *EDITS,
            Flag("--skip-script-validation", "Do not look into the scoring script."),
            _SKIP_GOLDEN_ROWS,
            NO_WAIT,
        ),
        example="batch-deployment update --name blue --endpoint-name digits --set mini_batch_size=20",
    ),
    Command(
        "batch-deployment delete",
        "Delete a deployment; its jobs and their outputs stay.",
        delete,
        (*_NAMES, YES, NO_WAIT),
        example="batch-deployment delete --name blue --endpoint-name digits --yes",
    ),
    Command(
        "batch-deployment list-jobs",
        "List the jobs of a deployment, the latest first.",
        list_jobs,
        _NAMES,
        example="batch-deployment list-jobs --name blue --endpoint-name digits -o table",
    ),
)
