"""What crosses between driver and nodes: frames, parcels, files that come back; and what is refused of it."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.compute.ray.arrivals import Arrivals
from batchpoint.compute.ray.cluster import SHIPPED, Cluster, pack
from batchpoint.compute.ray.frames import MESSAGE_MAX, Unframer, checked, frame, frames
from batchpoint.compute.ray.freight import Parcel, venv_of
from batchpoint.compute.ray.node.parcels import Parcels
from batchpoint.compute.ray.node.returns import Returns
from batchpoint.compute.ray.node.surroundings import Surroundings
from batchpoint.entities.compute import Place
from batchpoint.errors import ComputeUnavailable
from tests.architecture.sources import imports, modules

RAY = Place(compute="farm", type="ray", address="auto")


@given(st.lists(st.tuples(st.text(), st.binary())), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent: list[tuple[str, bytes]], cut: int) -> None:
    message = b"".join(frame({"t": text}, raw) for text, raw in sent)
    unframer = Unframer()
    came = [one for at in range(0, len(message), cut) for one in unframer.feed(message[at : at + cut])]
    assert [(header["t"], raw) for header, raw in came] == sent
    assert not unframer.waiting


@pytest.mark.parametrize(
    "message", [b"[]\n", b'{"t":1}\n', b'{"n":-1}\n', b'{"n":true}\n', b'{"n":99999999999}\n', b'{"n":3}\nab', b"no\n"]
)
def test_what_is_no_frame_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError):
        list(frames(message))


class MoreThanBytes(bytes):
    """Its reading could do anything."""


@pytest.mark.parametrize("value", ["text", MoreThanBytes(b"x"), bytearray(b"x"), None, bytes(MESSAGE_MAX + 1)])
def test_a_node_answers_in_plain_bytes_of_bounded_size_or_not_at_all(value: object) -> None:
    with pytest.raises(ValueError, match="not a message"):
        checked(value)
    assert checked(b"x") == b"x"


@pytest.mark.parametrize("path", ["/etc/passwd", "seg/../../out", "driver.log", "staging/x", ""])
def test_a_node_writes_nowhere_but_where_workers_write(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="wants to write"):
        Arrivals(tmp_path).take({"t": "grown", "path": path, "at": 0}, b"x")
    assert not list(tmp_path.iterdir())


def test_logs_of_a_place_go_on_where_its_last_instance_ended(tmp_path: Path) -> None:
    for text in (b"first ", b"second"):
        Arrivals(tmp_path).take({"t": "grown", "path": "logs/user/a.txt", "at": 0}, text)
    assert (tmp_path / "logs" / "user" / "a.txt").read_bytes() == b"first second"


def shipped(returns: Returns, to: Arrivals, *, rewritten: bool = True) -> int:
    """Bytes that a round took."""
    size = 0
    for piece in returns.round(rewritten=rewritten):
        for header, raw in frames(piece):
            to.take(header, raw)
            size += len(raw)
    return size


def test_staged_files_follow_every_change_and_what_grows_is_not_sent_twice(tmp_path: Path) -> None:
    node, here = tmp_path / "node", tmp_path / "here"
    (node / "staging").mkdir(parents=True)
    here.mkdir()
    returns, arrivals = Returns(node), Arrivals(here)
    file, copy = node / "staging" / "rows.txt", here / "staging" / "rows.txt"
    file.write_bytes(b"a" * 1000)
    assert shipped(returns, arrivals) == 1000
    with file.open("ab") as more:
        more.write(b"b" * 10)
    assert shipped(returns, arrivals) == 10
    assert shipped(returns, arrivals) == 0
    file.write_bytes(b"c" * 2000)
    shipped(returns, arrivals)
    assert copy.read_bytes() == file.read_bytes()
    file.write_bytes(b"d")
    shipped(returns, arrivals)
    assert copy.read_bytes() == b"d"
    file.rename(file.with_name("final.txt"))
    shipped(returns, arrivals)
    assert [path.name for path in (here / "staging").iterdir()] == ["final.txt"]


def test_what_a_killed_worker_was_writing_does_not_replace_what_another_node_finished(tmp_path: Path) -> None:
    node, here = tmp_path / "node", tmp_path / "here"
    (node / "staging").mkdir(parents=True)
    (here / "staging").mkdir(parents=True)
    returns = Returns(node)
    (node / "staging" / "7.txt").write_bytes(b"half")
    returns.leave_out()
    (here / "staging" / "7.txt").write_bytes(b"whole")
    shipped(returns, Arrivals(here))
    assert (here / "staging" / "7.txt").read_bytes() == b"whole"


def send(parcel: Parcel, parcels: Parcels) -> Path:
    assert parcels.want(parcel.digest) == "send"
    for piece in parcel.frames():
        for header, raw in frames(piece):
            parcels.take(header, raw)
    parcels.seal(parcel.digest, None)
    return parcels.path(parcel.digest)


def test_a_parcel_is_the_folder_it_was_with_links_modes_and_odd_names(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "deep" / "link").symlink_to("../run.sh")
    odd = os.fsdecode(b"caf\xe9 \xff.bin")
    (folder / odd).write_bytes(bytes(range(256)))
    (folder / "loop").symlink_to(folder)
    came = send(Parcel(folder), Parcels(tmp_path / "node"))
    assert sorted(str(path.relative_to(came)) for path in came.rglob("*")) == sorted(
        ["deep", "deep/empty", "deep/link", "run.sh", odd]
    )
    assert (came / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (came / "deep" / "link").readlink() == Path("../run.sh")
    assert (came / odd).read_bytes() == bytes(range(256))
    assert Parcel(folder).digest == Parcel(folder).digest


def test_a_parcel_is_received_by_one_agent_while_others_wait(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    parcel, first, second = Parcel(file), Parcels(tmp_path / "node"), Parcels(tmp_path / "node")
    assert (first.want(parcel.digest), second.want(parcel.digest)) == ("send", "wait")
    first.close()  # it died
    assert send(parcel, second) and first.want(parcel.digest) == "have"


def test_compiled_files_do_not_change_what_a_parcel_is(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text("x = 1\n")
    before = Parcel(tmp_path / "code").digest
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "score.pyc").write_bytes(b"...")
    assert Parcel(tmp_path / "code").digest == before
    (tmp_path / "code" / "score.py").write_text("x = 2\n")
    assert Parcel(tmp_path / "code").digest != before


def test_an_interpreter_by_itself_is_no_environment() -> None:
    assert venv_of("/usr/bin/python3") is None


def test_paths_become_those_of_the_node_and_gpus_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("PATH", "/node/bin")
    around = Surroundings(
        (("/home/jobs/j", "/n/job"), ("/code", "/n/code")), ("/venv/bin/python", "/n/venv/bin/python")
    )
    given = {
        "PATH": "/venv/bin:/usr/bin",
        "PYTHONPATH": "/home/jobs/j/worker:/code/lib",
        "MLFLOW_TRACKING_URI": "file:///home/jobs/j/mlruns",
        "ELSE": "/home/jobs/jx",
        "URL": "https://host/code",
    }
    first, third = around.environment(given, 0), around.environment(given, 2)
    assert first["PATH"] == "/n/venv/bin:/node/bin"
    assert first["PYTHONPATH"] == "/n/job/worker:/n/code/lib"
    assert first["MLFLOW_TRACKING_URI"] == "file:///n/job/mlruns"
    assert (first["ELSE"], first["URL"]) == ("/home/jobs/jx", "https://host/code")
    assert (first["CUDA_VISIBLE_DEVICES"], third["CUDA_VISIBLE_DEVICES"]) == ("3", "")
    assert not [name for name in first if name.startswith("RAY_")]


def test_what_runs_on_nodes_needs_the_standard_library_and_itself_alone() -> None:
    names = {"batchpoint." + name.removesuffix(".py").replace("/", ".") for name in SHIPPED}
    allowed = sys.stdlib_module_names
    for module in modules("batchpoint"):
        if module.name not in names:
            continue
        for name, line in imports(module):
            known = name.split(".")[0] in allowed or any(name == own or name.startswith(own + ".") for own in names)
            package = name.startswith("batchpoint.compute.") and any(
                own.startswith(name.rpartition(".")[0]) for own in names
            )
            assert known or package, f"{module.where}:{line} {name}"
    assert pack() == pack(), "the same code has the same hash"


def fake_ray(monkeypatch: pytest.MonkeyPatch, version: str, said: str = "") -> None:
    ray = ModuleType("ray")

    def init(**_: object) -> None:
        raise RuntimeError(said)

    members = {"__version__": version, "init": init, "exceptions": SimpleNamespace(RayError=OSError)}
    for name, value in members.items():
        setattr(ray, name, value)
    monkeypatch.setitem(sys.modules, "ray", ray)


def test_a_ray_that_knows_no_tokens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ray(monkeypatch, "2.51.1")
    with pytest.raises(ComputeUnavailable, match=r"Ray 2\.51\.1 .* 2\.52 or later"):
        Cluster(RAY, "n", 1).join()


def test_other_versions_on_the_cluster_are_told_with_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ray(monkeypatch, "2.60.0", "Version mismatch: The cluster was started with:\n Ray: 2.55.0\n Python: 3.12.1")
    with pytest.raises(ComputeUnavailable) as raised:
        Cluster(RAY, "n", 1).join()
    assert all(
        word in raised.value.message for word in ("Ray 2.60.0", "Ray: 2.55.0", "Python: 3.12.1", "same Ray version")
    )
