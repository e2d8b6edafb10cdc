"""Disks that are full: T-C8 that of the store, T-C9 that of the work or of the output. Jobs wait, say so, and go on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from tests.faults.disks import Disk, disk_at
from tests.process.engine_jobs import Ended, Engine, W
from tests.process.homes import deploy, ended, eventually, expected_rows
from tests.process.servers import SPACE, sentence, serving

#: Each row is large, so that a few of them fill what is left of a disk.
LARGE_ROWS = """
import os
def init(): pass
def run(paths): return [os.path.basename(path) + ' ' + 'x' * 30_000 for path in paths]
"""
ITEMS = 60
COMPUTE = {"properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": {"maxNodeCount": 1}}}}


@pytest.fixture
def work(home: Path) -> Iterator[Disk]:
    """The disk with plans, segments and logs, apart from the store's."""
    with disk_at(home / "jobs") as disk:
        yield disk


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Disk]:
    with disk_at(tmp_path / "out") as disk:
        yield disk


@pytest.fixture
def engine_here(home: Path, tmp_path: Path, work: Disk, output: Disk) -> Iterator[Engine]:
    """Its drivers and workers are gone before the disks are."""
    engine = Engine(home, tmp_path)
    engine.job(engine.script(LARGE_ROWS), engine.items(ITEMS), max_concurrency_per_instance=2)
    yield engine
    engine.close()


def waits_for(engine: Engine, place: Path) -> str:
    def told() -> str:
        job = engine.store.find_job("job")
        assert job is not None and not job.status.is_terminal, job and job.error
        return job.waiting_for

    said = eventually(told, "the job to wait for space")
    assert said.startswith("Waiting for space. No room for ") and str(place) in said and "are free" in said
    return said


def is_whole(done: Ended) -> bool:
    assert [line.split()[0] for line in done.lines] == [f"{number:03}.txt" for number in range(ITEMS)]
    assert {len(line) for line in done.lines} == {30_008}
    assert (done.progress.items_succeeded, done.progress.failed_attempts) == (ITEMS, 0)
    assert done.progress.waiting_for == done.job.waiting_for == ""
    return os.listdir(done.output.parent) == [done.output.name]


@pytest.mark.parametrize("left", [0, 4096, 200_000, 1_000_000])
def test_a_full_work_disk_costs_no_item_and_the_job_goes_on_when_there_is_room(
    engine_here: Engine, work: Disk, left: int
) -> None:
    work.fill(leaving=left)
    driver = engine_here.start_driver("job")
    said = waits_for(engine_here, job_folder(engine_here.home, "job").path)
    assert "fails after 900 s" in said
    said_by(engine_here, "workspace", "create", "--name", "space")
    assert said in said_by(engine_here, "job", "show", "--name", "job")
    stream = command(engine_here, "job", "stream", "--name", "job")
    assert not (engine_here.outside / "out" / "job").exists()
    # Whoever watches hears of it, also where the log of the job has no room for it.
    heard = b""
    while b"Waiting for space. No room for" not in heard:
        more = os.read(stream.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
        assert more, heard
        heard += more
    work.release()
    assert is_whole(engine_here.wait(driver))
    heard += stream.communicate(timeout=60)[0]
    assert b"Status: Completed" in heard
    assert heard.count(b"Waiting for space.") == 1, "once"


def command(engine: Engine, *words: str) -> "subprocess.Popen[bytes]":
    place = ["--subscription", "sub", "-g", "group", *([] if "create" in words else ["-w", "space"])]
    return subprocess.Popen(
        [sys.executable, "-m", "batchpoint", *words, *place, "--home", str(engine.home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "2000"},
    )


def said_by(engine: Engine, *words: str) -> str:
    return command(engine, *words).communicate(timeout=60)[0].decode()


def test_a_work_disk_that_fills_again_and_again_only_takes_time(engine_here: Engine, work: Disk) -> None:
    work.fill(leaving=300_000)
    driver = engine_here.start_driver("job")
    for room in (1_200_000, 2_000_000):
        waits_for(engine_here, job_folder(engine_here.home, "job").segments)
        work.release()
        work.fill(leaving=room)
        eventually(lambda: driver.poll() is not None or work.free < 700_000, "the next shortage")
    work.release()
    assert is_whole(engine_here.wait(driver))


def test_patience_with_a_full_disk_ends_the_job_with_a_clear_code_and_it_can_be_resumed(
    engine_here: Engine, work: Disk
) -> None:
    work.fill(leaving=500_000)
    failed = engine_here.wait(engine_here.start_driver("job", BATCHPOINT_STORAGE_PATIENCE_S="1.5"))
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "NoSpaceLeft")
    assert "storage_patience_s" in failed.error.message and "resume" in failed.error.message
    assert failed.progress.items_failed == 0
    assert not (engine_here.outside / "out" / "job").exists()
    scored = len(failed.rows)
    assert scored
    work.release()
    engine_here.store.reopen_job(W, "job", failed.job.settings, {})
    done = engine_here.wait(engine_here.start_driver("job"))
    assert is_whole(done)
    assert set(failed.rows) <= set(done.rows), "what was scored is kept"


def test_a_full_output_disk_is_waited_for_and_no_part_of_a_file_is_ever_seen(engine_here: Engine, output: Disk) -> None:
    output.fill(leaving=1_000_000)
    driver = engine_here.start_driver("job")
    waits_for(engine_here, output.folder)
    assert engine_here.ended().status is JobStatus.FINALIZING
    assert list((output.folder / "job").iterdir()) == [], "what was begun is removed: it would take the room"
    output.release()
    assert is_whole(engine_here.wait(driver))


def test_patience_with_a_full_output_disk_has_an_end(engine_here: Engine, output: Disk) -> None:
    output.fill(leaving=1_000_000)
    failed = engine_here.wait(engine_here.start_driver("job", BATCHPOINT_STORAGE_PATIENCE_S="1.5"))
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "NoSpaceLeft")
    assert "No room for the output" in failed.error.message
    assert failed.progress.items_succeeded == ITEMS
    assert list((output.folder / "job").iterdir()) == []


def test_a_server_whose_store_is_on_a_full_disk_reads_and_refuses_to_write_until_there_is_room(
    home: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    with (
        disk_at(home) as disk,
        serving(home, BATCHPOINT_DRIVER_LEASE_S="3") as server,
        connect(Settings.load()) as client,
        server.client() as plain,
    ):
        wanted = deploy(client, tmp_path / "files", "waits_at_a_gate.py", files=6, GATE=str(gate), GATE_AT="run")
        wanted = wanted.model_copy(update={"output_path": str(tmp_path / "results")})
        job = client.endpoints.invoke("ep1", wanted)
        eventually((gate / "reached").exists, "a running job")
        disk.fill()
        answer = plain.put(f"{SPACE}/computes/other", json=COMPUTE)
        assert answer.status_code == 507
        assert "disk is full" in sentence(answer, "StorageFull")
        assert plain.get(f"{SPACE}/computes").status_code == 200
        (gate / "open").touch()
        for _ in range(20):
            assert plain.get(f"{SPACE}/jobs/{job.name}").json()["properties"]["status"] == "Running"
        assert server.process.poll() is None
        disk.release()
        found = ended(client, job.name)
        assert (found.status, found.progress.items_failed) == (JobStatus.COMPLETED, 0), found.error
        assert plain.put(f"{SPACE}/computes/other", json=COMPUTE).is_success
        (published,) = (tmp_path / "results").rglob("*.csv")
        assert published.read_text() == expected_rows(6)
