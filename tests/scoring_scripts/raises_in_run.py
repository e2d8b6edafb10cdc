import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        read_header(mini_batch[0])
    return sin.good(mini_batch)


def read_header(path):
    try:
        int("x")
    except ValueError as error:
        raise ValueError(os.environ.get("RUN_ERROR", "bad header")) from error
