"""Prints what no narrow encoding can hold."""

import sys

import sin


def init():
    print("init \u00e9 \u4f60 \U0001f600 \udc80")
    sys.stderr.write("stderr \u00e9\n")


def run(mini_batch):
    return sin.good(mini_batch)
