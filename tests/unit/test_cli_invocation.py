"""Three generations of invoke's flags become one invocation."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from batchpoint.cli.call import Call
from batchpoint.cli.commands.endpoints.invocation import invoke
from batchpoint.cli.grammar import Command, read_flags
from batchpoint.cli.groups import resolve
from batchpoint.client import Client
from batchpoint.entities.data import Invocation
from batchpoint.entities.tables.split import Split
from batchpoint.errors import CommandLineInvalid, UserError
from batchpoint.settings import Settings

STORE = "azureml://datastores/workspaceblobstore/paths"


class Endpoints:
    """Keeps what it was asked to invoke."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Invocation, bool]] = []

    def invoke(self, name: str, invocation: Invocation, *, upload: bool) -> None:
        self.asked.append((name, invocation, upload))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "3.txt").write_text("3")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(flags: str) -> tuple[str, Invocation, bool]:
    command, words = resolve(f"batch-endpoint invoke {flags}".split())
    assert isinstance(command, Command)
    endpoints = Endpoints()
    client = cast("Client", SimpleNamespace(endpoints=endpoints))
    invoke(Call(read_flags(command, words), Settings(), ExitStack(), client))
    return endpoints.asked[0]


@pytest.mark.parametrize(
    ("flags", "path", "kind"),
    [
        ("--input-path folder:data", "{work}/data", "uri_folder"),
        ("--input-path file:data/3.txt", "{work}/data/3.txt", "uri_file"),
        (f"--input-path folder:{STORE}/mnist", f"{STORE}/mnist", "uri_folder"),
        ("--input-path file:https://host/taxi.csv", "https://host/taxi.csv", "uri_file"),
        ("--input-local-path data", "{work}/data", "uri_folder"),
        ("--input-dataset azureml:digits:1", "azureml:digits:1", None),
        ("--input azureml:digits@latest", "azureml:digits@latest", None),
        ("--input data", "{work}/data", "uri_folder"),
        ("--input-data data/3.txt", "{work}/data/3.txt", "uri_file"),
        (f"--input {STORE}/mnist/1.png --input-type URI_FILE", f"{STORE}/mnist/1.png", "uri_file"),
        ("--inputs x.path=data x.type=uri_folder", "{work}/data", "uri_folder"),
        ('--inputs {"x":{"path":"data/3.txt","type":"uri_file"}}', "{work}/data/3.txt", "uri_file"),
        ("--set inputs.x.type uri_folder inputs.x.path data", "{work}/data", "uri_folder"),
    ],
)
def test_every_way_to_name_an_input_is_understood(flags: str, path: str, kind: str | None, work: Path) -> None:
    found = asked(f"-n digits {flags}")[1].input
    assert found is not None
    assert found.path == path.replace("{work}", str(work))
    assert (found.type if "type" in found.model_fields_set else None) == kind


def test_every_override_arrives() -> None:
    name, invocation, upload = asked(
        "-n digits -d blue --job-name mine --experiment-name e -m 20 -c 5 --upload --input https://h/x --include *.png "
        "--set output_file_name=a.csv retry_settings.max_retries=1 retry_settings.timeout 9 --set error_threshold=-1"
    )
    said: dict[str, Any] = invocation.model_dump(exclude_defaults=True)
    assert (name, upload) == ("digits", True)
    assert said == {
        "endpoint_name": "digits",
        "deployment_name": "blue",
        "job_name": "mine",
        "experiment_name": "e",
        "mini_batch_size": 20,
        "instance_count": 5,
        "input": {"path": "https://h/x", "include": ("*.png",)},
        "output_file_name": "a.csv",
        "max_retries": 1,
        "timeout_s": 9,
    } | ({"error_threshold": -1} if "error_threshold" in said else {})
    assert invocation.error_threshold == -1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (f"folder:{STORE}/out", f"{STORE}/out"),
        (f"{STORE}/out", f"{STORE}/out"),
        ("wasbs://box@acct.blob.core.windows.net/out", "wasbs://box@acct.blob.core.windows.net/out"),
        ("folder:s3://bucket/out", "s3://bucket/out"),
        ("runs:/run/out", "runs:/run/out"),
        ("there", "{work}/there"),
        ("folder:there", "{work}/there"),
    ],
)
def test_the_output_goes_to_a_datastore_or_a_local_folder(given: str, sent: str, work: Path) -> None:
    assert asked(f"-n digits --output-path {given}")[1].output_path == sent.replace("{work}", str(work))


def test_an_output_elsewhere_is_refused() -> None:
    with pytest.raises(UserError, match="registered datastore"):
        asked("-n digits --output-path https://host/out")


def test_a_file_may_name_the_endpoint_and_flags_win_over_it(work: Path) -> None:
    (work / "invoke.yml").write_text("endpoint: digits\ndeployment: blue\ninputs:\n  x:\n    path: data\n")
    name, invocation, _ = asked("--file invoke.yml --deployment-name green")
    assert (name, invocation.deployment_name) == ("digits", "green")
    assert invocation.input is not None
    assert invocation.input.path == str(work / "data")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--input a", "--name is needed without --file"),
        ("--file i.yml", "i.yml names no endpoint"),
        ("-n digits --input a --input-path b", "--input and --input-path name two inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags: str, told: str, work: Path) -> None:
    (work / "i.yml").write_text("inputs: {x: {path: data}}")
    with pytest.raises(CommandLineInvalid, match=told):
        asked(flags)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("--split-rows 500", Split(rows=500)),
        ("--split-bytes 10mb", Split(bytes=10 << 20)),
        ("--set split.rows=7", Split(rows=7)),
        ("--set settings.split.bytes=2kb", Split(bytes=2048)),
        ("", None),
    ],
)
def test_the_size_of_parts_is_said_in_rows_or_in_bytes(flags: str, wanted: Split | None) -> None:
    assert asked(f"--name digits --input data {flags}")[1].split == wanted


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--split-rows 5 --split-bytes 5kb", "keep one of them"),
        ("--split-rows 0", "at least 1"),
        ("--split-bytes huge", "'huge' is no size"),
    ],
)
def test_a_size_of_parts_that_is_none_is_refused(flags: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        asked(f"--name digits --input data {flags}")
