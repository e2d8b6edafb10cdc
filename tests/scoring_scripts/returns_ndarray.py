"""One row of two numbers for each file; FLAT=1: one number."""

import os

import numpy as np


def init():
    pass


def run(mini_batch):
    values = np.arange(2 * len(mini_batch), dtype="float64").reshape(-1, 2) / 4
    return values[:, 0] if os.environ.get("FLAT") == "1" else values
