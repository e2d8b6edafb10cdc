"""The edge of the worker: two descriptors or named pipes from the command line, an exit status back."""

import os
import sys


def _opened(word: str, how: int) -> int:
    """The descriptor that is meant; a pipe that the driver has left raises OSError instead of waiting for ever."""
    if word.isdigit():
        return int(word)
    if how == os.O_RDONLY:
        os.close(os.open(word, os.O_WRONLY | os.O_NONBLOCK))
    return os.open(word, how)


def main() -> int:
    try:
        read, write = (_opened(*word) for word in zip(sys.argv[1:], (os.O_RDONLY, os.O_WRONLY)))
    except (OSError, ValueError):
        sys.stderr.write(
            "usage: python -m batchpoint_worker READ_FD WRITE_FD (Batchpoint starts this program itself)\n"
        )
        return 2
    # Only now: the folder that `-m` was started in must not lend its modules to the imports of the worker.
    from batchpoint_worker import session

    return session.serve(read, write)


if __name__ == "__main__":
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    sys.exit(main())
