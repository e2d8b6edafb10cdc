"""Evaluates the Python expression in the file ``expression`` beside the first file, which need not exist."""

import os


def init():
    pass


def run(paths):
    with open(os.path.join(os.path.dirname(paths[0]), "expression"), encoding="utf-8") as file:
        expression = file.read()
    names = {"paths": paths}
    if "np." in expression:
        import numpy

        names["np"] = numpy
    if "pd." in expression:
        import pandas

        names["pd"] = pandas
    return eval(expression, names)
