"""What a job that has ended shows for itself, typed as users do: causes, dead letters, manifest, verify, rerun."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.store.store import open_store
from tests.acceptance.command_line import Az, invoked, with_deployment

#: Fails for what stands in a file: as one of three causes.
SCRIPT = """\
import os
def init(): pass
def parsed(text):
    if "N/A" in text: raise ValueError("could not convert string to float: 'N/A'")
    return float(text)
def run(paths):
    results = []
    for path in paths:
        with open(path) as file: text = file.read()
        if "unknown" in text: raise KeyError(os.path.basename(path))
        results.append("%s %.1f" % (os.path.basename(path), parsed(text)))
    return results
"""


@pytest.fixture
def job(az: Az) -> str:
    """A job with two causes of failure, that has ended."""
    Path("code/score.py").write_text(SCRIPT)
    for old in Path("data").iterdir():
        old.unlink()
    for number in range(20):
        text = "N/A" if number in (3, 8, 11) else "unknown" if number == 15 else str(number)
        Path(f"data/{number:02}.csv").write_text(text)
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    return name


def verified(az: Az, job: str, flags: str = "", code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(az(f"job verify --name {job} {flags}", code=code).out)
    return found


def wrong(found: dict[str, Any]) -> list[str]:
    return [check["what"] for check in found["checks"] if check["state"] not in ("ok", "skipped")]


def test_the_causes_are_told_first_with_counts_shares_examples_and_what_to_do(az: Az, job: str) -> None:
    for command in (f"job stream --name {job}", f"job show --name {job}"):
        answer = az(command)
        told = answer.out if "stream" in command else answer.err
        assert "4 items failed for 2 causes:" in told
        assert "ValueError: could not convert string to float: 'N/A' (score.py:4)" in told
        assert "3 items (75.0 %) in" in told and "1 item (25.0 %) in" in told
        assert "data/03.csv" in told and "data/08.csv" not in told
        assert "KeyError: '15.csv'" in told
        assert "batchpoint explain ScriptRaised" in told
        assert f"batchpoint job redrive --name {job}" in told
        assert "failed_items.jsonl" in told
    assert az(f"job show --name {job} --query status -o tsv").err == ""
    titles, _, row = az("job list -o table").out.splitlines()
    assert row[titles.index("Items_failed") :].split()[0] == "4"
    # What it says is there, is there.
    az(f"job download --name {job} --download-path got --all")
    letters = [json.loads(line) for line in Path("got/failed_items.jsonl").read_text().splitlines()]
    assert [letter["item"] for letter in letters] == ["03.csv", "08.csv", "11.csv", "15.csv"]
    assert {letter["error_type"] for letter in letters} == {"ValueError", "KeyError"}
    assert Path("got/predictions.csv").read_text().count("\n") == 16
    manifest = json.loads(Path("got/artifacts/manifest.json").read_text())
    assert (manifest["counts"]["items_failed"], manifest["job"]) == (4, job)
    shown = az(f"job show --name {job}").json["properties"]
    assert shown["batchpoint.failed_items_path"].endswith("/failed_items.jsonl")


def test_a_failed_job_has_dead_letters_and_a_pruned_one_is_not_run_again(az: Az, job: str) -> None:
    az("batch-deployment create -f deployment.yml --set error_threshold=0 -o none")
    name = invoked(az)
    az(f"job stream --name {name}", code=1)
    az(f"job download --name {name} --download-path failed --all")
    letters = [json.loads(line) for line in Path("failed/artifacts/failed_items.jsonl").read_text().splitlines()]
    assert letters, "the job ends at its first failure, whichever of the four comes first"
    assert {letter["error_type"] for letter in letters} <= {"ValueError", "KeyError"}
    assert json.loads(Path("failed/artifacts/manifest.json").read_text())["status"] == "Failed"
    assert "There is no job nope" in az("job verify --name nope", code=1).err
    assert "There is no job nope" in az("job rerun --name nope", code=1).err
    assert "There is no job nope" in az(f"job verify --name {job} --against nope", code=1).err
    az("prune --older-than 0 --segments --yes -o none")
    assert "was pruned" in az(f"job rerun --name {job}", code=1).err
    found = verified(az, job)
    assert {check["what"] for check in found["checks"] if check["state"] == "skipped"} == {"plan", "segments"}


def of(shown: dict[str, Any], home: Path) -> dict[str, Path]:
    """The files that a manifest vouches for, by what they are."""
    folder = home / "jobs" / shown["name"]
    output = Path(shown["settings"]["output_folder"])
    segment = next(path for path in sorted((folder / "seg").iterdir()) if path.stat().st_size)
    return {
        "output": output / "predictions.csv",
        "failed items": output / "failed_items.jsonl",
        "plan": folder / "plan.items",
        "plan header": folder / "plan.json",
        "segments": segment,
        "code": Path(shown["settings"]["code_path"]) / "score.py",
        "model": next(path for path in [Path(shown["settings"]["model_path"])] for path in path.rglob("*") or [path]),
        "manifest": folder / "manifest.json",
    }


def flip(path: Path) -> Callable[[], None]:
    """Change one byte; answers how to put it back."""
    before, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(bytes([before[0] ^ 1]) + before[1:])

    def back() -> None:
        path.write_bytes(before)
        path.chmod(mode)

    return back


def test_verify_names_the_one_file_in_which_a_byte_was_changed(az: Az, home: Path, job: str) -> None:
    found = verified(az, job)
    assert found["sound"] and wrong(found) == []
    checked = {check["what"] for check in found["checks"]}
    assert checked >= {"manifest", "output", "failed items", "plan", "segments", "code", "model", "settings"}
    for what, path in of(az(f"job show --name {job}").json, home).items():
        if not path.is_file():
            continue
        back = flip(path)
        answer = az(f"job verify --name {job}", code=1)
        assert wrong(json.loads(answer.out)) == [what.removesuffix(" header")], path
        assert str(path) in answer.err or what in ("code", "model", "segments")
        back()
    assert verified(az, job)["sound"]
    output = of(az(f"job show --name {job}").json, home)["output"]
    output.rename(output.with_name("moved"))
    (gone,) = [check for check in verified(az, job, code=1)["checks"] if check["state"] != "ok"]
    assert (gone["what"], gone["state"], gone["path"]) == ("output", "missing", str(output))


def test_a_job_whose_script_writes_its_files_itself_is_sound(az: Az, home: Path) -> None:
    with_deployment(az)
    az("batch-deployment create -f deployment.yml --set output_action=summary_only -o none")
    name = invoked(az)
    az(f"job stream --name {name}")
    assert verified(az, name)["sound"]
    home.chmod(0o700)
    found = az("doctor --deep -o json").json
    assert [one["level"] for one in found if one["check"].startswith("job")] == ["ok"]


def test_a_redrive_that_was_canceled_before_it_began_has_changed_nothing_to_verify(
    az: Az, home: Path, job: str
) -> None:
    with open_store(home) as store:
        (workspace,) = (one.workspace for one in store.kept_jobs())
        before = store.get_job(workspace, job)
        assert before is not None
        settings = before.settings.model_copy(update={"error_threshold": 7})
        store.reopen_job(workspace, job, settings, {})
        assert store.request_cancel(workspace, job).status is JobStatus.CANCELED
    found = verified(az, job)
    (settings_check,) = [check for check in found["checks"] if check["what"] == "settings"]
    assert settings_check["state"] == "skipped" and settings_check["said"].startswith("Revision 1 ended before")


def test_a_rerun_is_a_new_job_with_the_same_output(az: Az, job: str) -> None:
    again = az(f"job rerun --name {job} --wait").json
    assert again["name"] != job and again["status"] == "Completed"
    assert again["properties"]["batchpoint.rerun_of"] == job
    before = az(f"job show --name {job}").json
    assert again["settings"]["output_folder"] != before["settings"]["output_folder"]
    assert again["settings"]["code_path"] == before["settings"]["code_path"]
    # Not against anything named: the job knows what it repeats.
    assert verified(az, again["name"])["comparison"] == {
        "other": job, "equal": True, "line": None, "here": "", "there": "",
    }  # fmt: skip
    Path("data/05.csv").write_text("55")
    third = az(f"job rerun --name {job} --wait").json["name"]
    answer = az(f"job verify --name {third} --against {job}", code=1)
    assert json.loads(answer.out)["comparison"] == {
        "other": job, "equal": False, "line": 5, "here": "05.csv 55.0", "there": "05.csv 5.0",
    }  # fmt: skip
    assert "differ first in line 5" in answer.err
    shutil.rmtree("data")
    refused = az(f"job rerun --name {job}", code=1).err
    assert "its input" in refused and "is gone" in refused
