import time

import sin


def init():
    if sin.is_first():
        time.sleep(3600)


def run(mini_batch):
    return sin.good(mini_batch)
