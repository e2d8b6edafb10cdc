"""SIGNAL: which one (default 9)."""

import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        os.kill(os.getpid(), int(os.environ.get("SIGNAL", "9")))
    return sin.good(mini_batch)
