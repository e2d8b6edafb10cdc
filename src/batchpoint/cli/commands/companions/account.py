"""The small companions that scripts written for ``az`` call around ``az ml``: defaults, account, extension, sign-in."""

from typing import Any

from batchpoint.cli.call import Call
from batchpoint.cli.commands.companions import defaults
from batchpoint.cli.grammar import Command, Flag, pairs
from batchpoint.errors import CommandLineInvalid, ResourceNotFound

#: The single tenant of a home.
TENANT = "00000000-0000-0000-0000-000000000000"


def configure(call: Call) -> object:
    """Store defaults, or list them."""
    chosen = pairs(call.flags.defaults, "--defaults")
    if chosen:
        defaults.write(call.settings.home, chosen)
    if call.flags.list_defaults:
        return defaults.listed(call.settings)
    if not chosen:
        raise CommandLineInvalid("configure needs --defaults KEY=VALUE or --list-defaults")
    return None


def _account(call: Call) -> dict[str, Any]:
    return {
        "environmentName": "Batchpoint",
        "homeTenantId": TENANT,
        "id": call.settings.subscription,
        "isDefault": True,
        "name": "Batchpoint",
        "state": "Enabled",
        "tenantId": TENANT,
        "user": {"name": "local", "type": "user"},
    }


def account_show(call: Call) -> object:
    return _account(call)


def account_list(call: Call) -> object:
    return [_account(call)]


def account_set(call: Call) -> None:
    """Remember the subscription for later calls."""
    if not call.flags.subscription:
        raise CommandLineInvalid("account set needs --subscription")
    defaults.write(call.settings.home, {"subscription": call.flags.subscription})


def access_token(call: Call) -> object:
    """The bearer token of the server, in the shape of ``az``."""
    from datetime import UTC, datetime, timedelta

    path = call.settings.home / "token"
    token = call.settings.token or (path.read_text(encoding="ascii").strip() if path.is_file() else "")
    if not token:
        raise ResourceNotFound(
            f"{path} does not exist: no server has run on this home yet. Start one with: batchpoint serve",
            target=str(path),
        )
    expires = datetime.now(UTC) + timedelta(hours=1)
    return {
        "accessToken": token,
        "expiresOn": expires.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f"),
        "expires_on": int(expires.timestamp()),
        "subscription": call.settings.subscription,
        "tenant": TENANT,
        "tokenType": "Bearer",
    }


def extension_list(call: Call) -> object:
    return [{"extensionType": "built-in", "name": "ml", "version": _version()}]


def extension_change(call: Call) -> None:
    call.say("The extension ml is part of Batchpoint; there is nothing to install.")


def login(call: Call) -> object:
    call.say("No sign-in is needed on this machine.")
    return [_account(call)]


def logout(call: Call) -> None:
    call.say("Nobody is signed in on this machine; there is nothing to sign out of.")


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


_EXTENSION_FLAGS = (
    Flag("--name -n", "Name of the extension.", "NAME"),
    Flag("--yes -y"),
    Flag("--upgrade -U", hidden=True),
)
_SIGN_IN_FLAGS = (
    Flag("--service-principal", hidden=True),
    Flag("--username -u", value="NAME", hidden=True),
    Flag("--password -p", value="TEXT", hidden=True),
    Flag("--tenant -t", value="ID", hidden=True),
    Flag("--identity -i", hidden=True),
    Flag("--client-id", value="ID", hidden=True),
    Flag("--use-device-code", hidden=True),
)

COMMANDS = (
    Command(
        "configure",
        "Set defaults for workspace, group and location, or list them.",
        configure,
        (
            Flag(
                "--defaults -d",
                "group=G workspace=W location=L; an empty value clears.",
                "KEY=VALUE",
                many=True,
            ),
            Flag("--list-defaults -l", "List the defaults."),
            Flag("--scope", value="SCOPE", hidden=True),
        ),
        example="configure --defaults group=research workspace=vision",
    ),
    Command("account show", "Show the subscription.", account_show),
    Command("account list", "List the one subscription.", account_list),
    Command(
        "account set",
        "Choose the subscription for later calls.",
        account_set,
        (Flag("--subscription -s", "Subscription id.", "ID"),),
    ),
    Command(
        "account get-access-token",
        "Print the token of the server.",
        access_token,
        (
            Flag("--resource", value="URL", hidden=True),
            Flag("--resource-type", value="TYPE", hidden=True),
            Flag("--scope", value="URL", hidden=True),
            Flag("--tenant -t", value="ID", hidden=True),
        ),
    ),
    Command("extension list", "List extensions.", extension_list),
    Command("extension add", "Nothing to add.", extension_change, _EXTENSION_FLAGS),
    Command("extension update", "Nothing to update.", extension_change, _EXTENSION_FLAGS),
    Command("extension remove", "Nothing to remove.", extension_change, _EXTENSION_FLAGS),
    Command("login", "No sign-in is needed; prints the subscription.", login, _SIGN_IN_FLAGS),
    Command("logout", "No sign-in is needed.", logout, (Flag("--username", value="NAME", hidden=True),)),
    Command("version", "Versions as JSON.", version),
)
