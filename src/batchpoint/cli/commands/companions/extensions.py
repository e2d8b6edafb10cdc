"""``extension`` and ``version``: what is installed, for scripts that look before they start."""

from typing import Any

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command, Flag
from batchpoint.errors import ResourceNotFound


def _ml() -> dict[str, Any]:
    return {"extensionType": "built-in", "name": "ml", "preview": False, "version": _version()}


def list_all(call: Call) -> object:
    return [_ml()]


def show(call: Call) -> object:
    if call.flags.name.lower() != "ml":
        raise ResourceNotFound(
            f"There is no extension {call.flags.name}; the one there is, ml, is part of Batchpoint.",
            target=call.flags.name,
        )
    return _ml()


def change(call: Call) -> None:
    name = call.flags.name
    other = f" {name} is not offered." if name and name.lower() != "ml" else ""
    call.say(_NOTHING + other)


def version(call: Call) -> object:
    import platform

    return {"batchpoint": _version(), "extensions": {"ml": _version()}, "python": platform.python_version()}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("batchpoint")
    except PackageNotFoundError:
        # Run from a checkout that was never installed.
        return "0.0.0"


_NOTHING = "The extension ml is part of Batchpoint: there is nothing to add, update or remove."
_FLAGS = (
    Flag("--name -n", "Name of the extension; default ml.", "NAME"),
    Flag("--yes -y", "Accepted; nothing is asked."),
    Flag("--upgrade -U", "Accepted; nothing is installed.", hidden=True),
    Flag("--allow-preview", "Accepted; nothing is installed.", "BOOL", hidden=True),
    Flag("--version -v", "Accepted; nothing is installed.", "VERSION", hidden=True),
    Flag("--source -s", "Accepted; nothing is installed.", "URL", hidden=True),
)

COMMANDS = (
    Command("extension list", "List extensions: ml, which is built in.", list_all, example="extension list -o table"),
    Command(
        "extension show",
        "Show an extension.",
        show,
        (Flag("--name -n", "Name of the extension.", "NAME", required=True),),
        example="extension show --name ml",
    ),
    Command("extension add", "Accepted: nothing to add.", change, _FLAGS, "extension add -n ml -y", stub=_NOTHING),
    Command(
        "extension update", "Accepted: nothing to update.", change, _FLAGS, "extension update -n ml", stub=_NOTHING
    ),
    Command(
        "extension remove", "Accepted: nothing to remove.", change, _FLAGS, "extension remove -n ml", stub=_NOTHING
    ),
    Command("version", "Versions as JSON.", version, example="version --query batchpoint -o tsv"),
)
