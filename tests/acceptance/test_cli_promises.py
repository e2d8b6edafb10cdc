"""What holds for every command alike: confirmations, ``--no-wait``, foreign quotes, and what becomes the default."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.cli.grammar import Command, read_flags
from batchpoint.cli.groups import GROUPS
from tests.acceptance.typed import ROWS, Type, deploy

ROOT = Path(__file__).parents[2]
COMMANDS = [command for group in GROUPS.values() for command in group.commands()]
DELETING = [command for command in COMMANDS if command.verb == "delete" and not command.stub]
#: The nouns that are kept by a server. What changes them may be asked not to wait.
KEPT = {"batch-endpoint", "batch-deployment", "compute", "model", "data", "dataset", "environment", "workspace"}
CHANGING = [
    command
    for command in COMMANDS
    if command.words.split()[0] in KEPT and command.verb in ("create", "update", "delete") and not command.stub
]


def by_words(command: Command) -> str:
    return command.words.replace(" ", "-")


def with_needed_flags(command: Command) -> str:
    return command.words + "".join(f" {flag.spellings[0]} nothing" for flag in command.flags if flag.required)


@pytest.mark.parametrize("command", DELETING, ids=by_words)
def test_nothing_is_deleted_where_nobody_can_say_yes(command: Command, typed: Type) -> None:
    line = with_needed_flags(command)
    told = typed(line, code=1).err
    assert "--yes" in told
    assert "no terminal" in told


def test_a_no_at_the_terminal_deletes_nothing_and_a_yes_does(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed("batch-endpoint create -n digits -o none")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    refused = typed("batch-endpoint delete -n digits", code=1).err
    assert "Delete endpoint digits with its deployments? Its jobs and their outputs stay. (y/n): " in refused
    assert "Nothing was deleted." in refused
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    typed("batch-endpoint delete -n digits")
    assert typed("batch-endpoint list").json == []


@pytest.mark.parametrize("command", CHANGING, ids=by_words)
def test_what_changes_a_noun_takes_no_wait(command: Command) -> None:
    words = with_needed_flags(command).split()[len(command.words.split()) :]
    assert read_flags(command, [*words, "--no-wait"]).no_wait is True


def test_with_no_wait_the_change_is_made_all_the_same(typed: Type) -> None:
    typed("compute create -n cluster --type amlcompute --max-instances 2 --no-wait -o none")
    typed("batch-endpoint create -n digits --no-wait -o none")
    typed("batch-deployment create -f deployment.yml --no-wait -o none")
    assert typed("batch-deployment show -n blue -e digits --query mini_batch_size").out == "2\n"
    typed("batch-deployment delete -n blue -e digits --yes --no-wait")
    assert typed("batch-deployment list -e digits").json == []


def test_quotes_of_another_shell_around_names_and_paths_are_taken_off(typed: Type) -> None:
    deploy(typed)
    assert typed("""batch-endpoint show --name '"digits"' --query name -o tsv""").out == "digits\n"
    assert typed("""batch-endpoint show --name="'digits'" --query name -o tsv""").out == "digits\n"
    line = """batch-endpoint invoke --name '"digits"' --deployment-name '"blue"' --input '"data"' --wait"""
    assert typed(f"""{line} --output-dir '"got"' --output '"none"'""").out == ""
    assert Path("got/predictions.csv").read_text() == ROWS
    typed(
        """compute create -n '"other"' --type '"AmlCompute"' --max-instances '"3"' --description '"as said"' -o none"""
    )
    assert typed("compute show -n other --query [max_instances,description] -o tsv").out.split("\n")[:2] == [
        "3",
        '"as said"',
    ], "text is left as it is"


def test_nothing_becomes_the_default_unless_somebody_says_so(typed: Type) -> None:
    typed("compute create -n cluster --type amlcompute -o none")
    typed("batch-endpoint create -n digits -o none")
    invoke = "batch-endpoint invoke -n digits --input data"
    assert "No deployment exists for this endpoint" in typed(invoke, code=1).err
    typed("batch-deployment create -f deployment.yml -o none")
    assert typed("batch-endpoint show -n digits --query defaults.deployment_name -o tsv").out.strip() == ""
    told = typed(invoke, code=1).err
    assert "Endpoint digits has no default deployment. Name one (blue) with --deployment-name" in told
    command = re.search(r"batch-endpoint update --name digits --set defaults\.deployment_name=blue", told)
    assert command, told
    typed(f"{command[0]} -o none")
    assert typed(f"{invoke} --wait --query status -o tsv").out == "Completed\n"
    assert "Deployment name green not found for this endpoint" in typed(f"{invoke} -d green", code=1).err


def test_set_default_takes_effect_only_after_the_deployment_has_succeeded(typed: Type) -> None:
    deploy(typed)
    default = "batch-endpoint show -n digits --query defaults.deployment_name -o tsv"
    green = "batch-deployment create -f deployment.yml --name green --set-default"
    typed(f"{green} --set compute=azureml:nowhere", code=1)
    assert typed(default).out == "blue\n"
    told = typed(f"{green} --no-wait", code=2).err
    assert "--set-default makes a deployment the default once it has succeeded, so it waits" in told
    assert typed(default).out == "blue\n"
    assert typed("batch-deployment list -e digits --query [].name -o tsv").out == "blue\n"
    typed(f"{green} -o none")
    assert typed(default).out == "green\n"


def test_the_printed_job_answers_to_the_spellings_of_every_year(typed: Type) -> None:
    deploy(typed)
    job = typed("batch-endpoint invoke -n digits --input data --wait").json
    assert [key for key in ("name", "id", "status", "type", "display_name", "outputs") if key not in job] == []
    for query in ("interactionEndpoints", "interaction_endpoints", "services"):
        shown = typed(f"job show -n {job['name']} --query {query}.Studio.endpoint -o tsv").out
        assert shown.endswith(f"/runs/{job['name']}\n")


def test_an_invocation_file_names_endpoint_and_deployment(typed: Type) -> None:
    deploy(typed)
    Path("invoke.yml").write_text(
        "endpoint: digits\ndeployment: blue\ninputs:\n  mnist:\n    type: uri_folder\n    path: data\n"
    )
    job = typed("batch-endpoint invoke --f invoke.yml --wait").json
    assert (job["endpoint_name"], job["deployment_name"], job["status"]) == ("digits", "blue", "Completed")
    assert "green" in typed("batch-endpoint invoke -f invoke.yml -d green", code=1).err


def test_a_stub_does_nothing_and_says_so_and_the_readme_lists_it() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Accepted, and only stubs\n")[2]
    # What a command is, not why it is only that.
    named = "".join(line.split("|")[1] for line in section.partition("\n## ")[0].splitlines() if line.startswith("|"))
    listed = re.findall(r"`([a-z-]+(?: [a-z-]+)?)`", named)
    assert sorted(listed) == sorted(command.words for command in COMMANDS if command.stub)


def test_a_word_is_completed_before_anyone_waits() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-X", "importtime", "-m", "batchpoint", "__complete", "words", "batch-endpoint", "in"]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert ended.stdout.startswith("invoke\t")
    assert "sqlite3" not in ended.stderr, "words need no store"
