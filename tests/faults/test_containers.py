"""Workers in real containers of Podman: the contract of pools, kills, memory limits, builds. Needs root."""

import inspect
import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchpoint.compute import strays
from batchpoint.compute.containers.runtime import find_runtime
from batchpoint.entities.assets import Environment, EnvironmentBuild
from batchpoint.entities.compute import Place
from batchpoint.entities.job import JobStatus
from tests.container_images import IMAGE, Podman, podman
from tests.contract import test_worker_pools as contract
from tests.contract.pools import Hall, in_containers
from tests.process.engine_jobs import Ended, Engine, eventually

#: These ask whether a process is alive by the number that it knows itself by; below they are asked in another way.
_BY_NUMBER = {"test_a_kill_ends_what_the_worker_started", "test_a_closed_pool_leaves_no_worker_however_busy"}
PLAIN = """
def init(): pass
def run(files): return [f.rpartition('/')[2] for f in files]
"""
SLOW = """
import time
def init(): pass
def run(files):
    time.sleep(0.3)
    return [f.rpartition('/')[2] for f in files]
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman with the test image, for all tests here."""
    if os.getuid() != 0:
        pytest.skip("containers are started as root here")
    made = podman(tmp_path_factory.mktemp("containers") / "podman")
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def uses_it(runtime: Podman, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every process that a test starts finds this Podman; afterwards there is no container."""
    for name, value in runtime.environ.items():
        monkeypatch.setenv(name, value)
    yield
    eventually(lambda: not runtime.containers(), "containers are left")


@pytest.fixture
def hall(runtime: Podman, home: Path, tmp_path: Path) -> Iterator[Hall]:
    (tmp_path / "job").mkdir()
    (tmp_path / "in").mkdir()
    made = in_containers(tmp_path / "job", find_runtime(""), IMAGE, runtime.environ)
    yield made
    made.pool.close()


def _cases() -> Iterator[Any]:
    """The tests of the contract, each with the values that it is asked with."""
    for name, case in inspect.getmembers(contract, inspect.isfunction):
        if not name.startswith("test_") or name in _BY_NUMBER:
            continue
        marks = [mark for mark in getattr(case, "pytestmark", ()) if mark.args[0] != "hall"]
        for chosen in itertools.product(*(mark.args[1] for mark in marks)):
            values: dict[str, object] = {}
            for mark, value in zip(marks, chosen, strict=True):
                names = [mark.args[0]] if isinstance(mark.args[0], str) else list(mark.args[0])
                values |= dict(zip(names, value if len(names) > 1 else [value], strict=True))
            yield pytest.param(case, values, id="-".join([name, *map(str, values.values())]))


@pytest.mark.parametrize(("case", "values"), list(_cases()))
def test_the_contract_of_pools_holds_in_containers(hall: Hall, case: Any, values: dict[str, object]) -> None:
    case(hall, **values)


@pytest.mark.parametrize("own_session", ["0", "1"])
def test_a_kill_ends_what_a_worker_started_in_its_container(hall: Hall, own_session: str) -> None:
    hall.item("0", b"x")
    told = {"SIN_ON": "", "CHILD_PID_FILE": str(hall.folder / "staging" / "pid"), "OWN_SESSION": own_session}
    hall.start(0, "leaves_children_behind.py", environment=told)
    hall.score(0, ["0"])
    hall.said(0, "Scored")
    # The command of the runtime, the shell, the worker and its child.
    eventually(lambda: len(_processes_of(hall)) == 4, "the child is not there")
    hall.pool.kill(0)
    eventually(lambda: not _processes_of(hall), "something lives on")


def test_a_closed_pool_leaves_no_container_however_busy(hall: Hall, runtime: Podman) -> None:
    hall.item("0", b"x")
    calls = hall.folder / "staging" / "calls"
    hall.start(0, "sleeps_in_run.py", environment={"SIN_ON": "", "CALLS": str(calls)})
    hall.said(0, "Ready")
    hall.score(0, ["0"])
    eventually(calls.exists)
    hall.pool.close()
    assert not runtime.containers() and not _processes_of(hall)


def _processes_of(hall: Hall) -> list[int]:
    return list(strays.marked(strays.mark(hall.folder)))


# ---- jobs ---------------------------------------------------------------------------------------------------------


def run(engine: Engine, script: str, name: str = "job", count: int = 6, **settings: Any) -> Ended:
    stored(engine, script, name, count, **settings)
    return engine.drive(name)


def stored(engine: Engine, script: str, name: str = "job", count: int = 6, **settings: Any) -> None:
    place = Place(isolation="container", memory=settings.pop("memory", 0))
    chosen = settings.pop("asset", Environment(image=IMAGE))
    path = engine.script(script, f"{name}.py")
    engine.job(path, engine.items(count), name=name, asset=chosen, place=place, **settings)


def test_a_job_in_containers_writes_what_it_writes_without_them(engine: Engine, tmp_path: Path) -> None:
    plain = engine.run(engine.script(PLAIN), engine.items(6), name="plain")
    contained = run(engine, PLAIN, max_concurrency_per_instance=2)
    assert contained.lines == plain.lines
    log = contained.log("azureml/executionlogs.txt")
    assert f"Workers run in containers of {IMAGE}" in log and "started by podman" in log


def test_a_script_sees_its_job_and_nothing_else_and_changes_only_what_is_its_own(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://somebody:secret@localhost:9")
    model = engine.outside / "model.bin"
    model.write_bytes(b"weights")
    script = """
import json, os, sys
def tried(path):
    try:
        with open(path, 'a'): return 'written'
    except OSError as error: return error.strerror
def init(): print('hello from', sys.prefix)
def run(files):
    model = os.path.join(os.environ['AZUREML_MODEL_DIR'], 'model.bin')
    own = os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], 'own')
    return [json.dumps([open(model).read(), os.path.exists(os.environ['OUTSIDE']), tried(files[0]), tried(model),
             tried(__file__), tried(own), os.environ['A'], os.getuid(), os.environ.get('BATCHPOINT_TOKEN'),
             os.environ.get('HTTP_PROXY')])]
"""
    outside = engine.outside / "secret"
    outside.write_text("x")
    variables = {"OUTSIDE": str(outside), "A": "with 'quotes'\nand $(a line)"}
    ended = run(engine, script, count=1, model_path=str(model), environment=variables)
    closed = "Read-only file system"
    seen = json.loads(ended.output.read_text())
    assert seen == ["weights", False, closed, closed, closed, "written", variables["A"], os.getuid(), None, None]
    assert "hello from /usr/local" in ended.log("user/stdout/0/process000.stdout.txt")


def test_a_driver_that_is_killed_leaves_no_container_and_the_next_one_finishes(engine: Engine, runtime: Podman) -> None:
    plain = engine.run(engine.script(PLAIN), engine.items(20), name="plain")
    stored(engine, SLOW, count=20, max_concurrency_per_instance=2)
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "nothing is scored")
    assert len(runtime.containers()) == 2
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    eventually(lambda: not runtime.containers(), "containers outlive their driver")
    assert engine.wait(engine.start_driver("job")).lines == plain.lines


def test_a_driver_that_is_killed_while_its_containers_start_leaves_none(engine: Engine, runtime: Podman) -> None:
    stored(engine, SLOW)
    driver = engine.start_driver("job")
    channels = engine.home / "jobs" / "job" / "channels"
    eventually(lambda: channels.is_dir() and any(channels.glob("*/in")), "no worker is started")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(1.0)  # for a container that is on its way
    eventually(lambda: not runtime.containers(), "containers outlive their driver")
    assert engine.wait(engine.start_driver("job")).status is JobStatus.COMPLETED


def test_a_run_that_hangs_is_killed_at_its_deadline_with_its_container(engine: Engine) -> None:
    script = """
import time
def init(): pass
def run(files):
    if '003.txt' in files[0]: time.sleep(1000)
    return files
"""
    ended = run(engine, script, mini_batch_size=1, timeout_s=1, max_retries=0)
    assert ended.reason.code == "MiniBatchTimeout" and ended.progress.items_succeeded == 5


def test_a_worker_beyond_the_memory_of_its_container_costs_its_mini_batch_and_says_so(engine: Engine) -> None:
    script = """
def init(): pass
def run(files):
    if '003.txt' in files[0]: return [len(b'x' * 400_000_000)]
    return files
"""
    ended = run(engine, script, mini_batch_size=1, memory=200_000_000, max_retries=0)
    assert ended.progress.items_succeeded == 5
    assert ended.reason.code == "OutOfMemory" and "200 MB" in ended.reason.message


def test_a_context_is_built_once_for_its_content_and_again_for_another(engine: Engine, runtime: Podman) -> None:
    asset = Environment(build=EnvironmentBuild(path=str(context(engine, "one"))))
    script = PLAIN.replace("f.rpartition('/')[2]", "open('/made').read().strip()")
    assert run(engine, script, asset=asset, count=1).lines == ["one"]
    assert run(engine, script, "again", asset=asset, count=1).lines == ["one"]
    context(engine, "two")
    assert run(engine, script, "other", asset=asset, count=1).lines == ["two"]
    logs = [engine.ended(name).log("azureml/environment_build_log.txt") for name in ("job", "again", "other")]
    assert ["Building the image" in log for log in logs] == [True, False, True]


def test_a_build_that_fails_says_so_in_its_own_words_first(engine: Engine) -> None:
    folder = context(engine, "one", "RUN echo no such package: nonsense >&2; exit 3")
    ended = run(engine, PLAIN, asset=Environment(build=EnvironmentBuild(path=str(folder))))
    assert ended.status is JobStatus.FAILED and ended.error.code == "EnvironmentBuildFailed"
    assert "The image of the environment could not be built" in ended.error.message
    assert "exit status 3" in ended.error.message.splitlines()[0]
    assert "no such package: nonsense" in ended.log("azureml/environment_build_log.txt")


def test_an_image_that_nobody_has_is_told_by_its_name(engine: Engine) -> None:
    ended = run(engine, PLAIN, asset=Environment(image="localhost/nowhere:9"))
    assert "The image localhost/nowhere:9 is not on this machine and cannot be fetched" in ended.error.message


def test_the_python_of_a_conda_file_is_used_inside_the_image(engine: Engine) -> None:
    conda = {"dependencies": ["python=3.11"]}
    seen = "[sys.prefix, os.path.exists('/usr/bin/apt')]"
    script = "import os, sys" + PLAIN.replace("f.rpartition('/')[2]", seen)
    ended = run(engine, script, asset=Environment(image=IMAGE, conda_file=conda), count=1)
    assert str(engine.home / "environments") in ended.output.read_text()
    assert "False" in ended.output.read_text()


def context(engine: Engine, content: str, line: str = "") -> Path:
    folder = engine.outside / "context"
    folder.mkdir(exist_ok=True)
    (folder / "made").write_text(content)
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY made /made\n{line}\n")
    return folder


def test_a_script_puts_no_link_where_the_driver_writes(engine: Engine) -> None:
    victim = engine.outside / "victim"
    victim.write_text("as it was")
    script = """
import json, os
logs = os.path.dirname(os.path.dirname(os.environ['BATCHPOINT_ENTRY_LOG']))
def tried(name):
    try:
        os.symlink(os.environ['VICTIM'], os.path.join(logs, name))
        return 'linked'
    except OSError as error: return error.strerror
def init(): pass
def run(files):
    with open(os.path.join(os.environ['BATCHPOINT_ENTRY_LOG'] + '.own'), 'w') as own: own.write('x')
    return [json.dumps([tried('error.txt'), tried('stdout/link'), tried('link')])]
"""
    ended = run(engine, script, count=1, environment={"VICTIM": str(victim)})
    assert "linked" not in json.loads(ended.output.read_text())
    assert victim.read_text() == "as it was"


@pytest.mark.parametrize("output_action", ["append_row", "summary_only"])
def test_a_link_out_of_a_container_is_not_published(engine: Engine, output_action: str) -> None:
    secret = engine.outside / "secret"
    secret.write_text("of the server")
    script = """
import os
def init(): os.symlink(os.environ['SECRET'], os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], 'taken'))
def run(files): return files
"""
    ended = run(engine, script, count=1, environment={"SECRET": str(secret)}, output_action=output_action)
    assert ended.job.status == JobStatus.FAILED
    assert ended.job.error is not None and "leads out of the job's folder" in ended.job.error.message
    assert not any(path.name == "taken" for path in Path(ended.job.settings.output_folder).rglob("*"))
