"""When the scripts beside this file misbehave.

SIN_ON    part of a file name: only mini-batches with such a file are sinned on (default "bad"; empty: all of them)
SIN_ONCE  path of a marker: the sin is committed once, by whoever creates the marker first
CALLS     path of a file: every call of run() adds a line "<pid> <name> <name> ..." to it
"""

import os


def is_due(paths):
    """Whether to sin on this mini-batch."""
    _note(paths)
    wanted = os.environ.get("SIN_ON", "bad")
    return any(wanted in os.path.basename(path) for path in paths) and is_first()


def is_first():
    """Whether the sin may still be committed: always, unless SIN_ONCE is set."""
    marker = os.environ.get("SIN_ONCE")
    if not marker:
        return True
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def good(paths):
    """The honest answer: one line for each file."""
    return [os.path.basename(path) + ": ok" for path in paths]


def _note(paths):
    calls = os.environ.get("CALLS")
    if not calls:
        return
    line = " ".join([str(os.getpid())] + [os.path.basename(path) for path in paths]) + "\n"
    number = os.open(calls, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(number, line.encode())
    os.close(number)
