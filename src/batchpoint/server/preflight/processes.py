"""``Preflights``: the processes that check things for callers, what they have said until now, and their end.

The router starts, asks and ends them; one that nobody asks about is ended. They die with the process that started them.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.compute import strays
from batchpoint.errors import LimitExceeded, ResourceNotFound
from batchpoint.server.preflight.wishes import Asked
from batchpoint.settings import Settings

#: A caller that does not ask for so long is not there any more.
_PATIENCE_S = 120.0
#: After a request to end; then it is killed.
_END_S = 5.0
#: Bytes of one answer, or one line more.
_BYTES_MAX = 1 << 20


@dataclass
class _Running:
    #: None where there was nothing to start: too much is wrong.
    process: "subprocess.Popen[bytes] | None"
    folder: Path
    #: Id of who started it.
    caller: str
    asked_at: float

    @property
    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None


class Preflights:
    """Those of one server, or of one command without a server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home / "preflights"
        self._running: dict[str, _Running] = {}
        #: Requests come side by side: those that are being started count, too.
        self._starting = 0
        self._lock = threading.Lock()

    def start(self, asked: Asked, caller: str, *, estimate: bool = False) -> str:
        """Begin to check; answers the name. Raises LimitExceeded while there are as many as may be at once."""
        self._end_forgotten()
        self._take_place()
        try:
            name = uuid.uuid4().hex
            folder = self._home / name
            folder.mkdir(parents=True, mode=0o700)
            _write_beginning(folder / "lines", asked)
            process = None if asked.settings is None else self._begun(folder, asked, estimate=estimate)
            self._running[name] = _Running(process, folder, caller, time.monotonic())
        finally:
            with self._lock:
                self._starting -= 1
        return name

    def _take_place(self) -> None:
        with self._lock:
            busy = self._starting + sum(1 for one in list(self._running.values()) if not one.has_ended)
            if busy >= self._settings.preflights_at_once:
                raise LimitExceeded(
                    f"{busy} preflights are under way, and no more may be at once. Try again when one has ended, or "
                    "raise the setting preflights_at_once.",
                    target="preflights_at_once",
                )
            self._starting += 1

    def lines(self, name: str, caller: str, since: int) -> tuple[list[dict[str, Any]], int, bool]:
        """What it has said from the byte ``since`` on, where that ends, and whether it has ended and that is all.

        Raises ResourceNotFound for one that is not there, or that somebody else has started.
        """
        found = self._found(name, caller)
        found.asked_at = time.monotonic()
        # Asked before it is read: what was said last is not missed.
        has_ended = found.has_ended
        with (found.folder / "lines").open("rb") as file:
            file.seek(max(0, since))
            whole = [line for line in file.readlines(_BYTES_MAX) if line.endswith(b"\n")]
        until = max(0, since) + sum(map(len, whole))
        is_all = until >= (found.folder / "lines").stat().st_size
        return [json.loads(line) for line in whole], until, has_ended and (is_all or not whole)

    def end(self, name: str, caller: str) -> None:
        """End it, and forget what it has said. Raises ResourceNotFound as ``lines`` does."""
        self._end(name, self._found(name, caller))

    def _found(self, name: str, caller: str) -> _Running:
        found = self._running.get(name)
        if found is None or found.caller != caller:
            raise ResourceNotFound(f"There is no preflight {name}; it may have ended long ago.", target=name)
        return found

    def _begun(self, folder: Path, asked: Asked, *, estimate: bool) -> "subprocess.Popen[bytes]":
        assert asked.settings is not None
        wish = {
            "settings": asked.settings.model_dump(mode="json"),
            "folder": str(folder / "work"),
            "has_input": asked.has_input,
            "has_own_output": asked.has_own_output,
            "arm_id": asked.arm_id,
            "max_instances": asked.max_instances,
            "limit_s": self._settings.preflight_limit_s,
            "estimate": estimate,
        }
        with (folder / "lines").open("ab") as output, (folder / "stderr").open("ab") as errors:
            # -P: a random.py in the folder where the user stands must not become a module of ours.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "batchpoint.engine.preflight"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                cwd=self._settings.home,
                env=self._settings.child_environ(),
                start_new_session=True,
            )
        assert process.stdin is not None
        # The pipe stays open as long as this process lives, and no longer: by that the other one knows.
        process.stdin.write(json.dumps(wish).encode() + b"\n")
        process.stdin.flush()
        return process

    def _end_forgotten(self) -> None:
        """Those that nobody asks about, and the folders of processes that were killed."""
        oldest = time.monotonic() - _PATIENCE_S
        for name, one in list(self._running.items()):
            if one.asked_at < oldest:
                self._end(name, one)
        with contextlib.suppress(OSError):
            for folder in self._home.iterdir():
                age = time.time() - folder.stat().st_mtime
                if folder.name not in self._running and age > self._settings.preflight_limit_s + _PATIENCE_S:
                    shutil.rmtree(folder, ignore_errors=True)

    def _end(self, name: str, one: _Running) -> None:
        self._running.pop(name, None)
        if one.process is not None:
            _end_process(one.process, one.folder / "work")
        shutil.rmtree(one.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._home.rmdir()


def _write_beginning(path: Path, asked: Asked) -> None:
    """What is known before anything is started."""
    said = {"line": "check", "name": "deployment", "title": asked.title}
    lines = [*({"line": "finding", **one.model_dump(mode="json")} for one in asked.findings)]
    lines.append({**said, "state": "error" if asked.findings else "ok"})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def _end_process(process: "subprocess.Popen[bytes]", work: Path) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        strays.end_strays(strays.mark(work / "look"))
        strays.end_strays(strays.mark(work / "sample" / "job"))
