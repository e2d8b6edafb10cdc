"""Leaves out the files it sins on."""

import os

import sin


def init():
    pass


def run(mini_batch):
    wanted = os.environ.get("SIN_ON", "bad")
    return sin.good([path for path in mini_batch if wanted not in os.path.basename(path)])
