"""Makes one conda prefix: ``python -m batchpoint.environments.conda`` with a ``Prefix`` as JSON on stdin.

A process of its own, started by the builder: rattler keeps threads that outlive a build, and a build that hangs can be
ended. What it writes is for the log; the exit code says how it ended.
"""

import asyncio
import json
import os
import sys

from batchpoint.environments.conda.prefix import FAILED, Prefix


def main() -> int:
    from batchpoint.environments.conda.solving import made

    try:
        # rattler is asynchronous; nothing else runs in this process, so that no event loop but this one is needed.
        return asyncio.run(made(Prefix.read(json.load(sys.stdin))))
    except Exception as error:
        print(f"error: {str(error).strip() or type(error).__name__}")
        return FAILED


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Threads of rattler may still be in a request; an interpreter that ends in order trips over them.
    os._exit(status)
