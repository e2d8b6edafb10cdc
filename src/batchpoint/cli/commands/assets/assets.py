"""``model``, ``data`` (``dataset`` in 2021) and ``environment``: the versioned nouns, one table for all."""

from typing import Any

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import FILE, NO_WAIT, SET, Command, Flag, named
from batchpoint.errors import CommandLineInvalid


def create_model(call: Call) -> object:
    from batchpoint.entities.assets import Model

    values = call.given("name", "version", "type", "stage", "datastore") | _path(call) | documents.described(call)
    return call.client.models.create_or_update(documents.load(call, Model, values))


def create_data(call: Call) -> object:
    from batchpoint.entities.data import DataAsset

    values = call.given("name", "version", "type", "datastore") | _path(call) | documents.described(call)
    return call.client.data.create_or_update(documents.load(call, DataAsset, values))


def create_environment(call: Call) -> object:
    from batchpoint.entities.assets import Environment

    values = call.given("name", "version", "image", "conda_file", "python", "os_type", "datastore")
    if call.flags.build_context:
        values["build.path"] = call.flags.build_context
        values |= {"build.dockerfile_path": call.flags.dockerfile_path} if call.flags.dockerfile_path else {}
    wanted = documents.load(call, Environment, values | documents.described(call))
    return call.client.environments.create_or_update(wanted)


def _path(call: Call) -> dict[str, Any]:
    """The path, however the flag for it is spelled."""
    given = call.given("path", "local_path", "model_uri", "paths")
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise CommandLineInvalid(f"{names} name two paths; keep one of them")
    return {"path": next(iter(given.values()))} if given else {}


def show_model(call: Call) -> object:
    version, label = _which(call)
    return call.client.models.get(call.flags.name, version=version, label=label)


def show_data(call: Call) -> object:
    version, label = _which(call)
    return call.client.data.get(call.flags.name, version=version, label=label)


def show_environment(call: Call) -> object:
    version, label = _which(call)
    return call.client.environments.get(call.flags.name, version=version, label=label)


def _which(call: Call) -> tuple[str | None, str | None]:
    version, label = call.flags.version, call.flags.label
    if (version is None) == (label is None):
        raise CommandLineInvalid("name exactly one of --version and --label (--label latest)")
    return version, label


def list_models(call: Call) -> object:
    return _first(call, call.client.models.list(call.flags.name))


def list_data(call: Call) -> object:
    return _first(call, call.client.data.list(call.flags.name))


def list_environments(call: Call) -> object:
    return _first(call, call.client.environments.list(call.flags.name))


def _first(call: Call, found: Any) -> object:
    wanted = call.flags.max_results
    if wanted and len(found) > wanted:
        call.warn(f"only the first {wanted} of {len(found)} are shown; see --max-results")
        return found[:wanted]
    return found


_VERSION = Flag("--version -v", "Version.", "VERSION")
_SHOW = (_VERSION, Flag("--label -l", "latest: the version created last.", "LABEL"))
_LIST = (
    Flag("--name -n", "List the versions of this one.", "NAME"),
    Flag("--max-results -r", "At most this many.", "N", number=int),
    Flag("--archived-only", hidden=True),
    Flag("--include-archived", hidden=True),
)
_DESCRIBE = (
    Flag("--description", "Description.", "TEXT"),
    Flag("--tags", "Tags.", "KEY=VALUE", many=True),
    Flag("--datastore", "Datastore for the upload.", "NAME"),
)


def _create(what: str) -> tuple[Flag, ...]:
    version = Flag("--version -v", "Version; default the next number.", "VERSION")
    return (FILE, named(what, required=False), version, *_DESCRIBE, SET, NO_WAIT)


_DATA = (
    *_create("data asset"),
    Flag("--path -p --paths", "Folder or file: local or a URI.", "PATH"),
    Flag("--local-path -l", "Spelling of 2021 for a local path.", "PATH"),
    Flag("--type -t", "uri_folder or uri_file.", "TYPE"),
    Flag("--skip-validation", hidden=True),
)

COMMANDS = (
    Command(
        "model create",
        "Register a model.",
        create_model,
        (
            *_create("model"),
            Flag("--path -p", "Folder or file: local or a URI.", "PATH"),
            Flag("--type -t", "custom_model, mlflow_model or triton_model.", "TYPE"),
            Flag("--stage -s", "Stage.", "TEXT"),
            Flag("--local-path -l", "Spelling of 2021 for a local path.", "PATH"),
            Flag("--model-uri", "Spelling of 2021 for a URI.", "URI"),
        ),
        example="model create --name digits-svc --path model/",
    ),
    Command("model show", "Show a version of a model.", show_model, (named("model"), *_SHOW)),
    Command("model list", "List models.", list_models, (*_LIST, Flag("--stage -s", value="TEXT", hidden=True))),
    Command(
        "data create",
        "Register a data asset.",
        create_data,
        _DATA,
        example="data create --name mnist --version 1 --type uri_folder --path images/",
    ),
    Command("data show", "Show a version of a data asset.", show_data, (named("data asset"), *_SHOW)),
    Command("data list", "List data assets.", list_data, _LIST),
    Command(
        "dataset create",
        "Register a data asset, as in 2021.",
        create_data,
        _DATA,
        example="dataset create --name mnist --version 1 --paths folder:azureml://datastores/…",
    ),
    Command("dataset show", "Show a version of a data asset.", show_data, (named("data asset"), *_SHOW)),
    Command("dataset list", "List data assets.", list_data, _LIST),
    Command(
        "environment create",
        "Register an environment.",
        create_environment,
        (
            *_create("environment"),
            Flag("--conda-file -c", "Conda file with the Python and pip packages.", "FILE"),
            Flag("--image -i", "Image; noted, and not run here.", "IMAGE"),
            Flag("--python", "An interpreter or environment folder that exists.", "PATH"),
            Flag("--build-context -b", value="DIR", hidden=True),
            Flag("--dockerfile-path -d", value="PATH", hidden=True),
            Flag("--os-type", value="OS", hidden=True),
        ),
        example="environment create --name sklearn --conda-file conda.yml",
    ),
    Command("environment show", "Show a version of an environment.", show_environment, (named("environment"), *_SHOW)),
    Command("environment list", "List environments.", list_environments, _LIST),
)
