"""Who is at work on the home: jobs that nobody drives, workers without a driver, processes that were stopped.

What is told from the mark and the home in a process's environment needs /proc; elsewhere only locks are asked.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from batchpoint.compute import strays
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.store import Store
from batchpoint.upkeep.findings import Finding, ok, problem, warning
from batchpoint.upkeep.inventory import is_driven

_PROC = Path("/proc")
#: A supervisor that was just started needs a moment for its lock; workers whose driver has just died need one to go.
PATIENCE_S = 3.0
_LOOK_S = 0.1
#: A driver or supervisor without work leaves within seconds.
_LINGERS_S = 120.0
_ROLES = {b"batchpoint.engine": "driver", b"batchpoint.server.supervisor": "supervisor"}


@dataclass(frozen=True)
class _Process:
    pid: int
    role: str
    #: The job of a driver.
    job: str
    is_stopped: bool
    age_s: float


def findings(store: Store, home: Path, start_supervisor: Callable[[], None]) -> Iterator[Finding]:
    found = [
        *_undriven(store, home, start_supervisor),
        *_orphan_workers(home),
        *(finding for process in _processes(home) for finding in _process(process, store)),
        *_stopped_server(home),
        *_dead_server(home),
    ]
    yield from found or [ok("processes", _at_work(store, home))]


def _at_work(store: Store, home: Path) -> str:
    server = "a server runs" if is_locked(home / "server.lock") else "no server runs"
    return f"Jobs that have not ended: {len(store.open_jobs()):,}, each in a driver's or supervisor's hand; {server}."


def _undriven(store: Store, home: Path, start_supervisor: Callable[[], None]) -> Iterator[Finding]:
    deadline = time.monotonic() + PATIENCE_S
    while names := _undriven_now(store, home):
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_S)
    if not names:
        return

    def start() -> str:
        start_supervisor()
        return f"A supervisor was started; it gives each job its driver ({len(names):,} in all)."

    said = problem(
        "processes",
        f"Nobody drives {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}: "
        f"not ended ({len(names):,} in all), and no supervisor or server runs.",
        "doctor --fix starts a supervisor, and so does any other command on this home, as job list.",
    )
    yield replace(said, mend=start)


def _undriven_now(store: Store, home: Path) -> list[str]:
    if is_locked(home / "supervisor.lock"):
        return []
    return [job.name for job in store.open_jobs() if not is_driven(JobFolder(home / "jobs" / job.name).path)]


def _orphan_workers(home: Path) -> Iterator[Finding]:
    deadline = time.monotonic() + PATIENCE_S
    while orphans := _orphans_now(home):
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_S)
    for folder, pids in orphans.items():
        said = problem(
            "processes",
            f"Of job {folder.name} processes are left ({len(pids)}) although its driver is gone: "
            f"{', '.join(map(str, sorted(pids)[:5]))}.",
            f"doctor --fix kills them, and so does: kill -KILL {' '.join(map(str, sorted(pids)[:5]))}",
        )
        yield replace(said, mend=_killing(folder))


def _orphans_now(home: Path) -> dict[Path, list[int]]:
    found: dict[Path, list[int]] = {}
    for pid, mark in strays.marked(f"{home / 'jobs'}{os.sep}").items():
        folder = Path(mark.partition("#")[0])
        if folder.parent == home / "jobs" and not is_driven(folder):
            found.setdefault(folder, []).append(pid)
    return found


def _killing(folder: Path) -> Callable[[], str]:
    def kill() -> str:
        with contextlib.ExitStack() as stack:
            # With the lock held no driver can start workers meanwhile.
            if folder.is_dir() and not stack.enter_context(try_lock(JobFolder(folder).lock, 1.0)):
                return ""
            return f"What was left of job {folder.name} was killed ({strays.end_strays(strays.mark(folder))} in all)."

    return kill


def _process(process: _Process, store: Store) -> Iterator[Finding]:
    what = f"The {process.role}{f' of job {process.job}' if process.job else ''} (process {process.pid})"
    if process.is_stopped:
        yield problem(
            "processes",
            f"{what} was stopped by a signal: it holds its lock and does nothing.",
            f"kill -CONT {process.pid} lets it go on; kill -KILL {process.pid} gives its work to another.",
        )
    elif process.age_s > _LINGERS_S and not _has_work(process, store):
        yield warning(
            "processes",
            f"{what} has been there for {process.age_s:,.0f} s although there is nothing for it to do.",
            f"kill {process.pid}",
        )


def _has_work(process: _Process, store: Store) -> bool:
    open_jobs = store.open_jobs()
    return any(job.name == process.job for job in open_jobs) if process.job else bool(open_jobs)


def _processes(home: Path) -> Iterator[_Process]:
    own = b"BATCHPOINT_HOME=" + os.fsencode(home)
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            role = next((role for word, role in _ROLES.items() if word in words), "")
            if role and own in (entry / "environ").read_bytes().split(b"\0"):
                job = os.fsdecode(words[-2]) if role == "driver" and len(words) > 1 else ""
                status = _status(entry)
                yield _Process(int(entry.name), role, job, status[0] == "T", _age(int(status[19])))


def _status(process: Path) -> list[str]:
    """What stands after the name, which may hold anything: the state, and much later the moment of the start."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def _age(started_ticks: int) -> float:
    up_s = float((_PROC / "uptime").read_text().split()[0])
    return up_s - started_ticks / os.sysconf("SC_CLK_TCK")


def _stopped_server(home: Path) -> Iterator[Finding]:
    if not is_locked(home / "server.lock"):
        return
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads((home / "server.json").read_text(encoding="utf-8"))["pid"])
        if _status(_PROC / str(pid))[0] == "T":
            yield problem(
                "server",
                f"The server (process {pid}) was stopped by a signal: other commands on this home wait for its answer.",
                f"kill -CONT {pid} lets it go on; after kill -KILL {pid} commands do without a server.",
            )


def _dead_server(home: Path) -> Iterator[Finding]:
    record, lock = home / "server.json", home / "server.lock"
    if not record.exists() or is_locked(lock):
        return

    def remove() -> str:
        with try_lock(lock, 1.0) as is_ours:
            if not is_ours:
                return ""
            record.unlink(missing_ok=True)
        return f"{record} was removed."

    said = warning(
        "server",
        f"{record} is that of a server that was killed; none runs now.",
        "Harmless: commands do without, and the next server replaces it. doctor --fix removes it.",
    )
    yield replace(said, mend=remove)
