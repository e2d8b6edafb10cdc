"""``kill -9`` of drivers and workers: what is committed stays, the rest is scored by whoever comes next."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from batchpoint.engine.publishing import output
from batchpoint.engine.publishing.ending import LastSteps
from batchpoint.engine.run import JobRun
from batchpoint.entities.job import JobStatus
from batchpoint.storage.atomic import aside_path, sha256_of
from batchpoint.storage.job_folder import job_folder
from batchpoint.store.store import Store
from tests.process.engine_jobs import Engine, W, eventually, good, is_alive, workers_of
from tests.process.kill_campaign import Campaign


def test_eight_kills_lose_and_repeat_nothing_that_was_committed(engine: Engine) -> None:
    campaign = Campaign(engine, seed=20, items=1200)
    campaign.fire(drivers=5, workers=3)
    campaign.check()
    assert campaign.kills == {"driver": 5, "worker": 3}
    assert campaign.drivers_that_committed() >= 3
    assert campaign.executed_again(), "no kill met a mini-batch that was executed and not yet committed"


def test_kills_change_no_byte_of_what_a_deterministic_script_comes_to(engine: Engine) -> None:
    campaign = Campaign(engine, seed=21, items=800, name="disturbed", tokens=False)
    campaign.fire(drivers=2, workers=2)
    disturbed = campaign.check()
    quiet = Campaign(engine, seed=22, items=800, name="quiet", tokens=False)
    quiet.finish.touch()
    assert quiet.check().output.read_bytes() == disturbed.output.read_bytes()


def test_workers_end_with_a_driver_that_is_killed(engine: Engine) -> None:
    campaign = Campaign(engine, seed=23, items=40)
    eventually(lambda: len(workers_of(campaign.folder)) == 2)
    workers = workers_of(campaign.folder)
    campaign.driver.kill()
    eventually(lambda: not any(map(is_alive, workers)), "a worker outlives its driver")
    campaign.driver.wait()
    campaign.finish.touch()
    campaign.driver = engine.start_driver("job")
    campaign.check()


def test_what_a_dead_driver_s_workers_left_behind_is_ended_by_the_next(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        "import os, subprocess, time\n"
        "def init():\n"
        "    if os.path.exists(os.environ['PID']): return\n"
        "    child = subprocess.Popen(['sleep', '3600'], start_new_session=True)\n"
        "    with open(os.environ['PID'] + '.new', 'w') as told: told.write(str(child.pid))\n"
        "    os.rename(os.environ['PID'] + '.new', os.environ['PID'])\n"
        "def run(paths):\n"
        "    while not os.path.exists(os.environ['FINISH']): time.sleep(0.01)\n"
        "    return paths\n"
    )
    pid, finish = tmp_path / "pid", tmp_path / "finish"
    engine.job(script, engine.items(4), environment={"PID": str(pid), "FINISH": str(finish)})
    driver = engine.start_driver("job")
    eventually(pid.exists)
    child = int(pid.read_text())
    driver.kill()
    driver.wait()
    assert is_alive(child)
    finish.touch()
    assert len(engine.wait(engine.start_driver("job")).lines) == 4
    assert not is_alive(child)


def test_a_paused_driver_that_comes_back_is_fenced_and_writes_nothing(engine: Engine) -> None:
    campaign = Campaign(engine, seed=24, items=200)
    eventually(lambda: engine.store.ledger("job", 0), "no first commit")
    zombie = campaign.driver
    engine.pause(zombie)
    campaign.look()
    campaign.finish.touch()
    # The lock of the job is still the zombie's; on another host nobody would see it.
    JobRun("job", engine.store, campaign.folder, engine.settings).execute()
    before = engine.ended()
    zombie.send_signal(signal.SIGCONT)
    ended = campaign.check()
    assert (ended.job, ended.rows) == (before.job, before.rows)
    assert "taken job" in engine.driver_log() or "ended" in engine.driver_log()


# ---- at each step of the end --------------------------------------------------------------------------------------


class Dead(BaseException):
    """The driver process is no more."""


def dies(target: object, name: str, when: str) -> Callable[[pytest.MonkeyPatch], None]:
    def arm(monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(target, name)

        def deadly(*arguments: object) -> None:
            if when == "after":
                real(*arguments)
            raise Dead

        monkeypatch.setattr(target, name, deadly)

    return arm


STEPS = [
    *((Store, name, when) for name in ("start", "commit", "freeze", "complete") for when in ("before", "after")),
    *((output, name, when) for name in ("gather", "publish_folder") for when in ("before", "after")),
    (output, "publish_without_clobber", "before"),
    (output, "publish_without_clobber", "after"),
    (LastSteps, "tidy", "before"),
]


@pytest.mark.parametrize(("target", "name", "when"), STEPS)
def test_a_driver_may_die_at_any_step(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, target: object, name: str, when: str
) -> None:
    engine.job("good.py", engine.items(10))
    with monkeypatch.context() as patched:
        dies(target, name, when)(patched)
        with pytest.raises(Dead):
            engine.drive("job")
    committed = {row.mini_batch for row in engine.ended().rows}
    calls = len(engine.ended().called())
    ended = engine.wait(engine.start_driver("job"))
    assert ended.lines == good([f"{number:03}.txt" for number in range(10)])
    assert len(ended.called()) - calls == 5 - len(committed)
    assert list(ended.output.parent.iterdir()) == [ended.output]
    assert engine.store.output_of("job") == (sha256_of(ended.output), ended.output.stat().st_size)


def test_the_next_driver_goes_by_the_first_one_s_list_of_files(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    source = engine.items(10)
    engine.job("good.py", source)
    with monkeypatch.context() as patched:
        dies(Store, "commit", "after")(patched)
        with pytest.raises(Dead):
            engine.drive("job")
    (source / "000-new.txt").write_text("came later")
    assert engine.drive("job").lines == good([f"{number:03}.txt" for number in range(10)])


@pytest.mark.parametrize(("target", "name", "when"), [(Store, "fail", "before"), (Store, "canceled", "before")])
def test_a_driver_may_die_before_it_has_said_how_a_job_ended(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, target: object, name: str, when: str
) -> None:
    engine.job("raises_in_run.py", engine.items(4, bad=range(4)), max_retries=1)
    if name == "canceled":
        monkeypatch.setattr(JobRun, "_announce", lambda *_: engine.store.request_cancel(W, "job"))
    with monkeypatch.context() as patched:
        dies(target, name, when)(patched)
        with pytest.raises(Dead):
            engine.drive("job")
    calls = len(engine.ended().called())
    ended = engine.drive("job")
    if name == "canceled":
        assert ended.status is JobStatus.CANCELED
    else:
        assert ended.error.code == "NoSuccessfulItems" and "ValueError: bad header" in ended.error.message
        assert len(ended.called()) == calls


def test_what_a_killed_driver_left_beside_the_output_is_removed(engine: Engine) -> None:
    engine.job("good.py", engine.items(10))
    job = engine.store.find_job("job")
    assert job is not None
    half = aside_path(Path(job.settings.output_folder), "job")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    ended = engine.drive("job")
    assert os.listdir(ended.output.parent) == [ended.output.name]
    assert job_folder(engine.home, "job").segments.exists()
