"""PRINT_BYTES: how much (default 1,000,000,000), without a line end, binary, with ANSI codes."""

import os
import sys

import sin

BLOCK = b"\xff\x00\x1b[2J\r" * 9362


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        left = int(os.environ.get("PRINT_BYTES", "1000000000"))
        while left > 0:
            sys.stdout.buffer.write(BLOCK[:left])
            left -= len(BLOCK)
        sys.stdout.buffer.flush()
    return sin.good(mini_batch)
