import os

import sin


def init():
    if sin.is_first():
        os._exit(int(os.environ.get("EXIT_STATUS", "0")))


def run(mini_batch):
    return sin.good(mini_batch)
