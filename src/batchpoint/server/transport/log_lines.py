"""One line of JSON for each event that the server logs, whatever names, headers and tracebacks are part of it.

``serve`` sends them to stderr, and the application without a server to the file ``server.log`` of the home.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from batchpoint.server.transport.request_ids import current_request_id

#: Characters of a text in an event; of a longer one its beginning and its end are shown.
_TEXT_MAX = 3000
#: Loggers whose events are the server's.
_LOGGERS = ("batchpoint", "uvicorn")
#: What is not said of the event in particular.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """ASCII alone: no control character of any alphabet reaches a terminal or begins a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        if request_id := current_request_id():
            said["request_id"] = request_id
        said |= {name: _cut(str(value)) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            said["traceback"] = _cut(self.formatException(record.exc_info))
        return json.dumps(said)


def log_to_stderr() -> None:
    """From now on the server's events, warnings and worse, go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        # The web server warns of each request that it refuses: whoever likes could fill a disk.
        logger.setLevel(logging.ERROR if name == "uvicorn" else logging.WARNING)
        logger.propagate = False


def _cut(text: str) -> str:
    half = _TEXT_MAX // 2
    return text if len(text) <= _TEXT_MAX else f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"
