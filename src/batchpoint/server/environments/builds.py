"""Owns the builds that are asked for by name: a process of the builder for each environment, its log, how it ended.

Routes call it. Everything stands in files of the environment's folder, so that a build outlives the server that began
it, and whoever asks again finds it:

    asked.lock    held by the builder's process
    build.log     what it says
    answer.json   its last word
"""

import fcntl
import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from batchpoint.entities.assets import Environment
from batchpoint.entities.environments.state import EnvironmentState
from batchpoint.environments.built import folder_of, looked_at
from batchpoint.errors import LimitExceeded
from batchpoint.settings import Settings
from batchpoint.storage.lock import is_locked

#: Bytes of the log that one answer carries at most.
_PART = 256 << 10


@dataclass(frozen=True)
class LogPart:
    """What a log says from one byte to another."""

    text: str
    next: int


@dataclass
class Builds:
    """The builds of one home. Holds nothing but processes to be waited for."""

    settings: Settings
    _started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    #: Requests come side by side.
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def state(self, environment: Environment) -> EnvironmentState:
        """Whether it is built, being built, or what kept it from that. Raises NotSupported for one that cannot be."""
        if environment.python:
            return looked_at(environment, self.settings.home)
        for one in self._started:
            one.poll()  # none of those that have ended stays a zombie
        folder = folder_of(environment, self.settings.home)
        # The lock first: what the builder did before it went is then there.
        is_asked = is_locked(folder / "asked.lock")
        found = looked_at(environment, self.settings.home)
        if is_asked:
            # Also where it is built: the builder has not said its last word.
            return found.model_copy(update={"state": "building"})
        if found.state == "absent" and (error := _error(folder / "answer.json")):
            return found.model_copy(update={"state": "failed", "error": error})
        return found

    def begin(self, environment: Environment, caller: str) -> EnvironmentState:
        """Build it, unless it is being built; does not wait. Raises NotSupported and LimitExceeded."""
        if environment.python:
            return looked_at(environment, self.settings.home)
        folder = folder_of(environment, self.settings.home)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "asked.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return self.state(environment)
            with self._counting:
                self._refuse_too_many()
                self._start(environment, folder, caller, lock.fileno())
        return self.state(environment)

    def _refuse_too_many(self) -> None:
        self._started = [one for one in self._started if one.poll() is None]
        if len(self._started) >= self.settings.environment_builds_at_once:
            raise LimitExceeded(
                f"{len(self._started)} environments are being built, and no more may be at once. Try again when one "
                "has ended, or raise the setting environment_builds_at_once.",
                target="environment_builds_at_once",
            )

    def log(self, environment: Environment, offset: int) -> LogPart:
        """What the last build that was asked for says from ``offset`` on, whole lines."""
        if environment.python:
            return LogPart("", 0)
        try:
            with (folder_of(environment, self.settings.home) / "build.log").open("rb") as log:
                log.seek(offset)
                block = log.read(_PART)
        except FileNotFoundError:
            return LogPart("", 0)
        whole = block[: block.rfind(b"\n") + 1] or (block if len(block) == _PART else b"")
        return LogPart(whole.decode(errors="replace"), offset + len(whole))

    def _start(self, environment: Environment, folder: Path, caller: str, lock: int) -> None:
        (folder / "build.log").write_bytes(b"")
        request = {
            "environment": environment.model_dump(mode="json"),
            "home": str(self.settings.home),
            "log": str(folder / "build.log"),
            "caller": caller,
        }
        with (folder / "answer.json").open("wb") as answer:
            process = subprocess.Popen(
                [sys.executable, "-m", "batchpoint.environments"],
                stdin=subprocess.PIPE,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                env=self.settings.child_environ(),
                start_new_session=True,
                # It keeps the lock after we have let go of it.
                pass_fds=(lock,),
            )
        self._started.append(process)
        assert process.stdin is not None
        with process.stdin as writer:
            writer.write(json.dumps(request).encode())


def _error(answer: Path) -> str:
    try:
        text = answer.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    try:
        return str(json.loads(text).get("error", {}).get("message", ""))
    except ValueError:
        return "The build ended without a word: it was killed. Ask for it again."
