"""A server process on a home, and plain HTTP requests to it: what tests of its faults start, kill and ask."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from tests.process.homes import eventually

#: The workspace that commands work on.
SPACE = (
    f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/default"
    "/providers/Microsoft.MachineLearningServices/workspaces/default"
)


class Server:
    """One server; ``environ`` are settings, ``before`` a command that runs it, such as ``prlimit``."""

    def __init__(self, home: Path, before: Sequence[str] = (), arguments: Sequence[str] = (), **environ: str) -> None:
        self.home = home
        command = [*before, sys.executable, "-m", "batchpoint.server", *arguments]
        variables = {**os.environ, **Settings(home=home).child_environ(), **environ}
        self._said = (home.parent / f"{home.name}-server.err").open("ab+")
        self.process = subprocess.Popen(command, env=variables, stderr=self._said)

    def wait_until_it_serves(self) -> "Server":
        eventually(lambda: self.process.poll() is not None or self.url, "the server")
        assert self.process.poll() is None, self.said()
        return self

    @property
    def url(self) -> str:
        """Where this very process serves without TLS; empty before that."""
        return self._address("url")

    @property
    def https(self) -> str:
        return self._address("https")

    def _address(self, door: str) -> str:
        try:
            found = json.loads((self.home / "server.json").read_text())
        except (FileNotFoundError, ValueError):
            return ""
        return str(found[door]) if found["pid"] == self.process.pid else ""

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read().decode()

    def client(self, timeout_s: float = 60.0) -> httpx.Client:
        token = (self.home / "token").read_text().strip()
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        self._said.close()


@contextmanager
def serving(home: Path, before: Sequence[str] = (), arguments: Sequence[str] = (), **environ: str) -> Iterator[Server]:
    """A server that serves, gone afterwards."""
    server = Server(home, before, arguments, **environ)
    try:
        yield server.wait_until_it_serves()
    finally:
        server.close()


def sentence(answer: httpx.Response, code: str) -> str:
    """The message of an error of this code."""
    error: Mapping[str, str] = answer.json()["error"]
    assert error["code"] == code, error
    assert error["message"].endswith(".")
    return error["message"]
