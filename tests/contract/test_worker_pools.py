"""One contract for every place that workers run in: processes of this machine, a Ray node, and the shipped fake.

The fake has no processes, so what only a process can do is asked of the other two.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchpoint.compute.pool import Exited
from tests.contract.pools import Hall, fake, local, on_ray
from tests.process.engine_jobs import eventually, is_alive
from tests.process.ray_cluster import RayCluster

Make = Callable[..., Hall]
REAL = ("local", "ray")
SUMS = Path(__file__).parents[1] / "scoring_scripts" / "sums_bytes.py"


@pytest.fixture
def node(request: pytest.FixtureRequest) -> RayCluster | None:
    """The Ray node, where the test runs on it: it outlives the test, so it comes before ``home``."""
    is_on_ray = request.node.callspec.params["hall"] == "ray"
    return request.getfixturevalue("ray_node") if is_on_ray else None


@pytest.fixture
def hall(request: pytest.FixtureRequest, node: RayCluster | None, home: Path, tmp_path: Path) -> Iterator[Hall]:
    """A pool of the kind that the test names; afterwards nothing of it may be left, here or on the node."""
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "in").mkdir()
    if node is not None:
        made = on_ray(folder, node.place(cpus=0.5))
    else:
        made = local(folder) if request.param == "local" else fake(folder)
    yield made
    made.pool.close()
    if node is not None:
        assert not node.workers()
        assert not node.jobs()


every_pool = pytest.mark.parametrize("hall", [*REAL, "fake"], indirect=True)
real_pools = pytest.mark.parametrize("hall", REAL, indirect=True)


@every_pool
def test_a_worker_starts_answers_in_order_and_leaves_when_it_is_told_to(hall: Hall) -> None:
    names = [f"{number}.txt" for number in range(6)]
    for name in names:
        hall.item(name, b"x")
    hall.start(0, "good.py")
    assert hall.said(0, "Ready")
    hall.score(0, names[:1], names[1:3])
    hall.score(0, names[3:])
    answers = [hall.said(0, "Scored") for _ in range(3)]
    assert [(answer["m"], answer["n"]) for answer in answers] == [(0, 1), (1, 2), (2, 3)]
    hall.shut_down(0)
    assert hall.exited(0) == Exited(0, 0, None)


@every_pool
def test_nothing_is_heard_of_a_worker_that_was_killed(hall: Hall) -> None:
    for name in ("0", "1"):
        hall.item(name, b"x")
    hall.start(0, "good.py")
    hall.start(1, "good.py")
    assert hall.said(0, "Ready") and hall.said(1, "Ready")
    hall.pool.kill(0)
    hall.score(0, ["0"])
    hall.score(1, ["1"])
    assert hall.said(1, "Scored")["m"] == 1
    assert not [event for event in hall.silence(0.3) if event.worker == 0]


@every_pool
def test_a_pool_that_is_closed_twice_is_closed(hall: Hall) -> None:
    hall.start(0, "good.py")
    hall.pool.close()


@real_pools
def test_rows_are_in_the_segment_before_the_answer_is_heard_whatever_files_are_called(hall: Hall) -> None:
    odd: list[str | bytes] = [b"caf\xe9 \xff.txt", "mit Leerzeichen/\u00e4.txt", "0.txt"]
    for name in odd:
        hall.item(name, b"x")
    hall.start(0, SUMS.name)
    hall.score(0, odd)
    assert hall.rows(0, hall.said(0, "Scored")) == b"%d\n" % zlib.crc32(b"x") * 3


@real_pools
def test_a_script_reads_the_bytes_of_its_files_also_of_large_and_empty_ones(hall: Hall) -> None:
    contents = {"empty": b"", "large": os.urandom(9_000_000), "small": b"small"}
    for name, content in contents.items():
        hall.item(name, content)
    hall.start(0, SUMS.name)
    hall.score(0, sorted(contents), ["not there"])
    rows = hall.rows(0, hall.said(0, "Scored")).decode().split()
    assert rows == [str(zlib.crc32(contents[name])) for name in sorted(contents)]
    assert "FileNotFoundError" in hall.said(0, "Failed")["message"]


@real_pools
@pytest.mark.parametrize(
    ("script", "status", "signal"), [("os_exits_in_run.py", 3, None), ("segfaults_in_run.py", None, 11)]
)
def test_an_exit_is_told_with_its_status_or_signal(hall: Hall, script: str, status: int, signal: int) -> None:
    hall.item("0", b"x")
    hall.start(0, script, environment={"EXIT_STATUS": "3", "SIN_ON": ""})
    hall.said(0, "Ready")
    hall.score(0, ["0"])
    exited = hall.exited(0)
    assert (exited.status, exited.signal) == (status, signal)


@real_pools
def test_what_a_script_prints_is_kept_from_its_first_to_its_last_word(hall: Hall) -> None:
    hall.item("0", b"x")
    hall.start(0, "prints_anything.py")
    hall.score(0, ["0"])
    hall.said(0, "Scored")
    hall.shut_down(0)
    hall.exited(0)
    assert hall.printed(0) == "init \u00e9 \u4f60 \U0001f600 \\udc80\n"


@real_pools
def test_a_line_as_long_as_the_protocol_allows_arrives_whole(hall: Hall) -> None:
    hall.item("0", b"x")
    hall.start(0, "raises_a_long_exception.py", environment={"SIN_ON": ""})
    hall.score(0, ["0"])
    failed = hall.said(0, "Failed")
    assert len(json.dumps(failed)) > 60_000


@real_pools
@pytest.mark.parametrize("own_session", ["0", "1"])
def test_a_kill_ends_what_the_worker_started(hall: Hall, tmp_path: Path, own_session: str) -> None:
    hall.item("0", b"x")
    note = tmp_path / "pid"
    told = {"SIN_ON": "", "CHILD_PID_FILE": str(note), "OWN_SESSION": own_session}
    hall.start(0, "leaves_children_behind.py", environment=told)
    hall.score(0, ["0"])
    hall.said(0, "Scored")
    child = int(note.read_text())
    assert is_alive(child)
    hall.pool.kill(0)
    eventually(lambda: not is_alive(child), "the child lives on")


@real_pools
def test_a_closed_pool_leaves_no_worker_however_busy(hall: Hall, tmp_path: Path) -> None:
    hall.item("0", b"x")
    calls = tmp_path / "calls"
    hall.start(0, "sleeps_in_run.py", environment={"SIN_ON": "", "CALLS": str(calls)})
    hall.said(0, "Ready")
    hall.score(0, ["0"])
    eventually(calls.exists)
    worker = int(calls.read_text().split()[0])
    hall.pool.close()
    assert not is_alive(worker)
