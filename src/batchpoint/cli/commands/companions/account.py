"""``account``, ``login`` and ``logout``: what scripts written for ``az`` ask about the subscription and the token."""

from typing import Any

from batchpoint.cli.call import Call
from batchpoint.cli.commands.companions import defaults
from batchpoint.cli.grammar import Command, Flag
from batchpoint.errors import CommandLineInvalid, ResourceNotFound

#: The single tenant of a home, and the name of its one subscription.
TENANT = "00000000-0000-0000-0000-000000000000"
NAME = "Batchpoint"


def _account(call: Call) -> dict[str, Any]:
    return {
        "environmentName": NAME,
        "homeTenantId": TENANT,
        "id": call.settings.subscription,
        "isDefault": True,
        "name": NAME,
        "state": "Enabled",
        "tenantId": TENANT,
        "user": {"name": "local", "type": "user"},
    }


def show(call: Call) -> object:
    return _account(call)


def list_all(call: Call) -> object:
    return [_account(call)]


def choose(call: Call) -> None:
    """Remember the subscription for later calls; its name means the one that is chosen already."""
    wanted = call.flags.subscription
    if not wanted:
        raise CommandLineInvalid("account set needs --subscription")
    if wanted.lower() != NAME.lower():
        defaults.write(call.settings.home, {"subscription": wanted})


def access_token(call: Call) -> object:
    """The bearer token of the server, in the shape of ``az``."""
    from datetime import UTC, datetime, timedelta

    expires = datetime.now(UTC) + timedelta(hours=1)
    return {
        "accessToken": _token(call),
        "expiresOn": expires.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f"),
        "expires_on": int(expires.timestamp()),
        "subscription": call.settings.subscription,
        "tenant": TENANT,
        "tokenType": "Bearer",
    }


def _token(call: Call) -> str:
    path = call.settings.home / "token"
    if not call.settings.token and not path.is_file() and not call.settings.server:
        # The home is new: whoever speaks to it first draws the token.
        call.client.workspaces.list()
    token = call.settings.token or (path.read_text(encoding="ascii").strip() if path.is_file() else "")
    if not token:
        raise ResourceNotFound(
            f"There is no token for {call.settings.server}: it stands in the file 'token' of that server's home. "
            "Give it as BATCHPOINT_TOKEN.",
            target=str(path),
        )
    return token


def login(call: Call) -> object:
    call.say(_NO_LOGIN)
    return [_account(call)]


def logout(call: Call) -> None:
    call.say(_NO_LOGOUT)


_NO_LOGIN = "No sign-in is needed: whoever can read the home's token file may do everything."
_NO_LOGOUT = "Nobody is signed in here, so there is nothing to sign out of."
_IGNORED = "Accepted; nobody signs in here."
_SIGN_IN_FLAGS = (
    Flag("--service-principal", _IGNORED),
    Flag("--username -u", _IGNORED, "NAME"),
    Flag("--password -p", _IGNORED, "TEXT"),
    Flag("--tenant -t", _IGNORED, "ID"),
    Flag("--identity -i", _IGNORED),
    Flag("--client-id", _IGNORED, "ID"),
    Flag("--use-device-code", _IGNORED),
    *(Flag(name, _IGNORED, hidden=True) for name in ("--allow-no-subscriptions", "--use-cert-sn-issuer")),
    *(
        Flag(n, _IGNORED, "TEXT", hidden=True)
        for n in ("--certificate", "--federated-token", "--scope", "--resource-id")
    ),
)

COMMANDS = (
    Command("account show", "Show the subscription.", show, example="account show --query id -o tsv"),
    Command("account list", "List the one subscription.", list_all, example="account list -o table"),
    Command(
        "account set",
        "Choose the subscription for later calls.",
        choose,
        (Flag("--subscription -s", "Subscription: any id, or the name of the one there is. Required.", "ID"),),
        example="account set -s 11111111-1111-1111-1111-111111111111",
    ),
    Command(
        "account get-access-token",
        "Print the token of the server.",
        access_token,
        (
            Flag("--resource", "Accepted; there is one token for all.", "URL"),
            Flag("--resource-type", "Accepted; there is one token for all.", "TYPE", hidden=True),
            Flag("--scope", "Accepted; there is one token for all.", "URL", hidden=True),
            Flag("--tenant -t", "Accepted; there is one tenant.", "ID", hidden=True),
        ),
        example="account get-access-token --query accessToken -o tsv",
    ),
    Command("account clear", "Accepted: nobody is signed in.", logout, example="account clear", stub=_NO_LOGOUT),
    Command(
        "login",
        "No sign-in is needed; prints the subscription.",
        login,
        _SIGN_IN_FLAGS,
        example="login --use-device-code",
        stub=_NO_LOGIN,
    ),
    Command(
        "logout",
        "No sign-in is needed.",
        logout,
        (Flag("--username", _IGNORED, "NAME", hidden=True),),
        example="logout",
        stub=_NO_LOGOUT,
    ),
)
