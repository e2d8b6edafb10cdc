"""Every verb changes something, and another verb reads it back."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command_line import Az, invoked, program_environment, with_deployment

SCRIPTS = Path(__file__).parents[1] / "scoring_scripts"


def test_an_endpoint_is_created_shown_listed_updated_and_deleted(az: Az) -> None:
    made = az("ml batch-endpoint create --file endpoint.yml --set tags.floor=2 description=Other").json
    assert (made["name"], made["description"], made["tags"]) == ("digits", "Other", {"team": "vision", "floor": "2"})
    assert az("batch-endpoint show --name digits").json == made
    az("batch-endpoint create --name letters")
    assert az("batch-endpoint list --query [].name -o tsv").out.split() == ["digits", "letters"]
    az("batch-endpoint update -n digits --set description=New --remove tags.floor")
    shown = az("batch-endpoint show -n digits").json
    assert (shown["description"], shown["tags"], shown["auth_mode"]) == ("New", {"team": "vision"}, "aad_token")
    az("batch-endpoint create --name digits --set description=Upsert")
    assert az("batch-endpoint show -n digits --query description -o tsv").out == "Upsert\n"
    assert az("batch-endpoint delete -n digits --yes").out == ""
    assert az("batch-endpoint list --query [].name -o tsv").out.split() == ["letters"]


def test_a_deployment_is_created_shown_listed_updated_made_default_and_deleted(az: Az) -> None:
    with_deployment(az)
    shown = az("batch-deployment show --name blue --endpoint-name digits").json
    assert (shown["mini_batch_size"], shown["logging_level"]) == (2, "Info")
    assert shown["model"].startswith("azureml:/subscriptions/")
    assert az("batch-endpoint show -n digits --query defaults.deployment_name -o tsv").out == "blue\n"
    az("batch-deployment create -f deployment.yml --name green --set mini_batch_size=5 retry_settings.timeout 9")
    assert az("batch-deployment list -e digits --query [].name -o tsv").out.split() == ["blue", "green"]
    az("batch-deployment update --name green --endpoint digits --set error_threshold=3 -o none")
    green = az("batch-deployment show -n green -e digits").json
    assert (green["error_threshold"], green["mini_batch_size"], green["retry_settings"]["timeout"]) == (3, 5, 9)
    az("batch-endpoint update --name digits --defaults deployment_name=green -o none")
    refused = az("batch-deployment delete -n green -e digits --yes", code=1)
    assert "default" in refused.err
    az("batch-deployment delete -n blue -e digits --yes")
    assert az("batch-deployment list -e digits --query [].name -o tsv").out.split() == ["green"]


def test_a_compute_is_created_shown_listed_updated_and_deleted(az: Az) -> None:
    az("compute create -n cluster --type AmlCompute --min-instances 0 --max-instances 5 --tags a=b")
    shown = az("compute show -n cluster").json
    assert (shown["max_instances"], shown["type"], shown["tags"]) == (5, "amlcompute", {"a": "b"})
    az("compute update -n cluster --max-instances 3 --idle-time-before-scale-down 60")
    assert az("compute list --query [].[name,max_instances] -o tsv").out == "cluster\t3\n"
    az("compute delete -n cluster --yes")
    assert az("compute list").json == []


@pytest.mark.parametrize(
    ("group", "flags"),
    [
        ("model", "--path model --type custom_model"),
        ("model", "--local-path model"),
        ("data", "--path data --type uri_folder"),
        ("dataset", "--paths folder:data"),
        ("dataset", "--local-path data"),
        ("environment", "--image some/image:1 --conda-file conda.yml"),
        ("environment", f"--python {sys.executable}"),
    ],
)
def test_an_asset_is_created_shown_and_listed(group: str, flags: str, az: Az) -> None:
    first = az(f"{group} create --name thing {flags} --description Mine --tags a=b").json
    assert (first["version"], first["description"], first["tags"]) == ("1", "Mine", {"a": "b"})
    assert az(f"{group} show --name thing --version 1").json == first
    az(f"{group} create --name thing --version 7 {flags}")
    assert az(f"{group} show --name thing --label latest --query version -o tsv").out == "7\n"
    assert az(f"{group} list --query [].name -o tsv").out == "thing\n"
    assert sorted(az(f"{group} list --name thing --query [].version -o tsv").out.split()) == ["1", "7"]
    assert "--version and --label" in az(f"{group} show --name thing", code=2).err


def test_a_job_is_started_streamed_shown_listed_and_downloaded(az: Az) -> None:
    with_deployment(az)
    name = invoked(az)
    streamed = az(f"job stream --name {name}").out
    assert streamed.startswith(f"RunId: {name}\nWeb View: http")
    assert "Streaming logs/azureml/executionlogs.txt\n" in streamed
    assert "Execution Summary\n=================\n" in streamed
    assert "7 of 7 items succeeded; 7 rows" in streamed
    shown = az(f"job show --name {name} --web")
    assert (shown.json["status"], shown.json["properties"]["batchpoint.items_succeeded"]) == ("Completed", "7")
    assert "Web View: http" in shown.err
    for group in ("job list", "batch-endpoint list-jobs -n digits", "batch-deployment list-jobs -n blue -e digits"):
        assert az(f"{group} --query [].name -o tsv").out == f"{name}\n", group
    az(f"job download --name {name} --output-name score --download-path got")
    assert Path("got/predictions.csv").read_text() == "".join(f"{n}.txt: {100 + n}\n" for n in range(7))


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("--input azureml:digits@latest --upload", "0123456"),
        ("--input-data data --include 2.txt 4.txt --exclude 4*", "2"),
    ],
)
def test_overrides_of_an_invocation_reach_its_job(flags: str, names: str, az: Az) -> None:
    with_deployment(az)
    az("data create --name digits --path data -o none")
    out = f"--output-path {Path('there').absolute()} --set output_file_name=out.csv --mini-batch-size 3 -c 2"
    job = az(f"batch-endpoint invoke -n digits -d blue {out.replace('--set', flags + ' --set')} --job-name mine").json
    assert (job["name"], job["settings"]["mini_batch_size"], job["settings"]["instance_count"]) == ("mine", 3, 2)
    az("job stream -n mine")
    rows = Path("there/out.csv").read_text().splitlines()
    assert "".join(row[0] for row in rows) == names


def test_a_job_that_is_cancelled_says_so(az: Az, monkeypatch: pytest.MonkeyPatch) -> None:
    with_deployment(az)
    az("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=20 -o none")
    name = invoked(az)
    assert az(f"job cancel --name {name}").out == ""
    streamed = az(f"job stream --name {name}")
    assert "Status: Canceled" in streamed.out
    assert az(f"job show --name {name} --query status -o tsv").out == "Canceled\n"
    assert "Canceled" in az(f"job cancel --name {name}", code=1).err


def test_a_job_that_fails_shows_the_users_traceback_first_and_exits_1(az: Az) -> None:
    with_deployment(az)
    Path("data/bad.txt").write_text("no number")
    name = invoked(az, "--set error_threshold=0")
    streamed = az(f"job stream --name {name}", code=1)
    assert "ValueError: invalid literal for int() with base 10: 'no number'" in streamed.err
    assert streamed.err.index("score.py") < streamed.err.index("\n(")
    assert "failed" in streamed.out
    assert az(f"job show --name {name} --query status -o tsv").out == "Failed\n"


@pytest.mark.parametrize(
    "line",
    [
        "batch-endpoint show -n nothing",
        "batch-deployment show -n nothing -e digits",
        "job show -n nothing",
        "compute show -n nothing",
        "model show -n nothing -v 1",
        "data show -n nothing -v 1",
        "environment show -n nothing --label latest",
    ],
)
def test_show_of_something_missing_exits_3_with_nothing_on_stdout(line: str, az: Az) -> None:
    missing = az(line, code=3)
    assert missing.out == ""
    assert missing.err.startswith("(ResourceNotFound) ")
    assert "Code: ResourceNotFound\nMessage: " in missing.err


@pytest.mark.parametrize(
    "line",
    ["batch-endpoint delete -n nothing", "batch-deployment delete -n nothing -e none", "compute delete -n nothing"],
)
def test_deleting_what_is_not_there_is_fine_once_confirmed(line: str, az: Az) -> None:
    assert "Add --yes" in az(line, code=1).err
    assert az(f"{line} --yes").out == ""


@pytest.mark.parametrize(
    "line",
    [
        "batch-endpoint show --name ''",
        "model list --name ' '",
        "model delete --name svc --version '' --yes",
        "model archive --name svc --label ''",
        "batch-endpoint list --workspace-name ''",
    ],
)
def test_an_empty_name_or_version_means_nothing_rather_than_all(line: str, az: Az) -> None:
    # What a script types whose variable is not set.
    az("model create --name svc --path model -o none")
    assert "the value is empty; is a variable of the shell not set?" in az(line, code=2).err
    assert az("model list --query [].name").json == ["svc"]


def test_a_key_with_dots_is_told_how_to_be_written(az: Az) -> None:
    az("batch-endpoint create -n digits -o none")
    refused = az("batch-endpoint update -n digits --set tags.team.lead=me", code=1)
    assert "tags.team" in refused.err and 'a key with dots as ["a.b"]' in refused.err
    tags = az("""batch-endpoint update -n digits --set 'tags["team.lead"]=me' --query tags""").json
    assert tags == {"team.lead": "me"}


def test_an_error_of_a_file_comes_with_every_problem(az: Az) -> None:
    Path("bad.yml").write_text("name: digits\ndescripton: x\nauth_mode: nobody\n")
    told = az("batch-endpoint create -f bad.yml", code=1).err
    assert "2 problems in bad.yml" in told
    assert 'did you mean "description"' in told


def test_score_needs_no_endpoint(az: Az) -> None:
    said = az("score --code code/score.py --model model --input data --out scored --workers 2 --mini-batch-size 2").out
    assert "7 of 7 items succeeded; 7 rows in" in said
    assert f"output  {Path('scored/predictions.csv')}" in said
    assert Path("scored/predictions.csv").read_text() == "".join(f"{n}.txt: {100 + n}\n" for n in range(7))


def test_score_answers_with_one_line_of_json(az: Az) -> None:
    said = az("score --code code --model model --input data --out scored --json")
    assert said.out.count("\n") == 1
    line = said.json
    assert (line["status"], line["items"], line["items_failed"], line["rows"]) == ("Completed", 7, 0, 7)
    assert 0 < line["first_result_s"] <= line["wall_s"]
    assert line["failures"] == []


def test_a_script_that_fails_everywhere_fails_the_score_and_shows_why(az: Az) -> None:
    failed = az(f"score --code {SCRIPTS / 'raises_in_init.py'} --input data --out scored --workers 1", code=1)
    assert "raises_in_init.py" in failed.err
    assert not Path("scored/predictions.csv").exists()


def test_on_a_terminal_the_bar_shows_mini_batches(az: Az) -> None:
    ours, theirs = os.openpty()
    line = "-m batchpoint score --code code --model model --input data --out scored --mini-batch-size 1"
    environment = {**program_environment(), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, *line.split()], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # Linux's way to say that the terminal's other end is closed.
    finally:
        os.close(ours)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert b"of 7 mini-batches" in shown
    assert b"7 of 7 items succeeded" in out


def test_a_server_on_the_same_home_is_found_and_does_the_work(
    az: Az, server: subprocess.Popen[bytes], home: Path
) -> None:
    url = json.loads((home / "server.json").read_text())["url"]
    with_deployment(az)
    shown = az("batch-endpoint show -n digits").json
    assert shown["scoring_uri"].startswith(url)
    name = invoked(az)
    assert f"Web View: {url}/runs/{name}" in az(f"job stream -n {name}").out
    token = az("account get-access-token --query accessToken -o tsv").out.strip()
    assert token == (home / "token").read_text().strip()
    server.terminate()
    server.wait()
    assert az(f"job show -n {name} --query status -o tsv").out == "Completed\n"
    told = az(f"batch-endpoint list --server {url}", code=1).err
    assert "(ServerUnreachable)" in told


def test_an_interrupted_stream_leaves_the_job_alone(az: Az) -> None:
    with_deployment(az)
    az("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=1 -o none")
    name = invoked(az, "--mini-batch-size 4")
    words = [sys.executable, "-m", "batchpoint", "job", "stream", "-n", name]
    stream = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program_environment(), text=True
    )
    assert stream.stdout is not None
    assert stream.stdout.readline() == f"RunId: {name}\n"
    stream.send_signal(signal.SIGINT)
    _, told = stream.communicate()
    assert stream.returncode == 130
    assert f"The job goes on. Watch it again: batchpoint job stream --name {name}" in told
    assert "Status: Completed" in az(f"job stream -n {name}").out
