"""What ``prune`` removes from real homes, and what it leaves to whoever is alive beside it."""

import os
import threading
import time
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.job import JobStatus
from batchpoint.environments.builder import ensure
from batchpoint.environments.spec import read_spec
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.server.identity.links import Links
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.routers.partial import describe
from batchpoint.storage.atomic import aside_path
from batchpoint.storage.content import store_content
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.lock import is_locked, try_lock
from batchpoint.store.tables.retention import PRUNED
from batchpoint.upkeep import prune
from batchpoint.upkeep.inventory import upload_folders
from batchpoint.upkeep.rules import USUAL, Kind, Limits
from tests.process.engine_jobs import Engine, W
from tests.process.homes import deploy, ended, eventually, expected_rows

#: No packages: the environment is built without a network in a moment.
PLAIN = Environment(conda_file={"dependencies": ["python=3.11"]})
NOW = Limits(older_than_s=0)
LONG_AGO = time.time() - 90 * 86400


def pruned(home: Path, limits: Limits = NOW) -> list[tuple[str, str]]:
    """Kind and name of what went."""
    return [(str(one.kind), one.name) for one in prune.remove(home, prune.look(home, limits))]


def age(path: Path) -> Path:
    """Make a file or folder look as if nobody had used it for long."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def upload(home: Path, text: str) -> Path:
    """The folder of content that was stored long ago."""
    source = home.parent / "source" / text
    source.parent.mkdir(exist_ok=True)
    source.write_text(text)
    stored = store_content(source, upload_folders(home)[0].parent)
    return age(upload_folders(home)[0] / stored.content_hash)


def test_of_an_ended_job_the_segments_go_and_record_logs_and_output_stay(
    client: Client, home: Path, tmp_path: Path
) -> None:
    job = client.endpoints.invoke("ep1", deploy(client, tmp_path / "files", "good.py")).name
    ended(client, job)
    folder = job_folder(home, job)
    eventually(lambda: not is_locked(folder.lock), "the driver to go")
    (folder.input / "deep").mkdir(parents=True)
    (folder.input / "deep" / "downloaded").write_bytes(b"x" * 5000)
    assert prune.look(home, Limits()) == [], "younger than 30 days"
    (removal,) = prune.look(home, NOW)
    assert removal.size > 5000
    assert pruned(home) == [("segments", job)]
    assert not folder.segments.exists() and not folder.plan_items.exists() and not folder.input.exists()
    assert PRUNED in client.jobs.get(job).properties
    assert any("4 items" in line for event in client.jobs.stream_events(job) for line in event.lines)
    (file,) = client.jobs.download(job, tmp_path / "out")
    assert file.read_text() == expected_rows(4)
    assert pruned(home) == [], "there is nothing left to go"


def test_a_pruned_job_says_why_it_cannot_be_downloaded_in_part(engine: Engine, home: Path) -> None:
    engine.job("good.py", engine.items(2))
    engine.store.request_cancel(W, "job")
    job_folder(home, "job").segments.mkdir()
    plane = ControlPlane(engine.store, engine.settings, lambda: None, Links("k"))
    with pytest.raises(ResourceNotFound, match="had scored nothing"):
        describe(plane, "job")
    assert pruned(home) == [("segments", "job")]
    with pytest.raises(ResourceConflict, match=r"was pruned on 20\d\d-\d\d-\d\d, .* invoke again"):
        describe(plane, "job")


def test_logs_and_whole_jobs_go_when_they_are_chosen(engine: Engine, home: Path) -> None:
    done = engine.run("good.py", engine.items(2))
    (home / "supervisor.log").touch()
    assert pruned(home, Limits(frozenset({Kind.LOGS}), 0)) == [("logs", "job"), ("logs", "supervisor.log")]
    assert not done.folder.logs.exists() and done.folder.segments.exists()
    assert pruned(home, Limits(frozenset({Kind.JOBS}), 0)) == [("jobs", "job")]
    assert engine.store.find_job("job") is None and list((home / "jobs").iterdir()) == []
    assert done.output.exists()


def test_the_logs_of_a_living_server_are_not_offered(engine: Engine, home: Path) -> None:
    chosen = Limits(frozenset({Kind.LOGS}), 0)
    (home / "server.log").touch()
    with try_lock(home / "server.lock"):
        assert prune.look(home, chosen) == []
    assert pruned(home, chosen) == [("logs", "server.log")]


def test_a_job_that_has_not_ended_or_whose_driver_lives_keeps_everything(engine: Engine, home: Path) -> None:
    engine.job("good.py", engine.items(2), name="open")
    open_folder = job_folder(home, "open")
    open_folder.segments.mkdir()
    done = engine.run("good.py", engine.items(2), name="done")
    everything = Limits(frozenset(Kind), 0)
    chosen = prune.look(home, everything)
    with try_lock(done.folder.lock) as is_ours:
        assert is_ours and prune.remove(home, chosen) == [] and pruned(home, everything) == []
    assert open_folder.segments.is_dir() and done.folder.segments.is_dir() and engine.store.find_job("done")
    engine.store.request_cancel(W, "open")
    assert set(pruned(home, everything)) == {("jobs", "open"), ("jobs", "done")}


def test_an_environment_goes_unless_an_open_job_uses_it_and_is_built_again(engine: Engine, home: Path) -> None:
    built = ensure(PLAIN, home, home / "log")
    name = read_spec(PLAIN).content_hash
    lock = home / "environments" / f"{name}.lock"
    plain = engine.job("good.py", engine.items(2), name="plain")
    settings = plain.settings.model_copy(update={"environment": PLAIN, "output_folder": "/nowhere"})
    engine.store.create_job(W, plain.model_copy(update={"name": "job", "settings": settings}))
    assert pruned(home) == [], "a job is about to use it"
    engine.store.request_cancel(W, "job")
    with try_lock(lock) as is_ours:
        assert is_ours and pruned(home) == [], "somebody builds it"
    assert Path(built.path).exists()
    assert pruned(home) == [("environments", name)]
    assert not lock.exists() and not list((home / "environments").iterdir())
    assert ensure(PLAIN, home, home / "log") == built


def test_the_last_use_of_an_environment_is_remembered(home: Path, engine: Engine) -> None:
    ensure(PLAIN, home, home / "log")
    complete = age(home / "environments" / read_spec(PLAIN).content_hash / "complete")
    assert [one.reason for one in prune.look(home, Limits())] == ["not used for 90 days"]
    ensure(PLAIN, home, home / "log")
    assert prune.look(home, Limits()) == [] and complete.stat().st_mtime > LONG_AGO + 86400


def test_content_goes_when_nothing_refers_to_it_and_it_is_not_fresh(client: Client, home: Path) -> None:
    used, fresh, unused = (upload(home, text) for text in ("used", "fresh", "unused"))
    path = f"azureml://datastores/workspaceblobstore/paths/LocalUpload/{used.name}/used"
    client.models.create_or_update(Model(name="m", version="1", path=path))
    os.utime(fresh)
    assert pruned(home) == [("uploads", unused.name)]
    assert used.is_dir() and fresh.is_dir() and not unused.exists()
    assert not [path for path in upload_folders(home)[0].iterdir() if path.name.startswith(".")]


def test_content_that_is_asked_for_again_stays(engine: Engine, home: Path) -> None:
    kept = upload(home, "kept")
    chosen = prune.look(home, NOW)
    again = store_content(home.parent / "source" / "kept", upload_folders(home)[0].parent)
    assert again.content_hash == kept.name
    assert prune.remove(home, chosen) == [] and (kept / "kept").read_text() == "kept"


def test_what_is_referred_to_between_look_and_removal_stays(engine: Engine, home: Path) -> None:
    kept, unused = upload(home, "kept"), upload(home, "unused")
    chosen = prune.look(home, NOW)
    assert {one.name for one in chosen} == {kept.name, unused.name}
    engine.store.put_asset(W, Model(name="m", version="1", path=str(kept / "kept")))
    assert [one.name for one in prune.remove(home, chosen)] == [unused.name]
    assert kept.is_dir()


def test_what_dead_processes_left_goes_after_a_day(engine: Engine, home: Path) -> None:
    output = engine.run("good.py", engine.items(2)).output
    (home / "environments").mkdir()
    (home / "uploads" / ("a" * 64)).mkdir(parents=True)
    old = [
        age_of_new(aside_path(home / "jobs")),
        age_of_new(aside_path(home)),
        age_of_new(aside_path(home / "jobs" / "job")),
        age_of_new(home / "environments" / f"{'b' * 64}.lock"),
        age_of_new(home / "jobs" / "nobodys"),
        age_of_new(aside_path(output.parent, "job")),
    ]
    young = aside_path(home)
    young.touch()
    somebodys = age_of_new(aside_path(output.parent, "another"))
    held = age_of_new(home / "environments" / f"{'c' * 64}.lock")
    half_sent = age(home / "uploads" / ("a" * 64))
    with try_lock(held):
        gone = pruned(home, Limits(frozenset({Kind.UPLOADS})))
    assert set(gone) == {("leftovers", path.name) for path in old} | {("uploads", half_sent.name)}
    assert not any(path.exists() for path in old) and young.exists() and held.exists()
    assert output.exists() and somebodys.exists(), "it may be a job's of another home"
    young.unlink()


def age_of_new(path: Path) -> Path:
    """An old folder, or an old file for what has a file's name."""
    if path.suffix == ".lock":
        path.touch()
    else:
        path.mkdir()
    return age(path)


def test_a_folder_that_a_job_got_meanwhile_stays(engine: Engine, home: Path) -> None:
    folder = home / "jobs" / "job"
    (home / "jobs").mkdir()
    age_of_new(folder)
    chosen = prune.look(home, Limits())
    assert [one.name for one in chosen] == ["job"]
    folder.rmdir()
    engine.job("good.py", engine.items(2))
    assert prune.remove(home, chosen) == [] and folder.is_dir()


def test_jobs_run_as_ever_beside_somebody_who_prunes_all_the_time(client: Client, home: Path, tmp_path: Path) -> None:
    wanted = deploy(client, tmp_path / "files", "sleeps_in_run.py", SLEEP_S="0.05")
    deployment = client.deployments.get("ep1", "dp1")
    client.deployments.create_or_update(
        deployment.model_copy(update={"environment": PLAIN}), skip_script_validation=True
    )
    stop = threading.Event()
    rounds: list[list[tuple[str, str]]] = []

    def without_end() -> None:
        while not stop.is_set():
            rounds.append(pruned(home, Limits(USUAL | {Kind.LOGS}, older_than_s=0, max_bytes=0)))

    pruning = threading.Thread(target=without_end)
    pruning.start()
    try:
        for number in range(2):
            job = client.endpoints.invoke("ep1", wanted, upload=True)
            found = ended(client, job.name)
            assert (found.status, found.error) == (JobStatus.COMPLETED, None)
            (file,) = client.jobs.download(job.name, tmp_path / f"out{number}")
            assert file.read_text() == expected_rows(4)
            segments = job_folder(home, job.name).segments
            eventually(lambda path=segments: not path.exists(), "its segments to go")  # type: ignore[misc]
    finally:
        stop.set()
        pruning.join()
    went = {kind for one in rounds for kind, _ in one}
    assert went == {"segments", "logs", "environments"}, "each of them went once its job had ended"
