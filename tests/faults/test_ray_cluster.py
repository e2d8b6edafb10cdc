"""The digits on three Ray nodes that share nothing with the driver but a network: the bytes of a local run, always."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.store.store import open_store
from tests.faults.network import Network, network
from tests.process.engine_jobs import PATIENCE_S, Engine, eventually
from tests.process.ray_cluster import RayCluster, ray_cluster

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digits"
DIGITS = 1797


@dataclass
class Digits:
    """A home with the example, a compute on this machine and one on the cluster."""

    folder: Path
    home: Path
    net: Network

    def az(self, line: str, **variables: str) -> str:
        """What a command prints; it runs where the head is."""
        command = self.net.driver_command(str(Path(sys.executable).parent / "batchpoint"), *line.split())
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env={**os.environ, **variables}, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout.strip()

    def deploy(self, compute: str) -> None:
        """The same file, but for the name of the compute."""
        text = (self.folder / "deployment.yml").read_text().replace("azureml:batch-cluster", f"azureml:{compute}")
        (self.folder / f"{compute}.yml").write_text(text)
        self.az(f"batch-deployment create --file {compute}.yml --set-default -o none")

    def invoke(self, instances: int = 1, **variables: str) -> str:
        words = f"batch-endpoint invoke --name digits --input-local-path images --instance-count {instances}"
        return self.az(f"{words} --query name -o tsv", **variables)

    def scored(self, job: str) -> int:
        with open_store(self.home) as store:
            return len(store.ledger(job, 0))

    def finish(self, job: str) -> bytes:
        """The output of a job, when it has ended."""
        deadline = time.monotonic() + 2 * PATIENCE_S
        with open_store(self.home) as store:
            while not (found := store.find_job(job)) or not found.status.is_terminal:
                assert time.monotonic() < deadline, (self.home / "jobs" / job / "driver.log").read_text()[-3000:]
                time.sleep(0.1)
        assert found.status is JobStatus.COMPLETED, f"{found.error}\n{self.driver_log(job)}"
        assert found.progress.items_succeeded == DIGITS
        return Path(found.settings.output_folder, found.settings.output_file_name).read_bytes()

    def driver_log(self, job: str) -> str:
        return (self.home / "jobs" / job / "driver.log").read_text()

    def log(self, job: str) -> str:
        return (self.home / "jobs" / job / "logs" / "azureml" / "executionlogs.txt").read_text()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with images and model, a script that takes its time, and an environment with what it imports."""
    folder = tmp_path_factory.mktemp("digits") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("images", "model", "labels.csv"))
    subprocess.run([sys.executable, "prepare.py"], cwd=folder, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (site,) = (folder / "venv").glob("lib/python3*/site-packages")
    for file in files_of({"scikit-learn", "pillow"}):
        target = site / str(file)
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)
    script = folder / "code" / "digit_identification.py"
    script.write_text(script.read_text().replace("    pixels =", "    time.sleep(0.1)\n    pixels =", 1))
    script.write_text(script.read_text().replace("import os\n", "import os\nimport time\n", 1))
    text = (folder / "deployment.yml").read_text()
    before, after = text.index("environment:\n"), text.index("# `batchpoint compute create`")
    (folder / "deployment.yml").write_text(f"{text[:before]}environment: ./venv\n\n{text[after:]}")
    return folder


def files_of(wanted: set[str]) -> Iterator[metadata.PackagePath]:
    """The files of these packages and of all that they need, as they are installed for the tests."""
    seen: set[str] = set()
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        found = metadata.distribution(name)
        plain = [line.partition(";")[0] for line in found.requires or () if "extra ==" not in line]
        wanted |= {re.split(r"[^\w.-]", line.strip())[0].lower() for line in plain}
        yield from found.files or ()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network([tmp_path_factory.getbasetemp(), ROOT / "src", ROOT / "tests", ROOT / "examples"]) as net:
        yield net


@pytest.fixture(scope="module")
def restarted() -> Iterator[RayCluster]:
    """A cluster that a test may kill."""
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture
def mended(net: Network) -> Network:
    """The three nodes, whatever the test before did to them."""
    net.mend()
    return net


@pytest.fixture
def digits(prepared: Path, mended: Network, home: Path) -> Iterator[Digits]:
    net = mended
    made = Digits(prepared, home, net)
    made.az("compute create --name batch-cluster --type amlcompute --max-instances 2 -o none")
    made.az(
        f"compute create --name farm --type ray --address {net.address} --token-path {net.token}"
        " --cpus-per-instance 2 --max-instances 3 -o none"
    )
    made.az("batch-endpoint create --file endpoint.yml -o none")
    made.deploy("farm")
    yield made
    eventually(lambda: not [pid for pid in net.pids(0) if b"-m batchpoint" in command(pid)], "commands are left")


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def expected(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of a run on this machine alone."""
    out = tmp_path_factory.mktemp("local")
    words = ["score", "--code", "code", "--input", "images", "--model", "model", "--out", str(out), "--workers", "4"]
    words += ["--python", str(prepared / "venv")]
    environment = {**os.environ, "BATCHPOINT_HOME": str(out / "home")}
    batchpoint = str(Path(sys.executable).parent / "batchpoint")
    ended = subprocess.run([batchpoint, *words], cwd=prepared, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return (out / "predictions.csv").read_bytes()


def test_only_the_name_of_the_compute_tells_a_job_on_three_nodes_from_one_on_this_machine(
    digits: Digits, expected: bytes
) -> None:
    job = digits.invoke(instances=3)
    assert digits.finish(job) == expected
    nodes = {line.split(" is on ")[0] for line in digits.driver_log(job).splitlines() if " is on " in line}
    assert len(nodes) == 3, "every node had an instance"
    digits.deploy("batch-cluster")
    assert digits.finish(digits.invoke(instances=1)) == expected


def test_a_driver_outside_the_cluster_goes_through_its_client_port(digits: Digits, expected: bytes) -> None:
    net = digits.net
    digits.az(
        f"compute create --name far --type ray --address ray://{net.client_address} --token-path {net.token}"
        " --cpus-per-instance 2 --max-instances 3 -o none"
    )
    digits.deploy("far")
    assert digits.finish(digits.invoke(instances=2)) == expected


def test_a_node_that_dies_in_the_middle_changes_no_byte(digits: Digits, expected: bytes) -> None:
    job = digits.invoke(instances=3)
    eventually(lambda: digits.scored(job) > 30, "nothing is scored")
    digits.net.kill(2)
    assert digits.scored(job) < 150
    assert digits.finish(job) == expected
    assert "is lost" in digits.log(job)


@pytest.mark.parametrize(("silence_s", "cut_s"), [(60, 5), (5, 25)], ids=["it comes back in time", "it comes too late"])
def test_a_node_that_is_cut_off_for_a_while_changes_no_byte(
    digits: Digits, expected: bytes, silence_s: int, cut_s: int
) -> None:
    job = digits.invoke(instances=3, BATCHPOINT_RAY_SILENCE_S=str(silence_s))
    eventually(lambda: digits.scored(job) > 30, "nothing is scored")
    digits.net.cut(1)
    time.sleep(cut_s)  # it is the length of the cut that is tried
    digits.net.heal(1)
    assert digits.finish(job) == expected
    assert ("nothing was heard of it" in digits.log(job)) == (cut_s > silence_s)


SLOW = """
import os, time
def init(): pass
def run(paths):
    time.sleep(0.1)
    return [os.path.basename(path) for path in paths]
"""


def test_a_job_goes_on_when_the_whole_cluster_was_killed_and_started_again(
    engine: Engine, restarted: RayCluster
) -> None:
    source = engine.items(100)
    engine.job(engine.script(SLOW), source, place=restarted.place(), instance_count=2)
    driver = engine.start_driver("job", BATCHPOINT_RAY_SILENCE_S="5")
    eventually(lambda: engine.store.ledger("job", 0), "no first commit")
    restarted.die()
    assert engine.ended().status is JobStatus.RUNNING
    restarted.start()
    assert engine.wait(driver).lines == sorted(path.name for path in source.iterdir())
    restarted.stop()
