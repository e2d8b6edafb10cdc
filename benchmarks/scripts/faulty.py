"""The tiny script with one bad file among the many. FAULT says how bad, FAULT_DONE names a file made when it struck."""

import os
import signal
import time

BAD = "010000.txt"


def init():
    pass


def run(mini_batch):
    rows = []
    for path in mini_batch:
        if os.path.basename(path) == BAD:
            strike()
        with open(path, "rb") as file:
            rows.append(f"{os.path.basename(path)}: {len(file.read())}")
    return rows


def strike():
    fault, done = os.environ["FAULT"], os.environ["FAULT_DONE"]
    if fault == "always raises":
        raise ValueError("bad file")
    if os.path.exists(done):
        return
    open(done, "w").close()
    if fault == "raises once":
        raise ValueError("bad file")
    if fault == "hangs once":
        time.sleep(3600)
    os.kill(os.getpid(), signal.SIGKILL)
