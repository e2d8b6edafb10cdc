"""What a worker finds on its node: the folders of the job under the node's paths, and the node's own variables.

The driver says everything in its own paths; here they become the node's. Called by the agent.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Variables of Ray, of us and of the node's Python that are nothing to the user's interpreter: a token among them.
_NOT_INHERITED = ("RAY_", "BATCHPOINT_", "PYTHON", "VIRTUAL_ENV", "LD_PRELOAD")
_GPUS = "CUDA_VISIBLE_DEVICES"


def sight() -> str:
    """What tells whether two processes see the same files under the same names: machine, mounts, user."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/mnt').readlink()} {Path('/proc/self/root').readlink()} {os.getuid()}"
    except OSError:
        return ""


@dataclass(frozen=True)
class Surroundings:
    """How paths of the driver's machine are spelled on this node."""

    #: (there, here), the longest first: folders and what lies in them.
    paths: tuple[tuple[str, str], ...]
    #: The user's interpreter, there and here.
    python: tuple[str, str]

    def text(self, text: str) -> str:
        """A path, a ``file:`` URL or a list of paths, each part as it is spelled here; anything else as it is."""
        if text.startswith("file://"):
            return "file://" + self._path(text[len("file://") :])
        if "://" in text:
            return text
        return os.pathsep.join(map(self._path, text.split(os.pathsep)))

    def _path(self, path: str) -> str:
        for there, here in self.paths:
            if path == there or path.startswith(there + "/"):
                return here + path[len(there) :]
        return path

    def environment(self, given: Mapping[str, str], process: int) -> dict[str, str]:
        """The variables of a worker: the node's own, and over them what the job says."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        merged = own | {name: self.text(value) for name, value in given.items()}
        there, here = (str(Path(python).parent) for python in self.python)
        if given.get("PATH", "").split(os.pathsep)[0] == there:  # `python` in a script means its own
            merged["PATH"] = os.pathsep.join([here, own.get("PATH", os.defpath)])
        if _GPUS in own and _GPUS not in given:
            devices = [device for device in own[_GPUS].split(",") if device]
            merged[_GPUS] = devices[process] if process < len(devices) else ""
        return merged

    def first_line(self, line: bytes, input_root: str | None) -> bytes:
        """The Start message with the paths of this node; input and plan are read in place where no root is given."""
        said = json.loads(line)
        start: dict[str, Any] = {key: self._value(value) for key, value in said.items()}
        if input_root is None:
            start |= {"input_root": said["input_root"], "plan_items": said["plan_items"]}
        else:
            start["input_root"] = input_root
        return json.dumps(start, separators=(",", ":")).encode() + b"\n"

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, dict):
            return {key: self._value(one) for key, one in value.items()}
        return value
