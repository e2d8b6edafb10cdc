"""CLOSE_FROM: the first one (default 3). REOPEN=1 takes their numbers for files of its own."""

import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        os.closerange(int(os.environ.get("CLOSE_FROM", "3")), 256)
        if os.environ.get("REOPEN") == "1":
            for _ in range(64):
                os.open("reopened", os.O_CREAT | os.O_RDWR, 0o644)
    return sin.good(mini_batch)
