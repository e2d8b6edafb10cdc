"""A recursion without end."""

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        dig(mini_batch)
    return sin.good(mini_batch)


def dig(mini_batch):
    return dig(mini_batch)
