"""``data``, and ``dataset`` as it was called in 2021: versioned pointers to files and folders."""

from typing import TYPE_CHECKING

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.commands.assets.verbs import Versioned, creating, path_given, refuse_registry, say_of_datastore
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import Command, Flag

if TYPE_CHECKING:
    from batchpoint.entities.data import DataAsset

DATA: "Versioned[DataAsset]" = Versioned("data", "data asset", lambda client: client.data)
DATASETS: "Versioned[DataAsset]" = Versioned("dataset", "data asset", lambda client: client.data)


def create(call: Call) -> object:
    from batchpoint.entities.data import DataAsset

    refuse_registry(call)
    say_of_datastore(call)
    values = call.given("name", "version", "type", "datastore") | path_given(call) | documents.described(call)
    return call.client.data.create_or_update(documents.load(call, DataAsset, values))


_FLAGS = (
    Flag("--description -d", "What it is for; default none.", "TEXT"),
    *(flag for flag in creating("data asset") if flag.attribute != "description"),
    Flag("--path -p --paths", "Folder or file: local or a URI. Required without --file.", "PATH"),
    Flag("--local-path -l", "Spelling of 2021 for a local path.", "PATH"),
    Flag("--type -t", "uri_folder or uri_file; default what the path is.", "TYPE"),
    Flag("--skip-validation", "Accepted; there is nothing to skip.", hidden=True),
)
_IN_PLACE = "batch-endpoint invoke --input URI reads a folder, a file or a URL where it is"

COMMANDS = (
    Command(
        "data create",
        "Register a data asset.",
        create,
        _FLAGS,
        example="data create --name mnist --version 1 --type uri_folder --path images/",
    ),
    *DATA.showing(),
    DATA.listed(),
    *DATA.changing(),
    Command(
        "dataset create",
        "Register a data asset, as in 2021.",
        create,
        _FLAGS,
        example="dataset create --name mnist --version 1 --paths folder:azureml://datastores/…",
    ),
    *DATASETS.showing(),
    DATASETS.listed(),
    *DATASETS.changing(),
    refused(
        "data import",
        "Copy data out of a database; not offered here.",
        "Data is not imported from databases here. Export it to files and register their folder: "
        "data create --name NAME --path FOLDER.",
        example="data import --name sales",
    ),
    refused(
        "data mount",
        "Mount a data asset; not offered here.",
        f"Data is not mounted here: {_IN_PLACE}. data show --name NAME --label latest --query path says where it is.",
        example="data mount --name mnist",
    ),
    refused(
        "data share",
        "Copy a data asset to a registry; not offered here.",
        "There are no shared registries here. Register the same path in the other workspace: "
        "data create --workspace-name OTHER --name NAME --path PATH.",
        example="data share --name mnist --version 1",
    ),
    refused(
        "data list-materialization-status",
        "Show imports of a data asset; not offered here.",
        f"Nothing is imported here, so there is nothing to wait for: {_IN_PLACE}.",
        example="data list-materialization-status --name sales",
    ),
)
