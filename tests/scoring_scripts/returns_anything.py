"""RETURNS: a Python expression; ``paths`` is the mini-batch, ``np`` and ``pd`` are there when they are installed."""

import os

try:
    import numpy as np
    import pandas as pd
except ImportError:
    np = pd = None


class Strange(list):
    """A list that lies about its length."""

    def __len__(self):
        return 1000000


class Shouting(str):
    """A str with a text of its own."""

    def __str__(self):
        return self.upper()


def init():
    pass


def run(paths):
    return eval(os.environ["RETURNS"], dict(globals(), paths=paths))
