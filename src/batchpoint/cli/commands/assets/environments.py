"""``environment``: versioned Python environments."""

from typing import TYPE_CHECKING, Any

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.commands.assets.verbs import (
    ONE_VERSION,
    Versioned,
    creating,
    refuse_registry,
    say_of_datastore,
    which,
)
from batchpoint.cli.commands.machine.upkeep import PRUNING, pruned
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import Command, Flag, named
from batchpoint.errors import EnvironmentBuildFailed

if TYPE_CHECKING:
    from batchpoint.entities.assets import Environment
    from batchpoint.entities.environments.state import EnvironmentState

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


def build(call: Call) -> object:
    """Build a version now, or join its build; its log is told as it comes."""
    name, version = _version(call)
    state = None
    for event in call.client.environment_builds.build(name, version):
        if state is None and event.state.state == "building":
            call.say(f"Building the environment {name}:{version}; stopping this command does not stop the build.")
        state = event.state
        for line in event.lines:
            call.say(line)
    assert state is not None
    if state.state == "failed":
        raise EnvironmentBuildFailed(state.error, target=name)
    if state.state not in ("built", "existing"):
        raise EnvironmentBuildFailed(
            f"The environment {name}:{version} was removed while it was built. Build it again.", target=name
        )
    return _shape(state)


def show(call: Call) -> object:
    """As every ``show``; with ``--built`` also what has become of it on the server's machine."""
    from batchpoint.cli.output.shapes import shaped

    found = ENVIRONMENTS.show(call)
    if not call.flags.built:
        return found
    state = call.client.environment_builds.get(*_version(call))
    return {**shaped(found), "built": _shape(state)}


def list_(call: Call) -> object:
    """As every ``list``; with ``--built`` the versions that are built, or being built."""
    if not call.flags.built:
        return ENVIRONMENTS.list(call)
    refuse_registry(call)
    states = [_shape(one) for one in call.client.environment_builds.list()]
    named = [one for one in states if call.flags.name in (None, one["name"])]
    return [{key: one[key] for key in _LISTED if key in one} for one in named]


def prune(call: Call) -> object:
    """As ``prune --environments``, and nothing else."""
    return pruned(call, frozenset({"environments"}), with_leftovers=False)


#: What a list says of each that is built.
_LISTED = ("name", "version", "state", "python", "size", "last_used", "path")


def _version(call: Call) -> tuple[str, str]:
    version, label = which(call)
    name = call.flags.name
    if version is not None:
        return name, version
    return name, call.client.environments.get(name, label=label).version or ""


def _shape(state: "EnvironmentState") -> dict[str, Any]:
    return {key: value for key, value in state.model_dump(mode="json").items() if value not in ("", 0, 0.0, [])}


COMMANDS = (
    Command(
        "environment create",
        "Register an environment.",
        create,
        (
            *creating("environment"),
            Flag("--conda-file -c", "Conda file with the Python and its packages; default none.", "FILE"),
            Flag("--image -i", "Image; noted, and not run here. Default none.", "IMAGE"),
            Flag("--python", "An interpreter or environment folder that exists; default none.", "PATH"),
            Flag("--build-context -b", "Folder with a Dockerfile; noted, and not built here.", "DIR", hidden=True),
            Flag("--dockerfile-path -d", "Dockerfile in it; default Dockerfile.", "PATH", hidden=True),
            Flag("--os-type", "linux or windows; default linux.", "OS", hidden=True),
        ),
        example="environment create --name sklearn --image any --conda-file conda.yml",
    ),
    Command(
        "environment show",
        "Show a version of an environment.",
        show,
        (
            named("environment"),
            *ONE_VERSION,
            Flag("--built", "Also where it is built, its interpreter, size, packages and last use."),
        ),
        example="environment show --name NAME --label latest",
    ),
    ENVIRONMENTS.listed(list_, (Flag("--built", "Only versions that are built, with size and last use."),)),
    Command(
        "environment build",
        "Build a version now, as the first job that wants it would, and tell its log.",
        build,
        (named("environment"), *ONE_VERSION),
        example="environment build --name sklearn --version 1",
    ),
    Command(
        "environment prune",
        "Remove environments from this home that no open job uses; without --yes only list them.",
        prune,
        PRUNING,
        example="environment prune --older-than 30d --dry-run",
    ),
    *ENVIRONMENTS.changing(),
    refused(
        "environment share",
        "Copy an environment to a registry; not offered here.",
        "There are no shared registries here. Create the environment from the same file in the other workspace: "
        "environment create --workspace-name OTHER --file environment.yml.",
        example="environment share --name sklearn --version 1",
    ),
)
