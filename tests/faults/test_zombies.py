"""Who else may think that a job is his, and what else may go away under it.

T-D3: the object store of the output refuses, for a while and for good. T-D6: many see the same death of a driver.
T-G10: a long queue (JOBS in the environment: how long). T-G11: a folder of three hundred thousand files. T-G17: a
mini-batch that kills its driver.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from batchpoint.client import Client
from batchpoint.entities.job import Job, JobSettings, JobStatus
from batchpoint.local import connect
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.listing import list_folder
from batchpoint.store.store import open_store
from tests.object_stores import S3Service
from tests.process.engine_jobs import Engine, W, eventually, good, workers_of
from tests.process.homes import deploy, ended
from tests.process.test_engine_elsewhere import Elsewhere
from tests.process.test_input_classes import MANY_OBJECTS, check_objects
from tests.websites import relay

# ---- an output store that goes away -------------------------------------------------------------------------------


class Door:
    """Between a job and its output store: open, or shut."""

    def __init__(self) -> None:
        self.shut = threading.Event()
        self.turned_away = 0

    def refuses(self, method: str, path: str) -> bool:
        refused = self.shut.is_set()
        self.turned_away += refused
        return refused


@pytest.mark.parametrize("for_good", [False, True])
def test_an_output_store_that_is_away_is_waited_for_and_nothing_is_half_written(
    engine: Engine, s3_service: S3Service, tmp_path: Path, for_good: bool
) -> None:
    door, gate, bucket = Door(), tmp_path / "gate", f"zombies-{os.getpid()}-{for_good}".lower()
    s3_service.bucket(bucket, {})
    with relay(s3_service.port, door.refuses) as host:
        datastore = s3_service.datastore(bucket).model_copy(update={"endpoint_url": f"http://{host}"})
        place = Elsewhere(engine, datastore)
        variables = {"GATE": str(gate), "GATE_AT": "run"}
        engine.job("waits_at_a_gate.py", engine.items(4), environment=variables, **place.output("out"))
        driver = engine.start_driver("job")
        eventually((gate / "reached").exists, "run()")
        door.shut.set()
        (gate / "open").touch()
        eventually(lambda: door.turned_away >= 2, "an attempt to write the output")
        assert engine.ended().status is JobStatus.FINALIZING
        if not for_good:
            door.shut.clear()
        found = engine.wait(driver)
        door.shut.clear()
        if for_good:
            assert found.error.code == "OutputUnwritable"
            assert not [name for name in place.names("out") if name.endswith(".csv")]
        else:
            assert found.status is JobStatus.COMPLETED
            assert place.text("out/predictions.csv").splitlines() == good([f"{n:03}.txt" for n in range(4)])
        assert engine.store.heartbeat("job").pid == driver.pid, "the job changed hands"


def test_more_than_a_thousand_objects_and_markers_of_folders_are_read_to_the_last_page(
    engine: Engine, s3_service: S3Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_objects(engine, s3_service, MANY_OBJECTS, monkeypatch)


# ---- one death, many heirs ----------------------------------------------------------------------------------------


def test_of_many_who_see_the_same_death_one_inherits(engine: Engine) -> None:
    for number in range(20):
        name = f"job{number}"
        engine.job("good.py", engine.items(2), name=name)
        assert engine.store.claim(name, 0, "dead", "host", 1)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(_claim, engine.home, name, f"heir{heir}") for heir in range(8)]
            granted = [nonce for one in asked if (nonce := one.result())]
        assert len(granted) == 1
        assert engine.store.epoch_of(name) == 2


def _claim(home: Path, job: str, nonce: str) -> str:
    with open_store(home) as store:
        claimed = store.claim(job, 1, nonce, "host", os.getpid())
    return nonce if claimed else ""


def test_four_drivers_that_start_after_one_death_are_one_driver(engine: Engine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    variables = {"GATE": str(gate), "GATE_AT": "run"}
    engine.job("waits_at_a_gate.py", engine.items(4), environment=variables)
    first = engine.start_driver("job")
    eventually((gate / "reached").exists, "run()")
    first.kill()
    first.wait()
    heirs = [engine.start_driver("job") for _ in range(4)]
    eventually(lambda: sum(heir.poll() is None for heir in heirs) == 1, "three of four go")
    (gate / "open").touch()
    for heir in heirs:
        assert heir.wait(60) == 0
    found = engine.ended()
    assert found.lines == good([f"{number:03}.txt" for number in range(4)])
    assert engine.store.epoch_of("job") == 2


# ---- a mini-batch that kills its driver ---------------------------------------------------------------------------

KILLS_DRIVER = """
import os, signal
def init(): pass
def run(paths):
    if "001" in paths[0]: os.kill(os.getppid(), signal.SIGKILL)
    return [os.path.basename(path) + ": ok" for path in paths]
"""


def test_a_job_whose_drivers_die_again_and_again_ends(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHPOINT_DRIVER_DEATHS_MAX", "3")
    settings = Settings.load()
    with connect(settings) as client:
        job = invoke(client, tmp_path, KILLS_DRIVER)
        found = ended(client, job)
    assert found.status is JobStatus.FAILED
    assert found.error and found.error.code == "DriverKeepsDying"
    eventually(lambda: not workers_of(job_folder(settings.home, job)), "workers outlive their job")


def invoke(client: Client, folder: Path, script: str, files: int = 4) -> str:
    from batchpoint.entities.deployment import CodeConfiguration

    wanted = deploy(client, folder / "files", "good.py", files)
    code = folder / "code"
    code.mkdir()
    (code / "score.py").write_text(script)
    found = client.deployments.get("ep1", "dp1")
    changed = found.model_copy(
        update={"code_configuration": CodeConfiguration(code=str(code), scoring_script="score.py")}
    )
    client.deployments.create_or_update(changed, skip_script_validation=True)
    return client.endpoints.invoke("ep1", wanted).name


# ---- many ---------------------------------------------------------------------------------------------------------


def test_a_long_queue_is_kept_in_order_and_any_of_it_is_canceled(engine: Engine) -> None:
    settings: dict[str, Any] = {
        "code_path": "/c",
        "scoring_script": "s.py",
        "input": {"path": "/in"},
        "mini_batch_size": 1,
    }
    count, began = int(os.environ.get("JOBS", "400")), time.monotonic()
    for number in range(count):
        chosen = JobSettings(**settings, output_folder=f"/out/{number}")
        engine.store.create_job(W, Job(name=f"j{number}", endpoint_name="e", deployment_name="d", settings=chosen))
    created = time.monotonic() - began
    assert [job.name for job in engine.store.open_jobs()] == [f"j{number}" for number in range(count)]
    began = time.monotonic()
    for number in range(0, count, 20):
        engine.store.request_cancel(W, f"j{number}")
    canceled = time.monotonic() - began
    assert len(engine.store.open_jobs()) == count - count // 20
    began = time.monotonic()
    for number in range(1, 201, 2):
        assert engine.store.claim(f"j{number}", 0, "n", "host", 1)
    claimed = time.monotonic() - began
    print(f"a second: {count / created:,.0f} created, {100 / canceled:,.0f} canceled, {100 / claimed:,.0f} claimed")
    # Nobody drives them: the home is to be left with no open job.
    for job in engine.store.open_jobs():
        engine.store.request_cancel(W, job.name)


def test_three_hundred_thousand_files_are_listed_within_little_memory(tmp_path: Path) -> None:
    folders, each = 300, 1000
    for folder in range(folders):
        place = tmp_path / "in" / f"{folder:03}"
        place.mkdir(parents=True)
        first = place / "0000.txt"
        first.write_bytes(b"x")
        for number in range(1, each):
            os.link(first, place / f"{number:04}.txt")
    Path("/proc/self/clear_refs").write_text("5")
    before, looks = _memory("VmRSS"), []
    began = time.monotonic()
    listing = list_folder(tmp_path / "in", still_wanted=lambda: looks.append(time.monotonic()))
    seconds = time.monotonic() - began
    grown = _memory("VmHWM") - before
    print(f"{len(listing) / seconds:,.0f} files a second, {grown / 1e6:,.0f} MB")
    assert len(listing) == folders * each and listing.items[0] == b"000/0000.txt"
    assert grown < 100_000_000
    assert len(looks) >= folders, "a cancel would not be heard"


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))
