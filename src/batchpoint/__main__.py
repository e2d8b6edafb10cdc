"""``python -m batchpoint`` and the console script ``batchpoint`` are the command line."""

import sys

from batchpoint.cli.__main__ import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
