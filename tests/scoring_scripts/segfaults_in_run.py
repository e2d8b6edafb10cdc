import ctypes
import resource

import sin


def init():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(mini_batch):
    if sin.is_due(mini_batch):
        ctypes.string_at(0)
    return sin.good(mini_batch)
