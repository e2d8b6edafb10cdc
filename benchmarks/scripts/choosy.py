"""The tiny script that raises for the files named in the file BAD_FILES, and takes SLEEP_S for a mini-batch."""

import os
import time


def init():
    global bad
    named = os.environ.get("BAD_FILES", "")
    bad = frozenset()
    if named:
        with open(named) as file:
            bad = frozenset(file.read().split())


def run(mini_batch):
    time.sleep(float(os.environ.get("SLEEP_S", "0")))
    rows = []
    for path in mini_batch:
        name = os.path.basename(path)
        if name in bad:
            raise ValueError(f"bad file {name}")
        with open(path, "rb") as file:
            rows.append(f"{name}: {len(file.read())}")
    return rows
