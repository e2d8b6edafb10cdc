"""Reads the digit that a text file holds; the old import stands here as it stood in 2021."""

import glob
import os

from azureml.core import Model  # noqa: F401

OFFSET = None


def init():
    global OFFSET
    path = glob.glob(os.environ["AZUREML_MODEL_DIR"] + "/*/*.txt")[-1]
    with open(path) as file:
        OFFSET = int(file.read())


def run(mini_batch):
    lines = []
    for path in mini_batch:
        with open(path) as file:
            lines.append("%s: %d" % (os.path.basename(path), int(file.read()) + OFFSET))
    return lines
