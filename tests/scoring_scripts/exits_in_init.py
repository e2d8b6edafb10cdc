import sys

import sin


def init():
    if sin.is_first():
        sys.exit(3)


def run(mini_batch):
    return sin.good(mini_batch)
