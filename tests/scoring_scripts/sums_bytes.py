"""Reads its files."""

import zlib


def init():
    pass


def run(mini_batch):
    sums = []
    for path in mini_batch:
        with open(path, "rb") as file:
            sums.append(zlib.crc32(file.read()))
    return sums
