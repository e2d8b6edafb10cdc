"""``serve``: the server of this home, in the foreground."""

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command, Flag


def serve(call: Call) -> None:
    """Run until interrupted."""
    from batchpoint.local import serve as serve_here

    serve_here(call.settings, host=call.flags.host, port=call.flags.port, http_port=call.flags.http_port)


COMMANDS = (
    Command(
        "serve",
        "Run the server for this home until interrupted.",
        serve,
        (
            Flag("--host", "Address to listen on with HTTPS; default 127.0.0.1.", "HOST", default="127.0.0.1"),
            Flag("--port", "Port of HTTPS; default 8443, 0 for any free one.", "PORT", number=int, default=8443),
            Flag(
                "--http-port",
                "Port of plain HTTP, on 127.0.0.1 only; default 8787, 0 for any free one.",
                "PORT",
                number=int,
                default=8787,
            ),
        ),
        example="serve --port 8443",
    ),
)
