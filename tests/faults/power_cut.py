"""Cuts the power under a running job, again and again: a program, to be run as root in a mount namespace of its own.

    unshare --mount --propagation private python -m tests.faults.power_cut FOLDER RUNS SEED [--lying]

Home and output stand on an ext4 of their own, on a loop device. At a random moment the file system is told to forget
whatever is not on disk (the ioctl that its own tests use), the driver is killed, and the file system mounted anew.
With ``--lying`` nothing is ever synced: the runs must then go wrong, or the rig would not see anything.
It prints one JSON object: how many runs, and what was wrong in which. Mounts and loop devices end with its namespace.
"""

import array
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from batchpoint.compute.pool import Exited, PoolEvent, Said, WorkerSpec
from batchpoint.engine import ledger, run
from batchpoint.engine.publishing.places import output_file
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings, JobStatus
from batchpoint.errors import BatchpointError, Fenced
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder, job_folder
from batchpoint.store import database
from batchpoint.store.store import Store, open_store
from batchpoint_worker.files import Segment

#: EXT4_IOC_SHUTDOWN, and its flag that writes nothing more, not even the journal.
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
IMAGE_BYTES = 48 << 20
ITEMS, SIZE = 100, 2


class WritingPool:
    """Workers without processes: the rows are real, in real segments, written by the worker's own code."""

    def __init__(self) -> None:
        self._segments: dict[int, Segment] = {}
        self._said: list[PoolEvent] = []
        self._work: list[tuple[int, list[int]]] = []

    def start(self, worker: int, spec: WorkerSpec) -> None:
        """Nothing is there before the first line."""

    def send(self, worker: int, line: bytes) -> None:
        said = json.loads(line)
        if said["t"] == "Start":
            self._segments[worker] = Segment(said["segment"])
            ready = {"t": "Ready", "python": "3.11.0", "pid": os.getpid(), "host": "", "init_s": 0.0}
            self._said.append(Said(worker, json.dumps(ready).encode()))
        elif said["t"] == "Score":
            self._work += [(worker, work) for work in said["work"]]
        else:
            self._said.append(Exited(worker, 0, None))

    def kill(self, worker: int) -> None:
        self._work = [one for one in self._work if one[0] != worker]

    def receive(self, timeout_s: float) -> list[PoolEvent]:
        if self._work:
            worker, (mini_batch, attempt, first, items, *_) = self._work.pop(0)
            rows = b"".join(row_of(index) for index in range(first, first + items))
            offset, length, crc = self._segments[worker].append([rows])
            counts = {"m": mini_batch, "a": attempt, "n": items, "rows": items, "off": offset, "len": length}
            self._said.append(
                Said(worker, json.dumps({"t": "Scored", "s": 0.1, "r": 0.1, "crc": crc, **counts}).encode())
            )
            time.sleep(0.0005)
        elif not self._said:
            time.sleep(min(timeout_s, 0.005))
        said, self._said = self._said, []
        return said

    def close(self) -> None:
        for segment in self._segments.values():
            segment.descriptor.close()


def row_of(index: int) -> bytes:
    """A row of its own length, so that rows begin and end anywhere in a block."""
    filler = hashlib.sha256(str(index).encode()).hexdigest()
    return f"{index:06} {filler * (1 + index * 7 % 40)}\n".encode()


EXPECTED = b"".join(row_of(index) for index in range(ITEMS))


# ---- a life of a driver ----


def live(mount: Path, acknowledged: int, lying: bool) -> None:
    """Drive the job to its end; each thing that the store has acknowledged is told at once."""
    run.open_pool = lambda *_: WritingPool()  # type: ignore[assignment]
    run.interpreter = lambda *_: sys.executable  # type: ignore[assignment]
    ledger.COMMIT_EVERY_S, ledger.COMMIT_SHARE = 0.004, 0.5
    if lying:
        os.fsync = lambda _: None
        database._configure = _configure_without_syncs
    commit, complete = Store.commit, Store.complete

    def told_commit(self: Store, fence: Any, rows: Any, progress: Any) -> Any:
        answer = commit(self, fence, rows, progress)
        for key in answer:
            os.write(acknowledged, f"{key[0]} {key[1]}\n".encode())
        return answer

    def told_complete(self: Store, *arguments: Any) -> None:
        complete(self, *arguments)
        os.write(acknowledged, b"done\n")

    Store.commit, Store.complete = told_commit, told_complete  # type: ignore[method-assign,assignment]
    home = mount / "home"
    # Fenced: it had ended before the power went.
    with open_store(home) as store, contextlib.suppress(Fenced):
        run.JobRun("job", store, job_folder(home, "job"), Settings(home=home)).execute()


def _configure_without_syncs(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=TRUNCATE", "synchronous=OFF", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def forked(act: Callable[[], None], log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        said = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
        os.dup2(said, 1)
        os.dup2(said, 2)
        act()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


# ---- the rig ----


class Rig:
    """One image, mounted as often as it takes."""

    def __init__(self, folder: Path, seed: int, lying: bool) -> None:
        self.folder, self.lying = folder, lying
        self.dice = random.Random(seed)
        self.image, self.mount, self.template = folder / "image", folder / "mount", folder / "template"
        self.log = folder / "driver.log"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        call("mkfs.ext4", "-q", "-F", "-m", "0", str(self.image))
        self.input = folder / "in"
        self.input.mkdir()
        for number in range(ITEMS):
            (self.input / f"{number:06}.txt").write_bytes(b"x")
        self.make_template()
        self.attach()
        self.span_s = self.measure()

    def attach(self) -> None:
        call("mount", "-o", "loop", str(self.image), str(self.mount))

    def detach(self) -> None:
        call("umount", str(self.mount))

    def make_template(self) -> None:
        settings = JobSettings(
            code_path=str(self.folder),
            scoring_script="score.py",
            input=Input(path=str(self.input)),
            output_folder=str(self.mount / "out"),
            mini_batch_size=SIZE,
        )
        job = Job(name="job", endpoint_name="e", deployment_name="d", settings=settings)
        with open_store(self.template) as store:
            store.create_job("s/g/w", job)
        job_folder(self.template, "job").path.mkdir(parents=True)

    def fresh(self) -> None:
        """A home with one job that nobody has begun, all of it on disk."""
        for name in ("home", "out"):
            shutil.rmtree(self.mount / name, ignore_errors=True)
        shutil.copytree(self.template, self.mount / "home")
        descriptor = os.open(self.mount, os.O_RDONLY)
        ctypes.CDLL(None).syncfs(descriptor)
        os.close(descriptor)

    def measure(self) -> float:
        """Seconds that a job takes when nothing happens to it."""
        took = []
        for _ in range(3):
            self.fresh()
            began = time.monotonic()
            self.carry_on()
            took.append(time.monotonic() - began)
            assert not list(self.judge()), self.log.read_text()
        return sorted(took)[1]

    def carry_on(self) -> None:
        """A driver that nothing happens to ends the job."""
        pid = forked(lambda: live(self.mount, os.open(os.devnull, os.O_WRONLY), lying=False), self.log)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, self.log.read_text()

    def run(self) -> list[str]:
        """Cut the power once; answers what was wrong afterwards."""
        self.fresh()
        acknowledged = self.cut()
        self.detach()
        self.attach()
        try:
            wrong = list(self.look(acknowledged))
            self.carry_on()
            return wrong + list(self.judge())
        except (AssertionError, sqlite3.Error, BatchpointError, OSError) as error:
            return [f"{type(error).__name__}: {error}"[-400:]]

    def cut(self) -> list[str]:
        """Let a driver live for a random while; answers what it was told to be stored."""
        ear, mouth = os.pipe()
        pid = forked(lambda: live(self.mount, mouth, self.lying), self.log)
        os.close(mouth)
        descriptor = os.open(self.mount, os.O_RDONLY)
        watch = os.pidfd_open(pid)
        select.select([watch], [], [], self.dice.uniform(0, 1.15 * self.span_s))
        fcntl.ioctl(descriptor, SHUTDOWN, array.array("i", [NO_LOG_FLUSH]))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)
        os.close(watch)
        with os.fdopen(ear, "rb") as heard:
            # The last line may be half of one.
            return heard.read().decode().split("\n")[:-1]

    def look(self, acknowledged: list[str]) -> Iterator[str]:
        """What is wrong with what the power cut has left."""
        home = self.mount / "home"
        with closing(sqlite3.connect(home / "batchpoint.db")) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            yield f"corrupt store: {answer}"
        with open_store(home) as store:
            rows = store.ledger("job", 0)
            job = store.find_job("job")
        assert job is not None
        kept = {f"{row.mini_batch} {row.first_item}" for row in rows}
        lost = set(acknowledged) - kept - {"done"}
        if lost:
            yield f"{len(lost)} acknowledged rows lost"
        bad = [part for row in rows for part in row.parts if not is_whole(job_folder(home, "job"), part)]
        if bad:
            yield f"{len(bad)} committed extents without their bytes"
        output = output_file(job)
        assert output is not None
        if "done" in acknowledged and job.status is not JobStatus.COMPLETED:
            yield "an acknowledged end lost"
        if output.exists() and output.read_bytes() != EXPECTED:
            yield "wrong bytes under the final name"
        if job.status is JobStatus.COMPLETED and not output.exists():
            yield "Completed without an output"

    def judge(self) -> Iterator[str]:
        """What is wrong after another driver has gone on."""
        with open_store(self.mount / "home") as store:
            job = store.find_job("job")
        assert job is not None
        output = output_file(job)
        assert output is not None
        if job.status is not JobStatus.COMPLETED:
            yield f"the job ended {job.status}: {job.error}"
        elif output.read_bytes() != EXPECTED:
            yield "wrong output"
        elif os.listdir(output.parent) != [output.name]:
            yield f"left beside the output: {os.listdir(output.parent)}"


def is_whole(folder: JobFolder, part: Any) -> bool:
    try:
        with (folder.segments / part.segment).open("rb") as segment:
            segment.seek(part.offset)
            return zlib.crc32(segment.read(part.length)) == part.crc
    except FileNotFoundError:
        return False


def call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def main(folder: str, runs: str, seed: str, *flags: str) -> None:
    rig = Rig(Path(folder), int(seed), lying="--lying" in flags)
    began, wrong = time.monotonic(), {}
    for number in range(int(runs)):
        if found := rig.run():
            wrong[number] = found
    rig.detach()
    took = time.monotonic() - began
    print(json.dumps({"runs": int(runs), "span_s": rig.span_s, "seconds": took, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
