"""Stands still at GATE_AT (init, run or shutdown) until the file ``open`` is in the folder GATE; says that it is there."""

import os
import time


def _pass(place):
    if os.environ["GATE_AT"] != place:
        return
    gate = os.environ["GATE"]
    os.makedirs(gate, exist_ok=True)
    with open(os.path.join(gate, "reached"), "a") as reached:
        reached.write("%s\n" % os.environ["AZUREML_RUN_ID"])
    while not os.path.exists(os.path.join(gate, "open")):
        time.sleep(0.02)


def init():
    _pass("init")


def run(mini_batch):
    _pass("run")
    return ["%s: ok" % os.path.basename(path) for path in mini_batch]


def shutdown():
    _pass("shutdown")
