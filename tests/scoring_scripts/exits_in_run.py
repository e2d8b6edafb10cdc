import os
import sys

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        sys.exit(int(os.environ.get("EXIT_STATUS", "0")))
    return sin.good(mini_batch)
