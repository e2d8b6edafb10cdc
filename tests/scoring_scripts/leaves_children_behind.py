"""A process that outlives run(); CHILD_PID_FILE is told its id. OWN_SESSION=1 makes it a session of its own."""

import os
import subprocess
import sys

import sin


def init():
    pass


def run(mini_batch):
    if sin.is_due(mini_batch):
        own = os.environ.get("OWN_SESSION") == "1"
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=own)
        with open(os.environ["CHILD_PID_FILE"], "w") as told:
            told.write(str(child.pid))
    return sin.good(mini_batch)
