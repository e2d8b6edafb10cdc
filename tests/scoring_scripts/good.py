"""Does what it should."""

import sin


def init():
    pass


def run(mini_batch):
    sin.is_due(mini_batch)
    return sin.good(mini_batch)
