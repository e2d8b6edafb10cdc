"""SLEEP_S: seconds for each mini-batch."""

import os
import time

import sin


def init():
    pass


def run(mini_batch):
    sin.is_due(mini_batch)
    time.sleep(float(os.environ.get("SLEEP_S", "0.1")))
    return sin.good(mini_batch)
