"""``invoke --chaos``: a job under kills and stops gives what a clean one gives, or the command says where not."""

import json
from pathlib import Path

import pytest

from tests.acceptance.typed import ROWS, Type, deploy

INVOKE = "batch-endpoint invoke -n digits --input data"
#: Dice that fall so that every kind of harm is done to these few mini-batches.
FIRE = "--chaos kill=50%,slow=20%,seed=5"
RANDOM = """\
import os, secrets

def init():
    pass

def run(mini_batch):
    return [f"{os.path.basename(path)} {secrets.token_hex(8)}" for path in mini_batch]
"""


@pytest.fixture
def digits(typed: Type) -> Type:
    deploy(typed)
    return typed


def test_a_deterministic_script_gives_the_same_bytes_under_fire(digits: Type, home: Path) -> None:
    digits("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=0.1 -o none")
    ended = digits(f"{INVOKE} --job-name j --output-path out {FIRE}")
    report = ended.json
    assert (report["equal"], report["difference"], report["seed"]) == (True, "", 5)
    clean, fire = report["clean"], report["chaos"]
    assert (clean["job"], fire["job"]) == ("j", "j-chaos")
    assert clean["sha256"] == fire["sha256"] != {}
    assert (clean["executions"], clean["items_failed"], fire["items_failed"]) == (4, 0, 0)
    assert fire["workers_killed"] > 0
    assert fire["executions"] >= clean["executions"] + fire["workers_killed"]
    assert Path("out/clean/predictions.csv").read_text() == Path("out/chaos/predictions.csv").read_text() == ROWS
    harm = (home / "jobs" / "j-chaos" / "logs" / "sys" / "chaos.csv").read_text().splitlines()
    assert sum(line.startswith("kill,") for line in harm) == fire["workers_killed"]
    assert not (home / "jobs" / "j" / "logs" / "sys" / "chaos.csv").exists()
    assert "clean: job j\n" in ended.err
    assert "Equal, byte for byte." in ended.err and "No harm fell" not in ended.err
    assert "chances kill 50 %, slow 20 %, seed 5" in ended.err


def test_causes_are_told_once_and_an_experiment_without_harm_is_called_none(digits: Type) -> None:
    Path("data/bad.txt").write_text("no number")
    told = digits(f"{INVOKE} --chaos kill=0").err
    assert told.count("failed for one cause") == 1
    assert "chances kill 0 %, seed" in told and "No harm fell, so nothing was tried out" in told


def test_a_script_that_draws_its_rows_is_told_apart_and_the_first_line_shown(typed: Type) -> None:
    Path("code/score.py").write_text(RANDOM)
    deploy(typed)
    ended = typed(f"{INVOKE} --chaos kill=1%", code=1)
    report = json.loads(ended.out)
    assert report["equal"] is False
    assert report["clean"]["sha256"] != report["chaos"]["sha256"]
    assert report["difference"].startswith("predictions.csv differs from line 1 on.\n  clean: 0.txt ")
    assert "NOT EQUAL. predictions.csv differs from line 1 on." in ended.err
    assert "cannot give the same twice" in ended.err


def test_a_clean_job_that_fails_is_followed_by_no_second_one(digits: Type) -> None:
    Path("data/bad.txt").write_text("no number")
    ended = digits(f"{INVOKE} --job-name j --set error_threshold=0 {FIRE}", code=1)
    assert "has no output to compare with" in ended.err
    assert digits("job list --query [].name -o tsv").out == "j\n"


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ("--chaos kill=60%", 1, "kill=60% is no chance between 0 % and 50 %"),
        ("--chaos burn=1%", 1, "does not know the harm 'burn'"),
        ("--chaos kill=1% --output-dir got", 2, "--chaos runs two jobs and waits for both; leave out --output-dir"),
        ("--chaos kill=1% --no-wait", 2, "leave out --no-wait"),
    ],
)
def test_what_cannot_be_meant_starts_no_job(digits: Type, flags: str, code: int, said: str) -> None:
    refused = digits(f"{INVOKE} {flags}", code=code)
    assert said in refused.err
    assert digits("job list").json == []


def test_workers_on_other_machines_are_not_harmed(digits: Type) -> None:
    digits("compute create -n far --type ray --set address=ray://127.0.0.1:1 -o none")
    digits("batch-deployment update -n blue -e digits --set compute=azureml:far -o none")
    refused = digits(f"{INVOKE} --chaos kill=1%", code=1)
    assert "nodes of a Ray cluster" in refused.err
    assert digits("job list").json == []
