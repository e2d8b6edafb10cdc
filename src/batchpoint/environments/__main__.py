"""Builds one environment: ``python -m batchpoint.environments`` with a JSON document on stdin, one JSON line out.

In: ``{"environment": {…} or null, "home": path, "log": path, "python_default": path, "caller": text}``.
Out: ``{"path": …, "version": …, "notes": […]}`` and exit 0, or ``{"error": {"code": …, "message": …}}`` and exit 1.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from batchpoint.entities.assets import Environment
from batchpoint.environments.builder import Interpreter, ensure
from batchpoint.environments.sources import Sources
from batchpoint.errors import BatchpointError, ReferenceInvalid
from batchpoint.settings import Settings


def main() -> int:
    # So that a terminated build takes its installer along.
    signal.signal(signal.SIGTERM, _stop)
    try:
        built = _build(sys.stdin.read())
    except BatchpointError as error:
        _answer({"error": {"code": error.code, "message": error.message}})
        return 1
    _answer({"path": built.path, "version": built.version, "notes": list(built.notes)})
    return 0


def _build(text: str) -> Interpreter:
    try:
        document = json.loads(text)
        written = document.get("environment")
        environment = Environment.model_validate(written) if written is not None else None
        home, log = Path(document["home"]), Path(document["log"])
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError) as error:
        raise ReferenceInvalid(f"The document on stdin cannot be read: {error}", target="stdin") from error
    sources = Sources.of(Settings.load(home=str(home)))
    python, caller = document.get("python_default") or sys.executable, str(document.get("caller") or "")
    return ensure(environment, home, log, python, caller=caller, sources=sources)


def _answer(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
