"""Failures of the engine as findings: the code that jobs have, where it happened, and what to do about it. Pure."""

import re
from pathlib import Path

from batchpoint.engine.messages import Failure
from batchpoint.engine.preflight.report import error
from batchpoint.engine.sampling.sample import FailedItems
from batchpoint.entities.evidence.finding import Finding
from batchpoint.entities.job import JobError
from batchpoint.entities.tables.parts import shown

_WHERE = re.compile(r" \((?P<file>[^()]+\.py):(?P<line>\d+)\)\s*$")
_FRAME = re.compile(r'\s*File "(?P<file>[^"]+\.py)", line (?P<line>\d+)')
_MODULE = re.compile(r"No module named '(?P<name>[\w.]+)'")
_FILES_SHOWN = 3
#: What to do, by the code of the failure.
_FIXES = {
    "ScriptUnusable": "Mend the script: it must import and have functions init() and run(mini_batch).",
    "InitFailed": "Mend init(), or what it loads: a worker calls it once, before it scores anything.",
    "InitTimeout": "Have init() load less, or give it more time with the setting init_timeout_s.",
    "ScriptRaised": "Mend run(), or the file that it stumbles over.",
    "InvalidResult": "Return a list, a Series, an array or a DataFrame with one row for each file.",
    "RowEncodingError": "Return values that can be written, or choose another output_format.",
    "ResultTooLarge": "Return less for each file, or let the script write files itself (output_action: summary_only).",
    "TooFewResults": "Return one row for each file that run() gets.",
    "MiniBatchTimeout": "Raise retry_settings.timeout, or give run() fewer files with mini_batch_size.",
    "OutOfMemory": "Load a smaller model or fewer files at a time, or let fewer workers run beside each other.",
    "WorkerCrashed": "See that the script neither exits nor crashes; native libraries may need another version.",
    "WorkerLost": "Look who killed it; a limit on the memory of the machine may have.",
    "ItemRejected": "Mend the file, or leave it out of the input.",
    "NoSuccessfulItems": "Mend what is named above.",
    "WorkersKeepDying": "Mend what is named above; the worker's stderr may say more.",
}
_OTHER = "See what the log of the sample says, mend it and check again."


def of_failure(failure: Failure, *, file: str = "") -> Finding:
    """What kept a worker from getting ready, or an item from being scored."""
    message, where = failure.message.strip() or failure.code, _WHERE.search(failure.message)
    row = int(where["line"]) if where else None
    fix = _FIXES.get(failure.code, _OTHER)
    missing = _MODULE.search(message)
    if missing:
        name = missing["name"].partition(".")[0]
        fix = f"Add the package that brings {name} to the environment, or put {name}.py beside the script."
    return error(failure.code, message, fix, file=file or (where["file"] if where else ""), row=None if file else row)


def of_job(failed: JobError) -> Finding:
    """Why the sample failed as a whole; the traceback in front of its message is for the log."""
    message = failed.message.strip().rpartition("\n\n")[2] or failed.message
    lines = traceback_of(failed)
    frames = [found for line in lines if (found := _FRAME.match(line))]
    if lines and not _WHERE.search(message):
        where = f" ({Path(frames[-1]['file']).name}:{frames[-1]['line']})" if frames else ""
        message = f"{lines[-1]}{where}"
    return of_failure(Failure(failed.code, message))


def traceback_of(failed: JobError) -> list[str]:
    """The lines of the user's traceback, if there is one."""
    traceback = failed.message.strip().rpartition("\n\n")[0]
    return traceback.splitlines()


def of_items(failed: FailedItems) -> Finding:
    """Items of the sample that could not be scored."""
    names = [shown(item) for item in failed.items]
    if len(names) == 1:
        return of_failure(Failure(failed.code, failed.reason), file=names[0])
    more = len(names) - _FILES_SHOWN
    listed = ", ".join(names[:_FILES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return of_failure(Failure(failed.code, f"{failed.reason} ({listed})"), file=names[0])
