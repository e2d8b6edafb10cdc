"""On a terminal an upload says how far it is; nowhere else does it say anything."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.client.requests import Requests
from batchpoint.client.uploads import Uploads
from batchpoint.entities.workspace import Workspace
from tests.acceptance.typed import Type, deploy

MODEL_BYTES = 8_000_000


def on_a_terminal(line: str) -> str:
    """What a person would see on stderr."""
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "batchpoint", *line.split()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(words, stderr=theirs, stdout=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # Linux's way to say that the terminal's other end is closed.
    finally:
        os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def server_elsewhere(tmp_path: Path, home: Path) -> Iterator[str]:
    """The flags that lead to a server with another home: what is local must be sent to it."""
    there = tmp_path / "there"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "BATCHPOINT_HOME": str(there)}
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint", "serve", "--port", "0", "--http-port", "0"], env=environment
    )
    while not (there / "server.json").is_file():
        assert process.poll() is None
        time.sleep(0.02)
    url = re.search(r'"(http://[^"]+)"', (there / "server.json").read_text())
    assert url
    (home / "token").write_text((there / "token").read_text())
    yield f"--server {url[1]}"
    process.terminate()
    process.wait()


def test_what_is_sent_to_a_server_is_drawn_on_a_terminal_until_it_is_complete(
    typed: Type, server_elsewhere: str
) -> None:
    Path("model/weights.bin").write_bytes(os.urandom(MODEL_BYTES))
    shown = on_a_terminal(f"model create --name big --path model {server_elsewhere}")
    shares = [int(share) for share in re.findall(r"\rUploading model \(8\.00 MBs\): +(\d+)%", shown)]
    assert shares[0] == 0
    assert shares[-1] == 100
    assert shares == sorted(shares)
    assert shown.endswith("100%\n")
    assert on_a_terminal(f"model create --name big --path model {server_elsewhere}") == "", "the server has it"


def test_what_is_copied_on_one_machine_is_drawn_too_and_a_pipe_hears_nothing(typed: Type) -> None:
    shown = on_a_terminal("model create --name one --path model")
    assert re.fullmatch(r"\rUploading model \(0\.00 MBs\):   0%\rUploading model \(0\.00 MBs\): 100%\n", shown)
    assert typed("model create --name two --path code").err == ""
    assert on_a_terminal("model create --name three --path data --only-show-errors") == ""


def test_a_deployment_draws_its_model_and_its_code(typed: Type) -> None:
    deploy(typed)
    Path("code/score.py").write_text(Path("code/score.py").read_text() + "# new\n")
    shown = on_a_terminal("batch-deployment create --file deployment.yml")
    assert re.findall(r"Uploading (\w+) [^\r\n]*100%\n", shown) == ["model", "code"]


def test_a_watcher_hears_of_every_byte_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(Requests, "send", lambda self, path, chunks, query: sent.extend(chunks))
    monkeypatch.setattr(Uploads, "find", lambda self, content, name: None)
    monkeypatch.setattr(Requests, "json", lambda self, *_: type("Body", (), {"text": lambda self, key: key})())
    (tmp_path / "many").mkdir()
    for name, size in (("a", 3), ("b", 0), ("c", (1 << 20) + 1)):
        (tmp_path / "many" / name).write_bytes(b"x" * size)
    heard: list[tuple[str, int, int]] = []
    uploads = Uploads(Requests.__new__(Requests), Workspace("s", "g", "w"), lambda: False)
    uploads.watcher = lambda *told: heard.append(told)
    uploads.store(tmp_path / "many")
    size = (1 << 20) + 4
    assert heard[0] == ("many", 0, size)
    assert heard[-1] == ("many", size, size)
    assert len({there for _, there, _ in heard}) == len(heard)
    assert sum(map(len, sent)) == size
