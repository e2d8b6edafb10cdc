"""``python -m batchpoint.server``: the server of a home, as ``batchpoint serve`` runs it."""

import argparse
import sys

from batchpoint.errors import BatchpointError
from batchpoint.server.serve import serve
from batchpoint.settings import Settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m batchpoint.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of HTTPS; 0 (the default) takes any free one")
    parser.add_argument("--http-port", type=int, default=0, help="of plain HTTP on loopback, likewise")
    flags = parser.parse_args(arguments)
    try:
        serve(Settings.load(), flags.host, flags.port, flags.http_port)
    except BatchpointError as error:
        print(f"ERROR: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
