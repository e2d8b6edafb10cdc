"""Prints first, then never returns."""

import time

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        print("hanging on " + mini_batch[0])
        time.sleep(3600)
    return sin.good(mini_batch)
