"""Servers that cost no imports: a prepared process forks one for each life. Only for tests; the product never forks so.

Orders come on its standard input and are answered with a line: ``start PORT LOG`` with the process id of a server,
``wait PID`` with how that one ended.
"""

import os
import sys


def main() -> None:
    import uvicorn.protocols.http.h11_impl  # noqa: F401

    import batchpoint.server.app
    import batchpoint.server.transport.connections
    import batchpoint.store.store  # noqa: F401
    from batchpoint.server import serve, supervisor  # noqa: F401
    from batchpoint.settings import Settings

    for line in sys.stdin:
        verb, word, *rest = line.split()
        if verb == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(int(word), 0)[1]), flush=True)
            continue
        pid = os.fork()
        if not pid:
            live(rest[0], lambda: serve.serve(Settings.load(), http_port=int(word)))  # noqa: B023
        print(pid, flush=True)


def live(log: str, act: "object") -> None:
    status = 1
    try:
        said = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        for number, mine in ((0, os.open(os.devnull, os.O_RDONLY)), (1, said), (2, said)):
            os.dup2(mine, number)
        assert callable(act)
        act()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
