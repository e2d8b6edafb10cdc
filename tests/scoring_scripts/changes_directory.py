import os

import sin


def init():
    os.chdir("/")


def run(mini_batch):
    os.chdir("/tmp")
    return sin.good(mini_batch)
