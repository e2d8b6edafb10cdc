"""Returns what it finds around itself, one "name=value" after the other."""

import os
import sys


def init():
    pass


def run(mini_batch):
    return [
        "cwd=" + os.getcwd(),
        "file=" + os.path.abspath(__file__),
        "name=" + __name__,
        "argv=" + "|".join(sys.argv),
        "path0=" + sys.path[0],
        "first=" + mini_batch[0],
    ] + ["module=" + name for name in ("batchpoint", "pydantic", "numpy", "typing") if name in sys.modules]
