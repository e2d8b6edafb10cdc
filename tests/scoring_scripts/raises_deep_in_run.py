"""A recursion without end."""

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        run(mini_batch)
    return sin.good(mini_batch)
