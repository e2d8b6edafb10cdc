"""Two processes return from run(). FORK_THEN: "return" (default), "exit" (with status 7) or "raise" in the child."""

import os
import sys

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        child = os.fork()
        then = os.environ.get("FORK_THEN", "return")
        if child == 0 and then == "exit":
            sys.exit(7)
        if child == 0 and then == "raise":
            raise ValueError("in the child")
        if child:
            _, status = os.waitpid(child, 0)
            return [line + " child=%d" % os.WEXITSTATUS(status) for line in sin.good(mini_batch)]
    return sin.good(mini_batch)
