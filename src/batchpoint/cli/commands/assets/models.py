"""``model``: versioned models, and their way back to a folder of yours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.assets.verbs import (
    ONE_VERSION,
    Versioned,
    creating,
    path_given,
    refuse_registry,
    say_of_datastore,
    which,
)
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import Command, Flag, named

if TYPE_CHECKING:
    from batchpoint.entities.assets import Model

MODELS: "Versioned[Model]" = Versioned("model", "model", lambda client: client.models)


def create(call: Call) -> object:
    from batchpoint.entities.assets import Model

    refuse_registry(call)
    say_of_datastore(call)
    values = call.given("name", "version", "type", "stage", "datastore") | path_given(call) | documents.described(call)
    return call.client.models.create_or_update(documents.load(call, Model, values))


def list_all(call: Call) -> object:
    """Models, or those of one stage."""
    stage = call.flags.stage
    found: Sequence[Model] = [model for model in MODELS.found(call) if stage in (None, model.stage)]
    return listing.shortened(call, found)


def download(call: Call) -> None:
    """Put the model's files into a folder named after it."""
    version, label = which(call)
    parent = call.download_folder()
    model = call.client.models.get(call.flags.name, version=version, label=label)
    folder = call.client.downloads.model(model, parent)
    call.say(f"Downloaded model {model.name} version {model.version} to {folder}")


COMMANDS = (
    Command(
        "model create",
        "Register a model.",
        create,
        (
            *creating("model"),
            Flag("--path -p", "Folder or file: local or a URI. Required without --file.", "PATH"),
            Flag("--type -t", "custom_model, mlflow_model or triton_model; default what the folder is.", "TYPE"),
            Flag("--stage -s", "Stage; default none.", "TEXT"),
            Flag("--local-path -l", "Spelling of 2021 for a local path.", "PATH"),
            Flag("--model-uri", "Spelling of 2021 for a URI.", "URI"),
        ),
        example="model create --name digits-svc --path model/",
    ),
    *MODELS.showing(),
    MODELS.listed(
        list_all,
        (
            Flag(
                "--stage -s", "Only versions of this stage, without --name models whose latest is; default all.", "TEXT"
            ),
        ),
    ),
    *MODELS.changing((Flag("--stage -s", "Stage; default as it is.", "TEXT"),)),
    Command(
        "model download",
        "Download a version of a model into a folder named after it.",
        download,
        (named("model"), *ONE_VERSION, Flag("--download-path -p", "Parent folder.", "DIR", default=".")),
        example="model download --name digits-svc --version 1 --download-path models/",
    ),
    refused(
        "model share",
        "Copy a model to a registry; not offered here.",
        "There are no shared registries here. To use the model in another workspace, download it and create it there: "
        "model download --name NAME --version V, then model create --workspace-name OTHER --name NAME --path NAME.",
        example="model share --name digits-svc --version 1",
    ),
    refused(
        "model package",
        "Build a container from a model; not offered here.",
        "Containers are not built here: a batch deployment brings model, code and environment together by itself. "
        "Write a deployment file and run: batch-deployment create --file deployment.yml",
        example="model package --name digits-svc --version 1",
    ),
)
