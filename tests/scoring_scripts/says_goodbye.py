"""GOODBYE: path of a file that shutdown() writes; GOODBYE_RAISES=1 lets it raise afterwards."""

import atexit
import os

import sin


def init():
    atexit.register(print, "atexit was here")


def run(mini_batch):
    return sin.good(mini_batch)


def shutdown():
    with open(os.environ["GOODBYE"], "w") as told:
        told.write("bye")
    if os.environ.get("GOODBYE_RAISES") == "1":
        raise ValueError("no farewell")
