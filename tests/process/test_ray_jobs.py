"""Whole jobs on a Ray node: the output is the one of a local run, whatever is killed, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import pytest

from batchpoint.compute.ray import pool
from batchpoint.entities.compute import Place
from batchpoint.entities.job import JobStatus
from batchpoint.entities.tables.split import Split
from tests.process.engine_jobs import PATIENCE_S, Ended, Engine, W, eventually, is_alive
from tests.process.ray_cluster import RayCluster

#: Reads its files, its model and a package of its environment; prints; NAP: seconds for each call.
READER = """
import hashlib, os, time
import sin
NAP = float(os.environ.get("NAP", "0"))
def init():
    global model
    model = ""
    if "AZUREML_MODEL_DIR" in os.environ:
        folder = os.environ["AZUREML_MODEL_DIR"]
        for name in sorted(os.listdir(os.path.join(folder, "net"))):
            model += open(os.path.join(folder, "net", name)).read()
    print("model is", model)
def run(paths):
    sin.is_due(paths)
    time.sleep(NAP)
    return [os.path.basename(p) + " " + model + " " + hashlib.sha256(open(p, "rb").read()).hexdigest() for p in paths]
"""


@dataclass
class Farm:
    """A home with a Ray compute."""

    engine: Engine
    node: RayCluster

    def script(self, text: str = READER) -> Path:
        script = self.engine.script(text)
        (script.parent / "sin.py").write_text((Path(__file__).parents[1] / "scoring_scripts" / "sin.py").read_text())
        return script

    def items(self, count: int = 60) -> Path:
        return self.engine.items(count)

    def run(self, script: Path, source: Path, *, name: str = "farm", **settings: Any) -> Ended:
        ours = {key: settings.pop(key) for key in list(settings) if key.startswith("ray_")}
        wanted = {"instance_count": 2, "max_concurrency_per_instance": 1, "place": self.node.place(), **settings}
        self.engine.job(script, source, name=name, **wanted)
        return self.engine.drive(name, **ours)

    def actors(self) -> list[int]:
        """The processes of Ray that look after our workers."""
        return [pid for pid in self.node.processes() if "NodeActor" in command(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.fixture
def farm(ray_node: RayCluster, engine: Engine) -> Iterator[Farm]:
    yield Farm(engine, ray_node)
    engine.close()
    eventually(lambda: not ray_node.workers(), "workers are left on the node")
    eventually(lambda: not [pid for pid in ray_node.processes() if "NodeActor" in command(pid)], "actors are left")


def test_a_job_on_ray_gives_the_bytes_of_a_local_run(farm: Farm, tmp_path: Path) -> None:
    model = tmp_path / "net"
    model.mkdir()
    (model / "weights").write_text("w" * 100)
    script, source = farm.script(), farm.items()
    here = farm.engine.run(script, source, name="here", model_path=str(model))
    there = farm.run(script, source, model_path=str(model))
    assert there.lines == here.lines
    assert there.output.read_bytes() == here.output.read_bytes()
    assert there.progress.items_succeeded == 60
    prints = [path.read_text() for path in (there.folder.logs / "user" / "stdout").rglob("*.txt")]
    assert prints and all(text.startswith("model is www") for text in prints)
    assert not farm.node.jobs(), "the node's folders of the job are gone"
    digests = [path.name for path in (farm.node.node_folder / "parcels").iterdir() if path.is_dir()]
    again = farm.run(script, source, name="again", model_path=str(model))
    assert again.output.read_bytes() == here.output.read_bytes()
    known = [path.name for path in (farm.node.node_folder / "parcels").iterdir() if path.is_dir()]
    assert sorted(digests) == sorted(known), "what a node has is not sent again"


FAMILY = """
import json, os, sys
def init(): pass
def run(paths):
    line, pid = [], os.getpid()
    while pid > 1:
        line.append(open(f"/proc/{pid}/cmdline").read().replace(chr(0), " ").strip())
        pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    foreign = sorted(m for m in sys.modules if m.partition(".")[0] in ("ray", "batchpoint"))
    told = sorted(n for n in os.environ if n.startswith("RAY_"))
    return [json.dumps([line, foreign, told, os.environ["BATCHPOINT_WORKER"]])] * len(paths)
"""


def test_user_code_runs_in_a_child_of_the_actor_and_sees_nothing_of_ray(farm: Farm) -> None:
    ended = farm.run(farm.script(FAMILY), farm.items(2), instance_count=1)
    family, foreign, told, mark = json.loads(ended.lines[0])
    assert "-m batchpoint_worker" in family[0] and "NodeActor" in family[1]
    assert (foreign, told) == ([], [])
    assert mark.startswith(str(farm.node.node_folder))


def test_an_actor_that_is_killed_changes_no_byte(farm: Farm) -> None:
    script, source = farm.script(), farm.items()
    here = farm.engine.run(script, source, name="here")
    marker = farm.engine.outside / "killed"
    text = READER.replace("sin.is_due(paths)", "sin.is_due(paths) and os.kill(os.getppid(), 9)")
    settings = {"environment": {"SIN_ON": "030", "SIN_ONCE": str(marker)}}
    there = farm.run(farm.script(text), source, **settings)
    assert marker.exists()
    assert there.output.read_bytes() == here.output.read_bytes()
    assert there.progress.failed_attempts == 0, "a lost actor costs no try"
    assert "is lost" in there.log("azureml/executionlogs.txt")


def test_what_a_silent_instance_says_later_does_not_count(farm: Farm) -> None:
    script, source = farm.script(), farm.items(40)
    here = farm.engine.run(script, source, name="here")
    text = READER.replace("sin.is_due(paths)", "sin.is_due(paths) and os.kill(os.getppid(), 19)")
    settings = {"environment": {"SIN_ON": "010", "SIN_ONCE": str(farm.engine.outside / "stopped"), "NAP": "0.02"}}
    there = farm.run(farm.script(text), source, ray_silence_s=3.0, **settings)
    assert there.output.read_bytes() == here.output.read_bytes()
    assert "nothing was heard of it for 3 s" in there.log("azureml/executionlogs.txt")
    for pid in farm.actors():
        os.kill(pid, signal.SIGCONT)


def test_a_killed_driver_takes_its_actors_along_and_the_next_one_goes_on(farm: Farm) -> None:
    script, source = farm.script(), farm.items(80)
    here = farm.engine.run(script, source, name="here")
    farm.engine.job(script, source, name="farm", place=farm.node.place(), instance_count=2, environment={"NAP": "0.05"})
    driver = farm.engine.start_driver("farm")
    eventually(lambda: farm.engine.store.ledger("farm", 0), "no first commit")
    actors = farm.actors()
    driver.kill()
    driver.wait()
    eventually(lambda: not any(is_alive(pid) for pid in actors), "actors outlive the driver")
    ended = farm.engine.wait(farm.engine.start_driver("farm"), "farm")
    assert ended.output.read_bytes() == here.output.read_bytes()
    assert not farm.node.jobs()


def test_a_cancel_ends_the_workers_on_the_node(farm: Farm) -> None:
    farm.engine.job(farm.script(), farm.items(8), name="farm", place=farm.node.place(), environment={"NAP": "3600"})
    driver = farm.engine.start_driver("farm")
    eventually(farm.engine.calls("farm").exists, "nothing is scored")
    workers = farm.node.workers()
    began = time.monotonic()
    farm.engine.store.request_cancel(W, "farm")
    assert farm.engine.wait(driver, "farm").status is JobStatus.CANCELED
    assert workers and not any(is_alive(pid) for pid in workers)
    assert time.monotonic() - began < PATIENCE_S


STAGED = """
import os
def init(): pass
def run(paths):
    folder = os.environ["AZUREML_BI_OUTPUT_PATH"]
    for path in paths:
        with open(os.path.join(folder, os.path.basename(path) + ".out"), "w") as file:
            file.write("scored " + open(path).read())
    with open(os.path.join(folder, f"all-{os.getpid()}.txt"), "a") as file:
        file.writelines(os.path.basename(path) + "\\n" for path in paths)
    return paths
"""


def test_files_that_scripts_write_themselves_are_published_from_all_nodes(farm: Farm) -> None:
    ended = farm.run(farm.script(STAGED), farm.items(30), output_action="summary_only")
    assert ended.status is JobStatus.COMPLETED, ended.job.error
    out = Path(ended.job.settings.output_folder)
    written = {path.name: path.read_text() for path in out.glob("*.out")}
    assert written == {f"{n:03}.txt.out": f"scored content of {n:03}.txt" for n in range(30)}
    listed = [name for path in out.glob("all-*.txt") for name in path.read_text().split()]
    assert sorted(listed) == [f"{n:03}.txt" for n in range(30)]


TABLES = """
import os, pandas
def init(): pass
def run(paths):
    rows = []
    for path in paths:
        frame = pandas.read_parquet(path) if path.endswith(".parquet") else pandas.read_csv(path)
        rows += [f"{os.path.basename(path)} {row.id} {row.text!r}" for row in frame.itertuples()]
    return rows
"""


def test_of_a_file_in_parts_only_the_parts_travel_to_a_node(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "Terms", partial(pool.Terms, always_ship=True))
    source = farm.engine.outside / "in"
    source.mkdir()
    frame = pandas.DataFrame({"id": range(900), "text": [f"{n}\nof 'many'" for n in range(900)]})
    frame.to_csv(source / "a.csv", index=False)
    frame.to_parquet(source / "b.parquet", row_group_size=250)
    frame.head(3).to_csv(source / "c.csv", index=False)
    script = farm.script(TABLES)
    here = farm.engine.run(script, source, name="here", mini_batch_size=1)
    there = farm.run(script, source, split=Split(rows=100), mini_batch_size=4)
    assert there.progress.items == 19
    assert there.output.read_bytes() == here.output.read_bytes()


def venv(folder: Path, version: str = "") -> Path:
    """A virtual environment with a package of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "only_here.py").write_text("WORD = 'from the environment'\n")
    if version:
        config = folder / "pyvenv.cfg"
        config.write_text("\n".join(f"version = {version}" if "version" in line else line
                                    for line in config.read_text().splitlines()))  # fmt: skip
    return folder / "bin" / "python"


def test_a_virtual_environment_travels_and_stands_on_the_python_of_the_node(farm: Farm, tmp_path: Path) -> None:
    script = farm.script(
        "import os, sys, subprocess, only_here\ndef init(): pass\n"
        "def run(paths): return [only_here.WORD + '|' + sys.prefix + '|' +"
        " subprocess.check_output(['python', '-c', 'import sys; print(sys.prefix)'], text=True).strip()] * len(paths)\n"
    )
    ended = farm.run(script, farm.items(2), python=str(venv(tmp_path / "venv")), instance_count=1)
    word, prefix, on_path = ended.lines[0].split("|")
    assert word == "from the environment"
    assert prefix.startswith(str(farm.node.node_folder / "parcels")) and on_path == prefix


def test_a_node_without_the_python_of_an_environment_ends_the_job_with_a_remedy(farm: Farm, tmp_path: Path) -> None:
    ended = farm.run(farm.script(), farm.items(2), python=str(venv(tmp_path / "venv", "3.99.1")))
    assert ended.error.code == "EnvironmentBuildFailed"
    assert "has no Python 3.99" in ended.error.message and "Install Python 3.99" in ended.error.message


Spoil = Callable[[Place, Path], Place]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place, folder: place.model_copy(update={"cpus": 64}), ["64 CPU", "ray_patience_s", "of 4 free"]),
        (lambda place, folder: place.model_copy(update={"address": "127.0.0.1:9"}), ["nothing answers at 127.0.0.1:9"]),
        (lambda place, folder: with_token(place, folder / "wrong"), ["to let us in", "wrong"]),
        (lambda place, folder: place.model_copy(update={"token_path": "/no/such/token"}), ["/no/such/token", "exist"]),
    ],
    ids=["no room", "no cluster", "wrong token", "no token file"],
)
def test_a_cluster_that_gives_nothing_fails_the_job_with_what_was_waited_for(
    farm: Farm, tmp_path: Path, spoil: Spoil, words: list[str]
) -> None:
    place = spoil(farm.node.place(), tmp_path)
    ended = farm.run(farm.script(), farm.items(2), place=place, ray_patience_s=4.0)
    assert ended.error.code == "ComputeUnavailable"
    assert not [word for word in words if word not in ended.error.message], ended.error.message
    assert "Traceback" not in ended.error.message
    if "exist" not in words:
        assert "Waiting for " in ended.log("azureml/executionlogs.txt")


def with_token(place: Place, path: Path) -> Place:
    path.write_text("f" * 64)
    return place.model_copy(update={"token_path": str(path)})
