"""Says why a worker is gone, or never came: what the system tells of it, as a failure for people.

The driver asks; what follows from it, the dispatcher decides. Pure.
"""

import errno
from signal import SIGKILL, Signals

from batchpoint.compute.pool import Exited
from batchpoint.engine.messages import Failure
from batchpoint.engine.patience.room import is_full
from batchpoint.errors import NoSpaceLeft

#: What the system says when it has no process, memory or descriptor left for another worker.
_SHORT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
#: Exit status of a worker whose channel to the driver was closed by the script.
CHANNEL_CLOSED = 97


def why_not_started(error: OSError) -> Failure | None:
    """What the machine lacked to start a worker; None where it is the interpreter that does not start."""
    if is_full(error):
        return Failure(NoSpaceLeft.code, f"No room for the logs of a worker: {error.strerror}.")
    if error.errno in _SHORT:
        return Failure("WorkersKeepDying", f"The machine has no process left for a worker: {error.strerror}.")
    return None


def why_gone(exited: Exited) -> tuple[Failure, bool]:
    """Why a worker is gone, and whether it died of its own doing."""
    if exited.words:
        return Failure("WorkerLost", f"The container of the worker could not be run: {exited.words}"), False
    if exited.out_of_memory:
        return Failure("OutOfMemory", _out_of_memory(exited)), True
    if exited.signal == SIGKILL:
        return Failure("WorkerLost", "The worker was killed from outside (SIGKILL)."), False
    if exited.signal is not None:
        return Failure("WorkerCrashed", f"The worker crashed with {_signal_name(exited.signal)}."), True
    if exited.status == CHANNEL_CLOSED:
        return Failure("WorkerCrashed", "The script closed the worker's channel to the driver."), True
    message = f"The worker exited with status {exited.status} before it answered: the script must return, not exit."
    return Failure("WorkerCrashed", message), True


def _out_of_memory(exited: Exited) -> str:
    told = "The worker was killed because the machine or its limit ran out of memory"
    if not exited.limit_bytes:
        return f"{told}."
    peak = f"it had {exited.peak_bytes / 1e6:,.0f} MB at most" if exited.peak_bytes else "how much it had is not known"
    return f"{told}: {peak}, and there are {exited.limit_bytes / 1e6:,.0f} MB for it and all beside it."


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
