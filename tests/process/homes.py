"""What tests of whole homes share: a deployment of a scoring script, and waiting for something to come true."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from batchpoint.client import Client
from batchpoint.entities.assets import Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job

SCRIPTS = Path(__file__).parents[1] / "scoring_scripts"
PATIENCE_S = 60.0

T = TypeVar("T")


def deploy(client: Client, folder: Path, script: str, files: int = 4, **environment: str) -> Invocation:
    """Endpoint ``ep1`` with ``script`` behind it and a folder of ``files`` files; how to invoke it."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_text("w")
    (folder / "in").mkdir()
    for number in range(files):
        (folder / "in" / f"{number:03}.txt").write_text(str(number))
    client.endpoints.create_or_update(Endpoint(name="ep1"))
    client.computes.create_or_update(Compute(name="cpu"))
    deployment = Deployment(
        name="dp1",
        endpoint_name="ep1",
        model=Model(path=str(folder / "model")),
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script=script),
        compute="azureml:cpu",
        mini_batch_size=1,
        environment_variables=environment,
    )
    client.deployments.create_or_update(deployment, set_default=True, skip_script_validation=True)
    return Invocation(input=Input(path=str(folder / "in")))


def eventually(look: Callable[[], T | None], what: str) -> T:
    """What ``look`` answers as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.02)
    return found


def ended(client: Client, job: str) -> Job:
    """The job, once it has ended."""
    return eventually(
        lambda: found if (found := client.jobs.get(job)).status.is_terminal else None, f"the end of {job}"
    )


def expected_rows(files: int) -> str:
    return "".join(f"{number:03}.txt: ok\n" for number in range(files))
