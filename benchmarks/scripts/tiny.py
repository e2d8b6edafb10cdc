"""Next to no work for each file: what is left is the cost of handing it out."""

import os


def init():
    pass


def run(mini_batch):
    rows = []
    for path in mini_batch:
        with open(path, "rb") as file:
            rows.append(f"{os.path.basename(path)}: {len(file.read())}")
    return rows
