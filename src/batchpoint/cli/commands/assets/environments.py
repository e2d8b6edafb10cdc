"""``environment``: versioned Python environments."""

from typing import TYPE_CHECKING

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.commands.assets.verbs import Versioned, creating, refuse_registry, say_of_datastore
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import Command, Flag

if TYPE_CHECKING:
    from batchpoint.entities.assets import Environment

ENVIRONMENTS: "Versioned[Environment]" = Versioned("environment", "environment", lambda client: client.environments)


def create(call: Call) -> object:
    from batchpoint.entities.assets import Environment

    refuse_registry(call)
    say_of_datastore(call)
    values = call.given("name", "version", "image", "conda_file", "python", "os_type", "datastore")
    if call.flags.build_context:
        values["build.path"] = call.flags.build_context
        values |= {"build.dockerfile_path": call.flags.dockerfile_path} if call.flags.dockerfile_path else {}
    wanted = documents.load(call, Environment, values | documents.described(call))
    return call.client.environments.create_or_update(wanted)


COMMANDS = (
    Command(
        "environment create",
        "Register an environment.",
        create,
        (
            *creating("environment"),
            Flag("--conda-file -c", "Conda file with the Python and pip packages; default none.", "FILE"),
            Flag("--image -i", "Image; noted, and not run here. Default none.", "IMAGE"),
            Flag("--python", "An interpreter or environment folder that exists; default none.", "PATH"),
            Flag("--build-context -b", "Folder with a Dockerfile; noted, and not built here.", "DIR", hidden=True),
            Flag("--dockerfile-path -d", "Dockerfile in it; default Dockerfile.", "PATH", hidden=True),
            Flag("--os-type", "linux or windows; default linux.", "OS", hidden=True),
        ),
        example="environment create --name sklearn --image any --conda-file conda.yml",
    ),
    *ENVIRONMENTS.showing(),
    ENVIRONMENTS.listed(),
    *ENVIRONMENTS.changing(),
    refused(
        "environment share",
        "Copy an environment to a registry; not offered here.",
        "There are no shared registries here. Create the environment from the same file in the other workspace: "
        "environment create --workspace-name OTHER --file environment.yml.",
        example="environment share --name sklearn --version 1",
    ),
)
