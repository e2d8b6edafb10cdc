"""RETURNS: a Python expression (without it, the first file holds one).

In the expression ``paths`` is the mini-batch; ``np`` and ``pd`` are imported when it uses them.
"""

import os


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
    expression = os.environ.get("RETURNS") or open(paths[0], encoding="utf-8").read()
    names = dict(globals(), paths=paths)
    if "np." in expression:
        import numpy

        names["np"] = numpy
    if "pd." in expression:
        import pandas

        names["pd"] = pandas
    return eval(expression, names)
