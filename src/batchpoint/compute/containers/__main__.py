"""Makes the image of one environment ready: ``python -m batchpoint.compute.containers``, JSON in, one JSON line out.

In: ``{"environment": {…}, "home": path, "log": path, "runtime": name or "", "python": path or ""}``.
Out: ``{"image": id, "name": …, "version": …, "mounts": […], "program": path, "kind": …}`` and exit 0, or
``{"error": {"code": …, "message": …}}`` and exit 1.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from batchpoint.compute.containers.images import Images
from batchpoint.compute.containers.runtime import find_runtime
from batchpoint.entities.assets import Environment
from batchpoint.errors import BatchpointError


def main() -> int:
    # So that a terminated build takes the runtime's command along.
    signal.signal(signal.SIGTERM, _stop)
    document = json.load(sys.stdin)
    try:
        runtime = find_runtime(document["runtime"])
        images = Images(runtime, Path(document["home"]), Path(document["log"]))
        image = images.ensure(Environment.model_validate(document["environment"]), document["python"])
    except BatchpointError as error:
        _answer({"error": {"code": error.code, "message": error.message}})
        return 1
    found = {"image": image.id, "name": image.name, "version": image.version, "mounts": [*map(str, image.mounts)]}
    _answer({**found, "program": runtime.program, "kind": runtime.kind})
    return 0


def _answer(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
