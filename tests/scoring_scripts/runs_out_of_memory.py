"""ALLOCATE: bytes taken before a MemoryError of its own (so that it works without a limit)."""

import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        held = bytearray(int(os.environ.get("ALLOCATE", "1000")))
        raise MemoryError("%d bytes were not enough" % len(held))
    return sin.good(mini_batch)
