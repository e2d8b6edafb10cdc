"""Deployments on a compute with containers, over a runtime that notes how it is called and runs workers without any.

Real containers are in tests/faults/test_containers.py.
"""

import json
import sys
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.compute.containers.command import Box, Mounts, without_gaps, work_command
from batchpoint.compute.containers.runtime import Runtime, check_image, full_name
from batchpoint.entities.assets import Environment, EnvironmentBuild
from batchpoint.entities.compute import Compute
from batchpoint.entities.job import JobStatus
from batchpoint.entities.tables.golden_rows import GoldenRows
from batchpoint.errors import NotSupported, ValidationFailed
from tests.process.homes import deploy, ended, expected_rows

RUNTIME = """#!{python} -S
import json, os, sys
words = sys.argv[1:]
with open({note!r}, 'a') as note: note.write(json.dumps(words) + chr(10))
if words[0] == '--version': print('podman version 4.0')
elif words[0] == 'image': print('sha256:' + '0' * 64)
elif words[0] == 'run':
    split = words.index('--')
    environment = dict(word[6:].split('=', 1) for word in words[:split] if word.startswith('--env='))
    environment['PATH'] = os.path.dirname({python!r}) + ':/usr/bin:/bin'
    folder = [word[10:] for word in words[:split] if word.startswith('--workdir=')]
    os.chdir(folder[0] if folder else '/')
    os.execve('/bin/sh', ['sh', *words[split + 2:]], environment)
"""


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runtime notes how it is called; it is the one of the home."""
    note, program = tmp_path / "calls.jsonl", tmp_path / "podman"
    program.write_text(RUNTIME.format(python=sys.executable, note=str(note)))
    program.chmod(0o755)
    monkeypatch.setenv("BATCHPOINT_CONTAINER_RUNTIME", str(program))
    return note


def calls(note: Path) -> list[list[str]]:
    return [json.loads(line) for line in note.read_text().splitlines()]


def with_environment(client: Client, environment: Environment | None, compute: str = "boxes") -> None:
    found = client.deployments.get("ep1", "dp1")
    changed = found.model_copy(update={"environment": environment, "compute": f"azureml:{compute}"})
    client.deployments.create_or_update(changed)


def test_a_deployment_on_a_compute_with_containers_runs_in_its_image(
    note: Path, client: Client, tmp_path: Path
) -> None:
    wanted = deploy(client, tmp_path / "files", "good.py", SECRET="--privileged\n'x'")
    made = client.computes.create_or_update(Compute(name="boxes", isolation="container", memory_per_instance="1g"))
    assert (made.isolation, made.memory_per_instance) == ("container", "1g")
    with_environment(client, Environment(image="registry.example.org/team/image:1"))
    job = ended(client, client.endpoints.invoke("ep1", wanted).name)
    assert job.status is JobStatus.COMPLETED, job.error
    assert (Path(job.settings.output_folder) / "predictions.csv").read_text() == expected_rows(4)
    (started,) = [words for words in calls(note) if words[0] == "run" and any("--name" in word for word in words)]
    options = started[: started.index("--")]
    assert f"--memory={1 << 30}" in options and "--cap-drop=all" in options
    assert f"--mount=type=bind,source={job.settings.model_path},target={job.settings.model_path},readonly" in options
    assert not any("privileged" in word for word in started)


def test_a_build_context_is_kept_by_its_content(note: Path, client: Client, tmp_path: Path) -> None:
    deploy(client, tmp_path / "files", "good.py")
    client.computes.create_or_update(Compute(name="boxes", isolation="container"))
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM python:3.11\n")
    with_environment(client, Environment(build=EnvironmentBuild(path=str(context))))
    reference = str(client.deployments.get("ep1", "dp1").environment)
    name, _, version = reference.rpartition("/environments/")[2].partition("/versions/")
    kept = client.environments.get(name, version).build
    assert kept is not None and kept.path.startswith("azureml://datastores/workspaceblobstore/paths/")


def test_what_cannot_run_in_containers_or_without_them_is_refused_at_creation(
    note: Path, client: Client, tmp_path: Path
) -> None:
    deploy(client, tmp_path / "files", "good.py")
    client.computes.create_or_update(Compute(name="boxes", isolation="container"))
    image = Environment(image="localhost/one:1")
    with pytest.raises(NotSupported, match="isolation: process"):
        with_environment(client, None)
    with pytest.raises(NotSupported, match="--isolation container"):
        with_environment(client, image, "cpu")
    with pytest.raises(NotSupported, match="is no name of an image"):
        with_environment(client, Environment(image="--privileged"))
    note.with_name("podman").unlink()
    with pytest.raises(NotSupported, match=r"There is no program .*podman, which the setting container_runtime names"):
        with_environment(client, image)


def test_golden_rows_are_checked_where_a_deployment_is_made(client: Client, tmp_path: Path) -> None:
    deploy(client, tmp_path / "files", "good.py", files=2)
    expected = tmp_path / "expected.csv"
    expected.write_text("000.txt: ok\n001.txt: bad\n")
    rows = GoldenRows(input=str(tmp_path / "files" / "in"), expected=str(expected))
    changed = client.deployments.get("ep1", "dp1").model_copy(update={"golden_rows": rows})
    with pytest.raises(ValidationFailed, match=r"expected\.csv, row 2: expected 001.txt: bad, found 001.txt: ok"):
        client.deployments.create_or_update(changed)
    assert client.deployments.get("ep1", "dp1").golden_rows is None
    client.deployments.create_or_update(changed, skip_golden_rows=True)
    expected.write_text(expected_rows(2))
    made = client.deployments.create_or_update(changed)
    assert made.golden_rows is not None and made.golden_rows.expected.startswith("azureml://datastores/")


@pytest.mark.parametrize(
    "name", ["-v", "--privileged", "a b", "dir:/etc", "docker://image", "UPPER", "a/../b", "x@sha256:1", "", "a\nb"]
)
def test_what_is_no_name_of_an_image_never_reaches_the_runtime(name: str) -> None:
    with pytest.raises(NotSupported):
        check_image(name)


def test_names_are_completed_as_docker_does() -> None:
    for name in ("python:3.11", "localhost/a:1", "mcr.example.com:5000/azureml/base", "a/b@sha256:" + "0" * 64):
        check_image(name)
    assert full_name("python:3.11") == "docker.io/library/python:3.11"
    assert full_name("team/image") == "docker.io/team/image"
    assert full_name("localhost/a:1") == "localhost/a:1"


def test_gpus_users_and_networks_are_told_as_each_runtime_wants_them() -> None:
    def command(kind: str, gpus: str, **chosen: object) -> list[str]:
        values = {"runtime": Runtime(f"/bin/{kind}", kind), "image": "i", "mounts": Mounts(), "job": Path("/j")}  # type: ignore[arg-type]
        box = Box(**{**values, "uid": 1000, "gid": 1000, **chosen})  # type: ignore[arg-type]
        return without_gaps(work_command(box, "n", "M=m", Path("/j/c"), "", gpus, Path("/j/worker")))

    assert '--gpus="device=1"' in command("docker", "1")
    assert {"--device=nvidia.com/gpu=1", "--userns=keep-id"} <= {*command("podman", "1")}
    assert "--network=none" in command("podman", "", network="none")
    assert not any(word.startswith(("--network", "--memory", "--cap-add")) for word in command("docker", ""))
    assert "--cap-add=DAC_OVERRIDE" in command("docker", "", uid=0)
