"""``connect``: the variables with which the Azure SDK, curl and az reach our server, as lines for a shell."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import PROGRAM, Command, Flag
from batchpoint.cli.output import shells
from batchpoint.client.connection import Connection
from batchpoint.errors import CommandLineInvalid
from batchpoint.settings import in_the_way

#: Where the proxy listens unless it is told otherwise.
_PROXY_PORT = 8444
_NOT_PROXIED = "localhost,127.0.0.1,::1"


def connect(call: Call) -> None:
    """Nothing is printed before all is known: a shell that runs half of it would speak to somebody else."""
    import dataclasses

    from batchpoint.local import connect_over_tls

    flags = call.flags
    if flags.port is not None and not flags.proxy:
        raise CommandLineInvalid("--port is the port of the proxy; add --proxy")
    settings = dataclasses.replace(call.settings, server_ca=flags.ca or call.settings.server_ca)
    client, bundle = connect_over_tls(settings)
    with client:
        found = client.connection(flags.principal)
    if flags.proxy:
        _run_proxy(call, found, bundle)
    else:
        _put(flags.shell, _reached_as_a_cloud(found) | _believed(bundle) | _logged_in(found))
        _say_how(call, found)
        for name, why in in_the_way(urlsplit(found.url).hostname or "").items():
            call.warn(f"{name} is set: {why}.")


def _reached_as_a_cloud(found: Connection) -> dict[str, str]:
    return {
        "ARM_CLOUD_METADATA_URL": f"{found.url}/metadata/endpoints?api-version=2019-05-01",
        # With the address alone, the SDK falls back to the public cloud when nobody answers there.
        "AZUREML_CURRENT_CLOUD": found.cloud,
    }


def _believed(bundle: Path) -> dict[str, str]:
    """The SDK reads the first, curl the second, az the first and the last."""
    return dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), str(bundle))


def _logged_in(found: Connection) -> dict[str, str]:
    return {"IDENTITY_ENDPOINT": f"{found.url}/msi/token", "IDENTITY_HEADER": found.identity_header}


def _run_proxy(call: Call, found: Connection, bundle: Path) -> None:
    from batchpoint.local import lead_public_hosts

    def ready(proxy: str) -> None:
        led = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": _NOT_PROXIED, "no_proxy": _NOT_PROXIED}
        _put(call.flags.shell, led | _believed(bundle) | _logged_in(found))
        call.say(
            f"The proxy at {proxy} leads management.azure.com, login.microsoftonline.com, *.inference.ml.azure.com and "
            f"this server's storage accounts to {found.url}, and nothing else anywhere. Run the lines above in another "
            "shell; stop the proxy with Ctrl-C."
        )

    port = _PROXY_PORT if call.flags.port is None else call.flags.port
    lead_public_hosts(found.url, port, ready)


def _put(shell: str, variables: dict[str, str]) -> None:
    # A path may hold bytes that are no UTF-8.
    sys.stdout.buffer.write(shells.lines(shell, variables).encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def _say_how(call: Call, found: Connection) -> None:
    until = f" until {found.expires_at[:10]}" if found.expires_at else ""
    call.say(f"With these lines, a shell speaks to {found.url} as {found.principal}{until}.")
    if sys.stdout.isatty():
        shell = call.flags.shell
        call.say(f"To run them all at once: {shells.runner(shell, f'{PROGRAM} connect --shell {shell}')}")


COMMANDS = (
    Command(
        "connect",
        "Print what to export so that the Azure SDK, curl and az reach this server.",
        connect,
        (
            Flag(
                "--shell",
                "Whose lines to print: bash, zsh, sh, fish, powershell or python; default bash.",
                "SHELL",
                choices=shells.SHELLS,
                default="bash",
            ),
            Flag("--principal", "User or service principal to speak for; default whoever asks.", "NAME"),
            Flag("--ca", "PEM file of the authority of the server's certificate; default the home's.", "FILE"),
            Flag("--proxy", "Run a proxy for scripts with the hosts of Azure written into them, until Ctrl-C."),
            Flag("--port", "Port of the proxy; default 8444, 0 for any free one.", "PORT", number=int),
        ),
        example="connect --shell bash",
    ),
)
