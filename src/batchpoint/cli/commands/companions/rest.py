"""``rest``: one request to the server, for what no command offers."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command, Flag, pairs
from batchpoint.errors import UserError

_METHODS = ("get", "put", "post", "patch", "delete", "head", "options")
#: Written in scripts for ``az``; the server answers in its place.
_STANDS_FOR_US = "management.azure.com"


def rest(call: Call) -> object:
    """Send the request and print the answer."""
    answer = call.client.rest(
        call.flags.method.upper(),
        _path(call),
        body=_body(call.flags.body),
        headers=_map(call.flags.headers, "--headers"),
        query=_map(call.flags.uri_parameters, "--uri-parameters"),
    )
    if call.flags.output_file:
        Path(call.flags.output_file).expanduser().write_bytes(answer)
        return None
    if not answer:
        return None
    try:
        found: object = json.loads(answer)
    except ValueError:
        found = answer.decode("utf-8", "replace")
    return found


def _path(call: Call) -> str:
    """The address on our server; the token is sent to no other."""
    url = call.flags.url.replace("{subscriptionId}", call.settings.subscription)
    if url.startswith("/"):
        return str(url)
    asked, ours = urlsplit(url), urlsplit(call.client.base_url)
    if (asked.hostname, asked.port) != (ours.hostname, ours.port) and asked.hostname != _STANDS_FOR_US:
        raise UserError(
            f"{url} is not on the server {call.client.base_url}, and its token is sent to no other machine. Give the "
            "path alone (/subscriptions/…), or name the server with --server.",
            target="--url",
        )
    return f"{asked.path or '/'}{'?' if asked.query else ''}{asked.query}"


def _body(text: str | None) -> bytes | None:
    """Text, or a file where it begins with an at sign."""
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    path = Path(text[1:]).expanduser()
    if not path.is_file():
        raise UserError(f"There is no file {path} to send as --body.", target="--body")
    return path.read_bytes()


def _map(words: list[str] | None, flag: str) -> dict[str, str]:
    """Pairs, or one JSON object."""
    if words and len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            return {str(name): str(value) for name, value in json.loads(words[0]).items()}
        except ValueError as error:
            raise UserError(f"{flag} is no JSON object: {error}", target=flag) from error
    return pairs(words, flag)


COMMANDS = (
    Command(
        "rest",
        "Send one request to the server and print its answer.",
        rest,
        (
            Flag("--method -m", f"{', '.join(_METHODS)}; default get.", "METHOD", choices=_METHODS, default="get"),
            Flag("--url --uri -u", "Path on the server, or its whole address.", "URL", required=True),
            Flag("--body -b", "JSON to send, or @FILE; default none.", "JSON"),
            Flag("--headers", "Headers beside the token: a=b, or JSON; default none.", "MAP", many=True),
            Flag("--uri-parameters --url-parameters", "Query: a=b, or JSON; default none.", "MAP", many=True),
            Flag("--output-file", "Write the answer to this file; default print it.", "FILE"),
            Flag("--resource", "Accepted; there is one token for all.", "URL", hidden=True),
            Flag("--skip-authorization-header", "Accepted; the server wants its token.", hidden=True),
        ),
        example="rest --method get --url /batchpoint/v1/info",
    ),
)
