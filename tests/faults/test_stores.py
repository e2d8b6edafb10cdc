"""Faults of the store and of the machine under a server with a running job, which must neither lose nor repeat a row.

T-C3 the store is locked for long. T-C13 the wall clock jumps, stops, and stands in other centuries. T-C14 everything is
stopped for longer than the lease of a driver, as when a machine sleeps.
"""

import calendar
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.job import Job, JobStatus
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.store.store import Store, open_store, store_file
from tests.process.homes import deploy, ended, eventually
from tests.process.servers import SPACE, Server, sentence, serving

FILES = 600
#: Names the process that scored each file, and the clock that the script saw.
SLOW = """
import os, time
def init(): pass
def run(paths):
    if not os.path.exists(os.environ['FINISH']): time.sleep(0.03)
    log = os.open(os.environ['CALLS'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(log, (' '.join(os.path.basename(path) for path in paths) + '\\n').encode())
    os.close(log)
    return [os.path.basename(path) + ': ok' for path in paths]
"""


@dataclass
class Running:
    """A server, and a job of its that goes on until it is told to finish."""

    server: Server
    client: Client
    store: Store
    job: str
    folder: Path

    @property
    def done(self) -> int:
        return self.seen().progress.mini_batches_done

    def seen(self) -> Job:
        found = self.store.find_job(self.job)
        assert found is not None
        return found

    def gets_further(self, by: int = 5) -> None:
        begun = self.done
        eventually(lambda: self.done >= begun + by, "progress")

    def finish(self) -> Job:
        """Let the job end, and see that every row is there once and nothing was held against the script."""
        (self.folder / "finish").touch()
        found = ended(self.client, self.job)
        assert found.status is JobStatus.COMPLETED, found.error
        (output,) = (self.folder / "results").rglob("*.csv")
        assert output.read_text() == "".join(f"{number:03}.txt: ok\n" for number in range(FILES))
        assert (found.progress.items_succeeded, found.progress.failed_attempts) == (FILES, 0)
        assert found.started_at and found.ended_at and found.started_at <= found.ended_at
        return found


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "slow.py").write_text(SLOW)
    monkeypatch.setattr("tests.process.homes.SCRIPTS", tmp_path / "code")


@contextmanager
def running(home: Path, folder: Path, **environ: str) -> Iterator[Running]:
    with serving(home, **environ) as server, connect(Settings.load()) as client, open_store(home) as store:
        variables = {"FINISH": str(folder / "finish"), "CALLS": str(folder / "calls")}
        wanted = deploy(client, folder / "files", "slow.py", files=FILES, **variables)
        wanted = wanted.model_copy(update={"output_path": str(folder / "results")})
        job = client.endpoints.invoke("ep1", wanted).name
        found = Running(server, client, store, job, folder)
        eventually(lambda: found.done > 0, "the first rows")
        yield found


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("lease_s", "locked_s", "drivers"), [(30.0, 4.0, 1), (2.0, 5.0, None)], ids=["shorter than a lease", "longer"]
)
def test_t_c3_a_store_that_is_locked_for_long_loses_nothing(
    home: Path, tmp_path: Path, lease_s: float, locked_s: float, drivers: int | None
) -> None:
    settings = {"BATCHPOINT_STORE_BUSY_TIMEOUT_S": "0.3", "BATCHPOINT_DRIVER_LEASE_S": str(lease_s)}
    with running(home, tmp_path, **settings) as job:
        with closing(sqlite3.connect(store_file(home), isolation_level=None, timeout=30)) as side:
            side.execute("BEGIN EXCLUSIVE")
            until = time.monotonic() + locked_s
            with job.server.client() as client:
                while time.monotonic() < until:
                    answer = client.get(f"{SPACE}/jobs/{job.job}")
                    assert answer.status_code == 503 and answer.headers["Retry-After"]
                    assert "locked" in sentence(answer, "StoreUnavailable")
            side.execute("ROLLBACK")
        job.gets_further()
        if drivers is not None:
            assert job.store.heartbeat(job.job).epoch == drivers, "the driver has waited"
        job.finish()


#: Preloaded, it turns the wall clock of a process and leaves all other clocks alone. The file that CLOCK names holds a
#: word and seconds: "by" so many, or "at" a moment that does not pass.
TURNED_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(id, now);
    const char *path = getenv("CLOCK");
    if (answer || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) || !path) return answer;
    char text[64] = {0}, word[8] = {0};
    long long seconds = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return answer;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0 || sscanf(text, "%7s %lld", word, &seconds) != 2) return answer;
    if (!strcmp(word, "at")) { now->tv_sec = seconds; now->tv_nsec = 0; } else now->tv_sec += seconds;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
HOUR_S, YEAR_S = 3600, 31_557_600


def clocks() -> Iterator[tuple[str, int, str]]:
    """What the wall clock is set to, and the year that an answer must carry then."""
    now = int(time.time())
    here = time.gmtime().tm_year
    yield "by", HOUR_S, ""
    yield "by", -HOUR_S, ""
    yield "by", 3 * YEAR_S, str(here + 3)
    yield "by", calendar.timegm((2038, 1, 19, 3, 14, 4)) - now, "2038"
    yield "by", calendar.timegm((2100, 2, 28, 23, 59, 58)) - now, "2100"
    yield "at", calendar.timegm((2001, 9, 9, 1, 46, 40)), "2001"
    yield "by", -20 * YEAR_S, str(here - 20)
    yield "by", 0, str(here)


@pytest.mark.usefixtures("code")
def test_t_c13_the_wall_clock_may_say_what_it_likes(home: Path, tmp_path: Path) -> None:
    (tmp_path / "clock.c").write_text(TURNED_CLOCK)
    library, clock = tmp_path / "clock.so", tmp_path / "clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    clock.write_text("by 0\n")
    turned = {"LD_PRELOAD": str(library), "CLOCK": str(clock)}
    with running(home, tmp_path, BATCHPOINT_DRIVER_LEASE_S="6", **turned) as job:
        for word, seconds, year in clocks():
            clock.write_text(f"{word} {seconds}\n")
            job.gets_further(10)
            with job.server.client() as client:
                # The server says its second hand at most once a second.
                eventually(lambda: year in client.get(f"{SPACE}/jobs/{job.job}").headers["date"], year)  # noqa: B023
        assert job.store.heartbeat(job.job).epoch == 1, "no lease has anything to do with it"
        clock.write_text(f"by {-2 * HOUR_S}\n")
        job.finish()
        calls = (tmp_path / "calls").read_text().split()
        assert sorted(calls) == sorted({*calls}), "nothing was executed twice"
        logs = home / "jobs" / job.job / "logs"
        written = "".join(path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file())
        assert not re.search(r"(?<![\w.-])-\d+(\.\d+)? (s|seconds)\b", written), "a negative duration"


@pytest.mark.usefixtures("code")
def test_t_c14_everything_is_stopped_for_longer_than_the_lease(home: Path, tmp_path: Path) -> None:
    with running(home, tmp_path, BATCHPOINT_DRIVER_LEASE_S="2") as job:
        for _ in range(2):
            stopped = stop_all(home, job.server)
            try:
                # Longer than the lease: nothing else can be waited for.
                time.sleep(3)
            finally:
                for pid in stopped:
                    os.kill(pid, signal.SIGCONT)
            job.gets_further()
        job.finish()


def stop_all(home: Path, server: Server) -> list[int]:
    """Stop the server, the drivers and the workers, but nobody in the middle of a transaction."""
    mark = b"BATCHPOINT_HOME=" + os.fsencode(home)
    while True:
        stopped = []
        for entry in os.listdir("/proc"):
            pid = int(entry) if entry.isdigit() else 0
            if pid and pid != os.getpid() and (pid == server.process.pid or mark in environ_of(pid)):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        try:
            with closing(sqlite3.connect(store_file(home), timeout=0.5)) as side:
                side.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            continue
        assert len(stopped) >= 3, "a server, a driver and a worker"
        return stopped


def environ_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
