"""Each check of ``doctor``: a clean home has no problem, and every planted fault is named with its remedy."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchpoint.compute import strays
from batchpoint.entities.assets import Environment
from batchpoint.entities.job import JobStatus
from batchpoint.environments.builder import ensure
from batchpoint.environments.spec import read_spec
from batchpoint.settings import Settings
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.file_system import kind_of_file_system
from batchpoint.upkeep import doctor, prune
from batchpoint.upkeep.checks import home as home_checks
from batchpoint.upkeep.checks import machine, processes
from batchpoint.upkeep.findings import Finding
from batchpoint.upkeep.rules import Kind, Limits
from tests.process.engine_jobs import Ended, Engine
from tests.process.homes import eventually

Look = Callable[..., list[Finding]]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults that last are planted: nobody has to wait whether they pass."""
    monkeypatch.setattr(processes, "PATIENCE_S", 0.1)


@pytest.fixture
def wrong(home: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    """What is wrong with the home of ``engine``; the machine is looked at once, below."""
    monkeypatch.setattr(machine, "findings", lambda: iter(()))
    home.chmod(0o700)

    def look(*, deep: bool = False, start_supervisor: Callable[[], None] = lambda: None) -> list[Finding]:
        found = doctor.examine(Settings(home=home), deep=deep, start_supervisor=start_supervisor)
        return [finding for finding in found if finding.level != "ok"]

    yield look


def done(engine: Engine, files: int = 4) -> Ended:
    ended = engine.run("good.py", engine.items(files))
    assert ended.status is JobStatus.COMPLETED
    return ended


def the_one(found: list[Finding], level: str = "problem") -> Finding:
    (finding,) = found
    assert finding.level == level and finding.remedy, finding
    return finding


def mended(finding: Finding) -> Finding:
    after = doctor.mend(finding)
    assert after.level == "fixed", after
    return after


def flip_a_byte(path: Path, offset: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


# --- a clean home


def test_a_clean_home_has_no_problem_and_says_what_was_looked_at(home: Path, engine: Engine) -> None:
    home.chmod(0o700)
    done(engine)
    found = doctor.examine(Settings(home=home), deep=True, start_supervisor=lambda: None)
    assert {finding.level for finding in found} == {"ok"}, found
    assert {finding.check for finding in found} >= {
        *("batchpoint", "uv", "interpreters", "extras", "home", "file system", "disk", "clock"),
        *("environments", "store", "jobs", "processes"),
    }
    said = {finding.check: finding.message for finding in found}
    assert sys.version.split()[0] in said["interpreters"] and said["jobs"].startswith("1 job, each")


def test_a_home_with_a_job_that_is_running_is_clean(wrong: Look, engine: Engine) -> None:
    engine.job("sleeps_in_run.py", engine.items(8), environment={"SLEEP_S": "0.2"})
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "the first rows")
    assert wrong(deep=True) == []
    engine.wait(driver)
    assert wrong(deep=True) == []


def test_where_there_is_no_home_nothing_is_made(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    found = doctor.examine(Settings(home=nowhere), deep=False, start_supervisor=lambda: None)
    assert "not a home" in found[-1].message and not nowhere.exists()


# --- the home


def test_a_home_that_others_may_read_is_a_problem_and_is_closed(wrong: Look, home: Path) -> None:
    (home / "token").write_text("secret")
    (home / "token").chmod(0o644)
    home.chmod(0o755)
    folder, token = wrong()
    assert folder.level == token.level == "problem"
    assert (folder.remedy, token.remedy) == (f"chmod 700 {home}", f"chmod 600 {home / 'token'}")
    mended(folder), mended(token)
    assert home.stat().st_mode & 0o777 == 0o700 and (home / "token").stat().st_mode & 0o777 == 0o600
    assert wrong() == []


def test_every_file_that_holds_a_secret_is_looked_at_and_no_certificate(wrong: Look, home: Path) -> None:
    secret = [home / "audit.log", home / "keys/links", home / "keys/tokens/1-a.pem", home / "tls/server.pem"]
    for path in (*secret, home / "tls/ca.pem", home / "tls/bundle.pem"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text("x")
        path.chmod(0o644)
    (home / "keys").chmod(0o700)
    (home / "keys/tokens").chmod(0o700)
    found = wrong()
    assert [finding.remedy for finding in found] == [f"chmod 600 {path}" for path in secret]
    for finding in found:
        mended(finding)
    assert wrong() == []


def test_a_full_disk_is_a_problem_and_a_small_one_a_warning(home: Path) -> None:
    assert [home_checks.room(home, free).level for free in (10**8, 10**9, 10**11)] == ["problem", "warning", "ok"]
    assert "prune" in home_checks.room(home, 0).remedy


def test_a_clock_that_went_back_is_told(wrong: Look, home: Path) -> None:
    future = time.time() + 86400
    os.utime(home / "batchpoint.db", (future, future))
    finding = the_one(wrong(), "warning")
    assert "1,440 minutes later" in finding.message and "timedatectl" in finding.remedy
    assert home_checks.clock(home / "batchpoint.db", 0).level == "warning"


def test_a_network_file_system_is_told_by_what_is_mounted(tmp_path: Path, home: Path) -> None:
    mounts = tmp_path / "mountinfo"
    there = str(home).replace(" ", "\\040")
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:5 / {there} rw shared:7 - nfs4 server:/export rw\n"
        f"3 1 0:6 / {there}er rw - tmpfs none rw\n"
    )
    assert kind_of_file_system(home, mounts) == "nfs4"
    assert kind_of_file_system(tmp_path, mounts) == "ext4"


# --- the store


def test_a_damaged_store_is_a_problem_and_jobs_are_not_looked_at(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    engine.store.close()
    store = home / "batchpoint.db"
    content = store.read_bytes()
    store.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    finding = the_one(wrong())
    assert finding.check == "store" and str(store) in finding.message and "backup" in finding.remedy
    store.write_bytes(content)


def test_rows_that_refer_to_nothing_are_a_problem(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    with sqlite3.connect(home / "batchpoint.db", isolation_level=None) as file:
        file.execute("UPDATE ledger SET job = 'nobody'")
    finding = next(one for one in wrong() if one.check == "store")
    assert finding.level == "problem" and "ledger → jobs" in finding.message
    file.close()


def test_a_store_of_a_newer_version_is_a_problem(wrong: Look, home: Path) -> None:
    file = sqlite3.connect(home / "batchpoint.db", isolation_level=None)
    before = file.execute("SELECT version_num FROM alembic_version").fetchone()
    file.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer Batchpoint (schema 9999" in the_one(wrong()).message
    file.execute("UPDATE alembic_version SET version_num = ?", before)
    file.close()


def test_a_transaction_that_was_cut_off_is_told_and_rolled_back(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    engine.store.close()
    program = (
        "import os, sqlite3, sys; file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('PRAGMA journal_mode=TRUNCATE'); file.execute('PRAGMA cache_size=1')\n"
        "file.execute('BEGIN IMMEDIATE'); file.execute('DELETE FROM ledger'); file.execute('CREATE TABLE big (x)')\n"
        "file.execute('INSERT INTO big VALUES (zeroblob(2000000))'); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", program, home / "batchpoint.db"], check=False)
    assert killed.returncode == -signal.SIGKILL and (home / "batchpoint.db-journal").stat().st_size
    finding = the_one(wrong(deep=True), "warning")
    assert "cut off" in finding.message and not (home / "batchpoint.db-journal").exists()
    assert wrong(deep=True) == []


# --- jobs


def test_a_flipped_byte_in_a_segment_is_found_when_every_byte_is_read(wrong: Look, engine: Engine) -> None:
    ended = done(engine)
    segment = next(ended.folder.segments.iterdir())
    flip_a_byte(segment, ended.rows[0].parts[0].offset)
    assert wrong() == []
    finding = the_one(wrong(deep=True))
    assert finding.check == "job job" and str(segment) in finding.message and "bytes 0 to" in finding.message
    assert "job delete --name job" in finding.remedy


def test_a_missing_or_short_segment_is_found(wrong: Look, engine: Engine) -> None:
    ended = done(engine)
    for segment in ended.folder.segments.iterdir():
        os.truncate(segment, 1)
    assert "ends before byte" in the_one(wrong(deep=True)).message
    for segment in list(ended.folder.segments.iterdir()):
        segment.unlink()
    assert "cannot be read" in the_one(wrong(deep=True)).message
    ended.folder.segments.rmdir()
    assert f"Its segments {ended.folder.segments} are gone" in the_one(wrong()).message


def test_the_segments_of_a_job_that_has_not_ended_are_looked_at_in_any_case(
    wrong: Look, home: Path, engine: Engine
) -> None:
    engine.job("sleeps_in_run.py", engine.items(8), environment={"SLEEP_S": "0.2"})
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "the first rows")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    folder = job_folder(home, "job")
    eventually(lambda: not strays.marked(strays.mark(folder.path)), "its workers to go")
    for segment in folder.segments.iterdir():
        os.truncate(segment, 0)
    found = wrong()
    assert [finding.check for finding in found] == ["job job", "processes"]
    assert "ends before" in found[0].message and "job cancel --name job" in found[0].remedy


def test_a_plan_that_was_changed_is_a_problem(wrong: Look, engine: Engine) -> None:
    ended = done(engine)
    flip_a_byte(ended.folder.plan_items)
    assert "plan" in the_one(wrong(deep=True)).message
    ended.folder.plan_header.unlink()
    assert "is gone although scored rows" in the_one(wrong(deep=True)).message


def test_a_ledger_that_does_not_cover_the_plan_is_a_problem(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    file = sqlite3.connect(home / "batchpoint.db", isolation_level=None)
    file.execute("DELETE FROM ledger WHERE mini_batch = 0")
    file.close()
    assert "covers 2 items where its plan has 4" in the_one(wrong()).message


def test_a_job_without_its_folder_is_a_problem(wrong: Look, engine: Engine) -> None:
    ended = done(engine)
    ended.folder.path.rename(engine.outside / "taken away")
    finding = the_one(wrong())
    assert str(ended.folder.path) in finding.message and "job delete --name job" in finding.remedy


def test_an_output_that_was_changed_is_a_problem_and_one_that_was_moved_a_warning(wrong: Look, engine: Engine) -> None:
    ended = done(engine)
    flip_a_byte(ended.output)
    assert wrong() == []
    finding = the_one(wrong(deep=True))
    assert str(ended.output) in finding.message and "invoke again" in finding.remedy
    with ended.output.open("a") as file:
        file.write("more")
    assert "is not what was published" in the_one(wrong()).message
    ended.output.unlink()
    assert str(ended.output) in the_one(wrong(), "warning").message


def test_a_job_that_was_pruned_is_not_missed_anything_of(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    assert prune.remove(home, prune.look(home, Limits(frozenset({Kind.SEGMENTS, Kind.LOGS}), 0)))
    assert wrong(deep=True) == []


def test_a_folder_that_no_job_has_is_told_and_removed_after_a_yes(wrong: Look, home: Path, engine: Engine) -> None:
    done(engine)
    orphan = home / "jobs" / "nobodys"
    (orphan / "logs").mkdir(parents=True)
    aside_path(home / "jobs").mkdir()
    finding = the_one(wrong(), "warning")
    assert str(orphan) in finding.message and finding.asks
    mended(finding)
    assert not orphan.exists() and wrong() == []


# --- environments


def test_a_half_built_environment_is_told(wrong: Look, home: Path) -> None:
    plain = Environment(conda_file={"dependencies": ["python=3.11"]})
    built = ensure(plain, home, home / "log")
    folder = home / "environments" / read_spec(plain).content_hash
    assert wrong() == []
    Path(built.path).unlink()
    assert "The Python of" in the_one(wrong(), "warning").message
    (folder / "complete").unlink()
    assert f"{folder} is half built" in the_one(wrong(), "warning").message
    with try_lock(folder.with_name(f"{folder.name}.lock")):
        assert wrong() == [], "somebody builds it just now"


def test_a_lock_of_an_environment_that_is_gone_is_told(wrong: Look, home: Path) -> None:
    (home / "environments").mkdir()
    (home / "environments" / f"{'a' * 64}.lock").touch()
    finding = the_one(wrong(), "warning")
    assert "held by nobody" in finding.message and "prune" in finding.remedy


# --- processes


def test_a_job_that_nobody_drives_is_a_problem_and_gets_a_supervisor(wrong: Look, engine: Engine) -> None:
    engine.job("good.py", engine.items(2))
    started: list[bool] = []
    finding = the_one(wrong(start_supervisor=lambda: started.append(True)))
    assert "Nobody drives job:" in finding.message and "doctor --fix" in finding.remedy
    mended(finding)
    assert started == [True]


def test_a_job_in_the_hands_of_a_supervisor_is_fine(wrong: Look, home: Path, engine: Engine) -> None:
    engine.job("good.py", engine.items(2))
    with try_lock(home / "supervisor.lock"):
        assert wrong() == []


def test_workers_without_a_driver_are_a_problem_and_are_killed(wrong: Look, home: Path, engine: Engine) -> None:
    ended = done(engine)
    mark = strays.mark(ended.folder.path, "pool", 0)
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, strays.MARK: mark}, start_new_session=True)
    try:
        finding = the_one(wrong())
        assert "Of job job processes are left (1)" in finding.message and f"kill -KILL {left.pid}" in finding.remedy
        with try_lock(ended.folder.lock):
            assert wrong() == [], "they have a driver"
        mended(finding)
        assert left.wait(10) == -signal.SIGKILL
    finally:
        left.kill()
        left.wait()
    assert wrong() == []


def test_a_driver_that_was_stopped_is_a_problem(wrong: Look, engine: Engine) -> None:
    engine.job("sleeps_in_run.py", engine.items(2), environment={"SLEEP_S": "0.2"})
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.epoch_of("job"), "the claim")
    engine.pause(driver)
    try:
        eventually(lambda: [one for one in wrong() if "was stopped" in one.message], "the stop to show")
        finding = the_one(wrong())
        assert f"driver of job job (process {driver.pid})" in finding.message
        assert f"kill -CONT {driver.pid}" in finding.remedy
    finally:
        os.kill(driver.pid, signal.SIGCONT)
    engine.wait(driver)
    assert wrong() == []


def test_a_server_that_was_stopped_is_a_problem(wrong: Look, home: Path) -> None:
    server = subprocess.Popen(["sleep", "600"])
    (home / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": server.pid}))
    try:
        with try_lock(home / "server.lock"):
            assert wrong() == []
            os.kill(server.pid, signal.SIGSTOP)
            finding = eventually(lambda: wrong(), "the stop to show")
        finding = the_one(finding)
        assert f"The server (process {server.pid}) was stopped" in finding.message
        assert f"kill -CONT {server.pid}" in finding.remedy
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("path", ["home", "link", "link/../home"])
def test_a_driver_with_nothing_left_to_do_is_told_by_whatever_path_it_came_to_the_home(
    wrong: Look, home: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    done(engine)
    (home.parent / "link").symlink_to(home)
    monkeypatch.setattr(processes, "_LINGERS_S", 0.0)
    # Of the process only the command line and the environment are looked at.
    program = "import time; time.sleep(600)"
    environment = Settings.load(home=f"{home.parent}/{path}").child_environ()
    left = subprocess.Popen([sys.executable, "-c", program, "-m", "batchpoint.engine", "job"], env=environment)
    try:
        eventually(lambda: wrong(), "the process to have begun")
        assert f"kill {left.pid}" == the_one(wrong(), "warning").remedy
    finally:
        left.kill()
        left.wait()


def test_the_file_of_a_dead_server_is_told_and_removed(wrong: Look, home: Path) -> None:
    (home / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    with try_lock(home / "server.lock"):
        assert wrong() == []
    finding = the_one(wrong(), "warning")
    assert str(home / "server.json") in finding.message
    mended(finding)
    assert not (home / "server.json").exists() and not is_locked(home / "server.lock")


# --- the machine


def test_without_uv_and_extras_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_uv", lambda: "/nowhere/uv")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    found = {finding.check: finding for finding in machine.findings()}
    assert found["uv"].level == "problem" and "pip install uv" in found["uv"].remedy
    assert found["extras"].level == "ok" and "pip install 'batchpoint[azure]'" in found["extras"].message
