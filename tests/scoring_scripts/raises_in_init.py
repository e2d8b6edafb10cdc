"""INIT_ERROR: the text."""

import os

import sin


def init():
    if sin.is_first():
        raise ValueError(os.environ.get("INIT_ERROR", "no such model"))


def run(mini_batch):
    return sin.good(mini_batch)
