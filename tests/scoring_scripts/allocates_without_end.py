"""Takes memory until a limit, or the kernel, stops it; ALLOCATE_MAX: bytes at which it gives up by itself."""

import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        held = []
        for _ in range(int(os.environ.get("ALLOCATE_MAX", "1000000000")) // 1000000):
            held.append(b"x" * 1000000)
    return sin.good(mini_batch)
