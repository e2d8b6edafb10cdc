"""The edge of the worker: two descriptors from the command line, an exit status back."""

import sys


def main() -> int:
    if len(sys.argv) != 3 or not all(word.isdigit() for word in sys.argv[1:]):
        sys.stderr.write(
            "usage: python -m batchpoint_worker READ_FD WRITE_FD (Batchpoint starts this program itself)\n"
        )
        return 2
    # Only now: the folder that `-m` was started in must not lend its modules to the imports of the worker.
    from batchpoint_worker import session

    return session.serve(int(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    import os

    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    sys.exit(main())
