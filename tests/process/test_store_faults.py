"""What a server and commands say of a store that is locked, full, damaged or in a bad place, and that they live on."""

import json
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from batchpoint.errors import StoreDamaged, StoreUnavailable
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.store import file_system
from batchpoint.store.health import refuse_damaged
from batchpoint.store.store import open_store, store_file
from tests.contract.made import W, job
from tests.process.homes import eventually
from tests.process.servers import SPACE, Server, sentence, serving

COMPUTE = {"properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": {"maxNodeCount": 1}}}}


def locked(home: Path) -> "closing[sqlite3.Connection]":
    connection = sqlite3.connect(store_file(home), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return closing(connection)


def test_a_locked_store_is_a_503_that_says_when_to_come_again(home: Path) -> None:
    with serving(home, BATCHPOINT_STORE_BUSY_TIMEOUT_S="0.2") as server, server.client() as client:
        with locked(home):
            for answer in (client.get(f"{SPACE}/computes"), client.put(f"{SPACE}/computes/cpu", json=COMPUTE)):
                assert answer.status_code == 503
                assert answer.headers["Retry-After"] == "2"
                assert "locked" in sentence(answer, "StoreUnavailable")
        assert client.put(f"{SPACE}/computes/cpu", json=COMPUTE).is_success
        assert [one["name"] for one in client.get(f"{SPACE}/computes").json()["value"]] == ["cpu"]


def test_a_client_that_is_told_to_come_again_does_so(home: Path) -> None:
    with serving(home, BATCHPOINT_STORE_BUSY_TIMEOUT_S="0.2") as server, connect(Settings.load()) as client:
        side = sqlite3.connect(store_file(home), isolation_level=None, check_same_thread=False)
        side.execute("BEGIN EXCLUSIVE")
        # Let go while the client waits, which it does for longer than the server.
        release = threading.Timer(1.0, side.close)
        release.start()
        assert client.computes.list() == []
        release.join()
        assert server.process.poll() is None


def test_a_network_file_system_is_refused_unless_its_kind_is_allowed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / {home} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)
    with pytest.raises(StoreUnavailable, match=r"network file system \(nfs4\).*BATCHPOINT_HOME.*network_file_systems"):
        connect(Settings(home=home))
    assert not list(home.iterdir()), "nothing is made there"
    connect(Settings(home=home, network_file_systems_allowed="cifs, nfs4")).close()


def pages_of(home: Path) -> list[bytes]:
    content = store_file(home).read_bytes()
    return [content[at : at + 4096] for at in range(0, len(content), 4096)]


def filled(home: Path) -> list[bytes]:
    with open_store(home) as store:
        for number in range(30):
            store.create_job(W, job(f"j{number}"))
    return pages_of(home)


def test_every_zeroed_page_of_the_store_is_found_or_does_no_harm(home: Path) -> None:
    pages = filled(home)
    found = 0
    for zeroed in range(len(pages)):
        damaged = [b"\0" * 4096 if at == zeroed else page for at, page in enumerate(pages)]
        store_file(home).write_bytes(b"".join(damaged))
        try:
            refuse_damaged(store_file(home))
        except StoreDamaged as error:
            found += 1
            assert "restore it" in error.message and str(store_file(home)) in error.message
        # Whoever does not look first says so as soon as it comes across the page; nothing else is ever raised.
        try:
            with open_store(home) as store:
                assert len(store.list_jobs(W)) == 30
                store.create_job(W, job("new"))
        except StoreUnavailable as error:
            assert isinstance(error, StoreDamaged) and "backup" in error.message
    assert found > len(pages) / 2


def test_a_server_and_a_command_refuse_a_damaged_store_with_a_sentence(home: Path) -> None:
    pages = filled(home)
    used = max(at for at, page in enumerate(pages) if b"score.py" in page)
    pages[used] = b"\0" * 4096
    store_file(home).write_bytes(b"".join(pages))
    server = Server(home)
    assert server.process.wait(60) == 1
    said = server.said()
    server.close()
    assert said.startswith("ERROR: The store ") and "is damaged" in said and "backup" in said
    assert "Traceback" not in said
    command = [sys.executable, "-m", "batchpoint", "job", "list", *("-g", "group", "-w", "space"), "--home", str(home)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr + refused.stdout


def test_a_sound_store_is_looked_at_and_used_also_while_it_is_locked(home: Path) -> None:
    refuse_damaged(store_file(home))
    filled(home)
    refuse_damaged(store_file(home))
    with locked(home):
        refuse_damaged(store_file(home))


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is a command of Linux")
def test_idle_connections_beyond_the_descriptors_are_shed_and_the_server_recovers(home: Path) -> None:
    with serving(home, before=["prlimit", "--nofile=64"]) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with ExitStack() as idle:
            connections = [idle.enter_context(socket.create_connection((host, int(port)), 60)) for _ in range(100)]
            # Each is refused or, since it says nothing, closed; which of the two depends on when the server accepts it.
            said = [connection.recv(4096) for connection in connections]
            # Then there is room again, while the clients still hold on.
            eventually(lambda: answered(server), "an answer beside idle connections")
        refused = [answer for answer in said if answer]
        assert refused, "more than the server holds are told so"
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in refused)
        assert server.process.poll() is None
        with server.client() as client:
            assert client.put(f"{SPACE}/computes/cpu", json=COMPUTE).is_success
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64, "the limit was the server's alone"


def answered(server: Server) -> bool:
    with server.client(5) as client:
        answer = client.get(f"{SPACE}/computes")
    if answer.status_code == 503:
        assert json.loads(answer.content)["error"]["code"] == "ServerBusy"
    return answer.status_code == 200
