"""``datastore``: the places that inputs are read from and outputs are written to."""

from typing import TYPE_CHECKING

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.commands.refusals import refused
from batchpoint.cli.grammar import EDITS, FILE, SET, YES, Command, Flag, named
from batchpoint.errors import CommandLineInvalid

if TYPE_CHECKING:
    from batchpoint.entities.datastore import Datastore


def create(call: Call) -> object:
    """Register the place, or replace what is registered under its name."""
    from batchpoint.entities.datastore import Datastore

    wanted = documents.load(call, Datastore, call.given("name"))
    return call.client.datastores.create_or_update(wanted, skip_validation=call.flags.skip_validation)


def show(call: Call) -> object:
    return _shown(call, call.client.datastores.get(call.flags.name))


def list_all(call: Call) -> object:
    listing.limit(call)
    found = listing.shortened(call, call.client.datastores.list())
    return [_shown(call, datastore) for datastore in found]


def update(call: Call) -> object:
    """Change what is registered; credentials that are not named stay."""
    if not call.flags.name and not call.flags.file:
        raise CommandLineInvalid("datastore update needs --name, or a file that has one (--file)")
    changed = _from_file(call) if call.flags.file else _amended(call)
    return call.client.datastores.create_or_update(changed, skip_validation=call.flags.skip_validation)


def _amended(call: Call) -> "Datastore":
    return documents.updated(call, call.client.datastores.get(call.flags.name), {})


def _from_file(call: Call) -> "Datastore":
    """What the file and the flags say; the name must be there already."""
    from batchpoint.entities.datastore import Datastore

    written = documents.load(call, Datastore, call.given("name"))
    there = call.client.datastores.get(written.name)
    return written.model_copy(update={"credentials_type": there.credentials_type})


def delete(call: Call) -> None:
    name = call.flags.name
    call.remove(
        f"Delete datastore {name}? Its registration and credentials go, the data stays.",
        lambda: call.client.datastores.delete(name),
    )


def _shown(call: Call, datastore: "Datastore") -> object:
    """The noun; with its secrets in clear text when they were asked for."""
    if not call.flags.include_secrets:
        return datastore
    from batchpoint.cli.output.shapes import noun_shape

    # A folder has none of its own, only signatures that are made when somebody asks.
    found = {} if datastore.is_local else call.client.datastores.secrets(datastore.name)
    return noun_shape(datastore) | {"credentials": found}


_SECRETS = Flag("--include-secrets -i", "Show credentials in clear text; default no.")
_SKIP = Flag("--skip-validation", "Register it without looking whether it can be reached; default no.")

COMMANDS = (
    Command(
        "datastore create",
        "Register a folder, a blob container or a bucket as a place for data.",
        create,
        (
            Flag("--file -f", "YAML file with name, type and where it is.", "FILE", required=True),
            named("datastore", required=False),
            SET,
            _SKIP,
        ),
        example="datastore create --file datastore.yml --set credentials.account_key=KEY",
    ),
    Command(
        "datastore show",
        "Show a datastore; secrets only when they are asked for.",
        show,
        (named("datastore"), _SECRETS),
        example="datastore show --name images",
    ),
    Command(
        "datastore list",
        "List datastores.",
        list_all,
        (listing.most(), _SECRETS),
        example="datastore list --output table",
    ),
    Command(
        "datastore update",
        "Change a datastore; credentials that are not named stay as they are.",
        update,
        (named("datastore", required=False), FILE, *EDITS, _SKIP),
        example="datastore update --name images --set credentials.sas_token=TOKEN",
    ),
    Command(
        "datastore delete",
        "Remove the registration of a datastore and its credentials; the data stays.",
        delete,
        (named("datastore"), YES),
        example="datastore delete --name images --yes",
    ),
    refused(
        "datastore mount",
        "Mount a datastore as a folder.",
        "Jobs fetch what they read, nothing is mounted. To read a file of a datastore: invoke with "
        "--input azureml://datastores/NAME/paths/PATH.",
    ),
)
