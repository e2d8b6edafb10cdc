"""Fix the script, redrive: through the server, without one, and with ``score``; only what failed is scored again."""

import json
import sys
from pathlib import Path

import httpx
import pytest

from batchpoint.entities.job import JobSettings
from tests.acceptance.command_line import Az, Gate, invoked, with_deployment

#: What the script makes of words, once it is mended.
WORDS = "int({'two': 2, 'five': 5}.get(open(path).read(), 0) or open(path).read())"
ROWS = "".join(f"{number}.txt: {100 + number}\n" for number in range(7))
CALLS = "open('{calls}', 'a').write(os.path.basename(path) + ' ') and "


@pytest.fixture(params=["without a server", "through the server"])
def way(request: pytest.FixtureRequest, az: Az) -> Az:
    """Command lines in both ways."""
    if request.param == "through the server":
        request.getfixturevalue("server")
    return az


def spoil() -> None:
    """Two files that the script stumbles over."""
    Path("data/2.txt").write_text("two")
    Path("data/5.txt").write_text("five")


def mend(script: str = "code/score.py") -> Path:
    """Answers where the mended script notes the files that it is given."""
    calls = Path("calls").absolute()
    text = Path(script).read_text().replace("int(open(path).read())", WORDS)
    Path(script).write_text(text.replace('f"{os.', CALLS.format(calls=calls) + 'f"{os.'))
    return calls


def output(az: Az, name: str, folder: str) -> str:
    az(f"job download --name {name} --download-path {folder}")
    return Path(folder, "predictions.csv").read_text()


def test_the_script_is_fixed_and_the_failed_items_are_scored_into_the_same_output(way: Az) -> None:
    spoil()
    with Path("deployment.yml").open("a") as file:
        file.write(f"environment: {{python: {sys.executable}}}\n")
    with_deployment(way)
    name = invoked(way)
    assert "2 failed" in way(f"job stream --name {name}").out
    calls = mend()
    way("batch-deployment create -f deployment.yml -o none")
    begun = way(f"job redrive --name {name}")
    assert begun.json["name"] == name and begun.json["status"] in ("Preparing", "Queued", "Running")
    assert f"Job {name} is scored again with deployment blue as it stands now; other than before: code." in begun.err
    streamed = way(f"job stream --name {name}").out
    assert "Revision 1 of the job begins" in streamed and "7 of 7 items scored" in streamed
    assert output(way, name, "whole") == ROWS
    assert sorted(calls.read_text().split()) == ["2.txt", "5.txt"]
    assert f"(ResourceConflict) Job {name} has no failed items" in way(f"job redrive --name {name}", code=1).err
    assert "job redrive" in way(f"job resume --name {name}", code=1).err
    assert way("job list --query length(@)").json == 1


def test_another_deployment_may_score_what_failed(az: Az) -> None:
    spoil()
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    mend()
    az("batch-deployment create -f deployment.yml --set name=green max_concurrency_per_instance=1 -o none")
    told = az(f"job redrive --name {name} -d green --set error_threshold=1 --wait")
    assert "with deployment green as it stands now; other than before: code_path" not in told.err
    assert "other than before: code, max_concurrency_per_instance, error_threshold." in told.err
    assert told.json["properties"]["batchpoint.redriven_with"] == "green"
    assert output(az, name, "whole") == ROWS


def test_a_job_whose_deployment_is_gone_is_scored_again_as_it_was(az: Az) -> None:
    spoil()
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    az("batch-endpoint delete -n digits --yes")
    Path("data/2.txt").write_text("2")
    told = az(f"job redrive --name {name} --wait")
    assert "Deployment blue is gone" in told.err
    assert "5.txt" not in output(az, name, "more") and "2.txt: 102" in output(az, name, "again")
    for change in ("error_threshold=1", "isolate_failures=false"):
        assert "is gone" in az(f"job redrive --name {name} --set {change}", code=1).err


def test_what_belongs_to_the_plan_cannot_be_set(az: Az) -> None:
    spoil()
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    refused = az(f"job redrive --name {name} --set mini_batch_size=1 output_path=elsewhere", code=1).err
    assert "mini_batch_size" in refused and "output_data" in refused and "stays as it is" in refused


def test_a_redrive_that_fails_leaves_the_output_to_be_downloaded_and_resume_goes_on(az: Az) -> None:
    spoil()
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    part = output(az, name, "part")
    assert az(f"job redrive --name {name} --set error_threshold=0 --wait", code=1).json["status"] == "Failed"
    assert output(az, name, "kept") == part
    Path("data/2.txt").write_text("2")
    Path("data/5.txt").write_text("5")
    assert az(f"job resume --name {name} --wait").json["status"] == "Completed"
    assert output(az, name, "whole") == ROWS


def test_only_a_job_that_has_ended_and_kept_its_plan_is_scored_again(az: Az, gate: Gate, home: Path) -> None:
    with_deployment(az)
    script = Path("code/score.py")
    waits = f"    open('{gate.path}.in', 'w').close(); open('{gate.path}.out').close()\n    return ["
    script.write_text(script.read_text().replace("    return [", waits))
    az("batch-deployment create -f deployment.yml --set mini_batch_size=100 retry_settings.timeout=600 -o none")
    name = invoked(az)
    gate.await_run()
    for verb in ("redrive", "resume"):
        assert f"Job {name} is Running; only a job that has ended" in az(f"job {verb} --name {name}", code=1).err
        step = az(f"job {verb} --name {name}-batchscoring", code=1).err
        assert f"job {verb} --name {name}" in step
    az(f"job cancel --name {name}")
    gate.open()
    az(f"job stream --name {name}")
    assert az(f"job show --name {name} --query status -o tsv").out == "Canceled\n"
    (home / "jobs" / name / "plan.json").unlink()
    refused = az(f"job resume --name {name}", code=1).err
    assert f"Job {name} cannot be resumed: its plan is gone" in refused and "Invoke the endpoint again" in refused


def test_the_same_request_begins_one_revision(az: Az, http: httpx.Client) -> None:
    spoil()
    with_deployment(az)
    name = invoked(az)
    az(f"job stream --name {name}")
    path = az(f"job show --name {name} --query id -o tsv").out.strip()
    key = {"repeatability_request-id": "one"}
    answers = [http.post(f"{path}/redrive", json={}, headers=key) for _ in range(2)]
    assert [(answer.status_code, answer.json()["name"]) for answer in answers] == [(200, name)] * 2
    assert http.post(f"{path}/redrive", json={}).status_code == 409
    az(f"job stream --name {name}")
    again = http.post(f"{path}/redrive", json={}, headers=key).json()["properties"]["batchpoint"]
    assert (again["revision"], again["status"]) == (1, "Completed")


SCORE = "score --code code/score.py --model model --input data --out out --mini-batch-size 2 --max-retries 1"


def test_score_scores_again_what_failed_with_a_mended_script(az: Az) -> None:
    spoil()
    told = az(SCORE).out
    assert "2 failed" in told and "--redrive scores what failed" in told
    first = Path("out/predictions.csv").read_text()
    calls = mend()
    healed = json.loads(az(f"{SCORE} --redrive --json").out)
    assert (healed["items"], healed["items_succeeded"], healed["items_failed"]) == (7, 7, 0)
    assert Path("out/predictions.csv").read_text() == ROWS != first
    assert sorted(calls.read_text().split()) == ["2.txt", "5.txt"]
    (run,) = (path for path in Path("out").iterdir() if path.is_dir())
    assert {path.name for path in run.iterdir()} <= {"logs", "user_logs", "mlruns", "driver.log", "manifest.json"}
    assert "No run in" in az(f"{SCORE} --redrive", code=1).err


def test_score_tells_a_redrive_that_cannot_be(az: Az) -> None:
    assert "No run in" in az(f"{SCORE} --redrive", code=1).err
    spoil()
    az(SCORE)
    (run,) = (path for path in Path("out").iterdir() if path.is_dir())
    Path("elsewhere").mkdir()
    Path("elsewhere/1.txt").write_text("1")
    assert f"The run {run.name} scored" in az(f"{SCORE} --redrive --input elsewhere", code=1).err
    assert "The run score-none in" in (told := az(f"{SCORE} --run score-none", code=1).err)
    assert "cannot be scored again" in told
    other = az(f"{SCORE} --redrive --mini-batch-size 3", code=1).err
    assert f"--mini-batch-size 3: the run {run.name} has 2, and that stays" in other
    other = az(f"{SCORE} --redrive --output-file-name x.csv", code=1).err
    assert "--output-file-name x.csv" in other and "has predictions.csv" in other
    Path("out/predictions.csv").write_text("edited")
    mend()
    edited = az(f"{SCORE} --redrive --run {run.name}", code=1).err
    assert "(OutputAlreadyExists)" in edited and "no longer holds what this job wrote" in edited
    assert Path("out/predictions.csv").read_text() == "edited"
    Path("out/predictions.csv").unlink()
    assert "7 of 7" in az(f"{SCORE} --redrive").out and Path("out/predictions.csv").read_text() == ROWS


def test_a_line_of_score_typed_again_without_redrive_is_refused_and_told_of_it(az: Az) -> None:
    spoil()
    az(SCORE)
    (run,) = (path for path in Path("out").iterdir() if path.is_dir())
    mend()
    refused = az(SCORE, code=1)
    assert "OutputAlreadyExists" in refused.err and "0 of 0" not in refused.out
    assert f"--redrive scores what failed in {run.name}" in refused.out
    size = "--mini-batch-size 2"
    assert "7 of 7" in az(f"{SCORE.replace(size, '')} --redrive").out, (
        "the size is the first run's, unless one is given"
    )
    assert Path("out/predictions.csv").read_text() == ROWS


def test_score_goes_on_with_a_run_that_failed(az: Az) -> None:
    spoil()
    assert "ErrorThresholdExceeded" in az(f"{SCORE} --error-threshold 0", code=1).err
    mend()
    assert "7 of 7" in az(f"{SCORE} --redrive").out and Path("out/predictions.csv").read_text() == ROWS


def test_rows_of_a_script_and_of_a_model_without_one_are_not_put_into_one_file(az: Az) -> None:
    spoil()
    with_deployment(az)
    Path("plain").mkdir()
    Path("plain/MLmodel").write_text("flavors: {python_function: {loader_module: plain}}\n")
    Path("plain.yml").write_text(
        "{name: plain, endpoint_name: digits, compute: cluster, model: {path: ./plain, type: mlflow_model}, "
        f"environment: {{python: {sys.executable}}}}}\n"
    )
    az("batch-deployment create -f plain.yml -o none")
    name = invoked(az)
    az(f"job stream --name {name}")
    refused = az(f"job redrive --name {name} -d plain", code=1).err
    assert "cannot be redriven with deployment plain: in the format azure" in refused
    assert az(f"job show --name {name}").json["status"] == "Completed"
    # Where rows have names there is a place for each.
    before = JobSettings.model_validate(az(f"job show --name {name}").json["settings"])
    named = before.model_copy(update={"output_format": "csv"})
    assert named.unlike(named.model_copy(update={"scoring_script": ""})) is None
