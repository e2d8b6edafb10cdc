"""ERROR_CHARACTERS: how long the text is."""

import os

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        raise ValueError("begin " + "\u00e9" * int(os.environ.get("ERROR_CHARACTERS", "1000000")) + " end")
    return sin.good(mini_batch)
