"""The logs tree of a job, as users of the field know it: what stands where, at which level, and after a kill."""

import csv
import re
from pathlib import Path

import pytest

from batchpoint.engine import chronicle, driver
from batchpoint.entities.job import JobStatus
from batchpoint.storage.job_folder import job_folder
from tests.process.engine_jobs import MEET, Ended, Engine, eventually

#: Raises at files called bad; says something on every way there is.
TALKS = """
import logging, os, sys
from azureml_user.parallel_run import EntryScript
def init():
    for log in (logging.getLogger("mine"), EntryScript().logger):
        log.debug("init at debug")
        log.info("init at info")
        log.warning("init at warning")
def run(paths):
    print("a print")
    logging.getLogger("mine").info("scoring %d", len(paths))
    if any("bad" in path for path in paths):
        raise ValueError("=HYPERLINK(1)\\nbad header")
    return paths
"""
UTC = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\] ")


def table(ended: Ended, name: str) -> list[dict[str, str]]:
    with (ended.folder.logs / "sys" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def tree(ended: Ended) -> set[str]:
    """Every file, with the moment in its name left out."""
    files = {path.relative_to(ended.folder.path).as_posix() for path in ended.folder.path.rglob("*.*")}
    return {re.sub(r"\.\d{20}\.", ".<time>.", name) for name in files if name.startswith(("logs/", "user_logs/"))}


def test_every_file_stands_where_users_of_the_field_look(engine: Engine) -> None:
    ended = engine.run(engine.script(TALKS), engine.items(6, bad=[2]), max_retries=2)
    assert ended.status is JobStatus.COMPLETED
    assert {
        "user_logs/std_log_0.txt",
        "logs/readme.txt",
        "logs/job_result.txt",
        "logs/job_progress_overview.<time>.txt",
        "logs/azureml/executionlogs.txt",
        "logs/azureml/stdoutlogs.txt",
        "logs/azureml/stderrlogs.txt",
        "logs/user/error.txt",
        "logs/user/error/0/process000.txt",
        "logs/user/stdout/0/process000.stdout.txt",
        "logs/user/stderr/0/process000.stderr.txt",
        "logs/user/entry_script_log/0/process000.log.txt",
        "logs/sys/master_role.txt",
        "logs/sys/node/master/driver.txt",
        "logs/sys/node/0/process000.txt",
        "logs/sys/warning/0/process000.txt",
        "logs/sys/job_report/processed_mini-batches.csv",
        "logs/sys/job_report/process_summary.csv",
        "logs/sys/job_report/node_summary.csv",
        "logs/sys/perf/0/node_resource_usage.csv",
        "logs/sys/perf/0/node_disk_usage.csv",
        "logs/sys/perf/0/processes_resource_usage.csv",
    } == tree(ended)


def test_the_report_has_a_line_for_each_try(engine: Engine) -> None:
    ended = engine.run(engine.script(TALKS), engine.items(6, bad=[2]), max_retries=2, isolate_failures=False)
    lines = table(ended, "job_report/processed_mini-batches")
    done = [line for line in lines if line["Status"] == "RUN_DONE"]
    assert sorted((line["Mini-batch Id"], line["Total"], line["Succeeded"]) for line in done) == [
        ("0", "2", "2"),
        ("2", "2", "2"),
    ]
    failed = [line for line in lines if line["Status"] == "RUN_EXCEPTION"]
    assert [(line["Mini-batch Id"], line["Picked Count"], line["Failed"]) for line in failed] == [
        ("1", "1", "2"),
        ("1", "2", "2"),
    ]
    first = failed[0]
    assert (first["Process"], first["Error Category"]) == ("0/process000", "ScriptRaised")
    assert first["Error Message"].startswith("ValueError: =HYPERLINK(1) (score.py:")
    assert first["Mini-batch Detail"] == f"items 2-3, from {engine.outside / 'in' / '002-bad.txt'}"
    for line in lines:
        assert float(line["Elapsed Seconds"]) >= float(line["Process Seconds"]) >= float(line["Run Method Seconds"]) > 0
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["Process Start Time"])
    (sums,) = table(ended, "job_report/node_summary")
    assert (sums["Node"], sums["Mini-batches"], sums["Failed Tries"], sums["Succeeded"]) == ("0", "2", "2", "4")


def test_a_time_out_and_a_death_are_told_apart_in_the_report(engine: Engine) -> None:
    hangs = engine.run("hangs_in_run.py", engine.items(2, bad=[0]), timeout_s=0.3, max_retries=1, mini_batch_size=1)
    (line,) = [line for line in table(hangs, "job_report/processed_mini-batches") if line["Status"] != "RUN_DONE"]
    assert (line["Status"], line["Error Category"]) == ("RUN_TIMEOUT", "MiniBatchTimeout")
    assert float(line["Run Method Seconds"]) >= 0.3
    fails = {"max_retries": 1, "isolate_failures": False}
    crashes = engine.run("segfaults_in_run.py", engine.items(2, bad=[0]), name="crash", **fails)
    (line,) = table(crashes, "job_report/processed_mini-batches")
    assert (line["Status"], line["Error Category"]) == ("RUN_EXCEPTION", "WorkerCrashed")
    assert "WARNING worker 0 is gone: The worker crashed with SIGSEGV." in crashes.log("sys/node/0/process000.txt")
    assert "INFO worker 0 was ended by the driver" in hangs.log("sys/node/0/process000.txt")


def test_the_overview_tells_how_far_the_job_is_and_how_long_it_will_take(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "OVERVIEW_EVERY_S", 0.0)
    monkeypatch.setattr(driver, "BEAT_EVERY_S", 0.05)
    script = engine.script("import time\ndef init(): pass\ndef run(paths):\n    time.sleep(0.2)\n    return paths\n")
    ended = engine.run(script, engine.items(4), mini_batch_size=1)
    (overview,) = ended.folder.logs.glob("job_progress_overview.*.txt")
    lines = overview.read_text().splitlines()
    assert all(UTC.match(line) for line in lines)
    assert "0 of 4 mini-batches processed" in lines[0] and "remaining" not in lines[0]
    assert re.search(
        r"[123] of 4 mini-batches processed, .* elapsed \d+\.\d s, about \d+ s remaining", "\n".join(lines)
    )
    assert "4 of 4 mini-batches processed" in lines[-1]


def test_what_machine_and_workers_use_is_sampled(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        MEET + "def init(): pass\ndef run(paths):\n    arrive()\n    wait_for(4)\n    return paths\n"
    )
    environment = {"MEET": str(tmp_path / "meet")}
    places = {"instance_count": 2, "max_concurrency_per_instance": 2, "mini_batch_size": 1}
    ended = engine.run(script, engine.items(4), environment=environment, **places)
    for node in "01":
        assert {line["Cores"] for line in table(ended, f"perf/{node}/node_resource_usage")} != {""}
        assert all(int(line["Free MB"]) >= 0 for line in table(ended, f"perf/{node}/node_disk_usage"))
        workers = table(ended, f"perf/{node}/processes_resource_usage")
        assert {line["Process"] for line in workers} == {"process000", "process001"}
        assert all(float(line["Peak Memory MB"]) >= float(line["Memory MB"]) > 1 for line in workers)


#: Waits until so many samples were taken.
WATCHES = """
import os, time
def init(): pass
def run(paths):
    while os.environ["SAMPLES"] and len(lines()) < int(os.environ["SAMPLES"]): time.sleep(0.01)
    return paths
def lines():
    path = os.path.join(os.environ["LOGS"], "sys", "perf", "0", "node_resource_usage.csv")
    return list(open(path)) if os.path.exists(path) else []
"""


def test_samples_come_at_the_interval_that_the_operator_chose(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "BEAT_EVERY_S", 0.05)
    logs = job_folder(engine.home, "often").logs
    often = {"LOGS": str(logs), "SAMPLES": "5"}
    ended = engine.run(
        engine.script(WATCHES), engine.items(1), name="often", environment=often, resource_monitor_interval_s=0.0
    )
    assert len(table(ended, "perf/0/node_resource_usage")) >= 5
    ended = engine.run(engine.script(WATCHES), engine.items(4), name="seldom", environment={"SAMPLES": ""})
    assert len(table(ended, "perf/0/node_resource_usage")) <= 2, "at the start and at the end"


def test_a_failed_job_says_why_with_the_script_s_own_traceback_first(engine: Engine) -> None:
    ended = engine.run(engine.script(TALKS), engine.items(2, bad=[0, 1]))
    assert ended.status is JobStatus.FAILED
    for path in ("job_error.txt", "azureml/stderrlogs.txt"):
        assert ended.log(path).startswith('Traceback (most recent call last):\n  File "')
        assert ended.log(path).splitlines()[-1].startswith("NoSuccessfulItems: None of the 2 items")
    assert "ERROR Failed (NoSuccessfulItems)" in ended.log("sys/error/master/driver.txt")


# ---- logging_level ------------------------------------------------------------------------------------------------


def said(ended: Ended) -> set[tuple[str, str]]:
    """Every line of the sys and user logs: its file, and its text without times, numbers and names of the run."""
    lines = set()
    for path in [*(ended.folder.logs / "sys").rglob("*.txt"), *(ended.folder.logs / "user").rglob("*.txt")]:
        for line in path.read_text().splitlines():
            text = re.sub(r"\d+", "#", line.replace(ended.job.name, "JOB"))
            lines.add((path.relative_to(ended.folder.logs).as_posix(), text))
    return lines


def test_each_level_says_all_that_the_one_above_it_says_and_more(engine: Engine) -> None:
    script, source = engine.script(TALKS), engine.items(6, bad=[2])
    warning, info, debug = (
        said(engine.run(script, source, name=f"at-{level}", logging_level=level))
        for level in ("warning", "info", "debug")
    )
    assert warning < info < debug
    for folder in ("sys", "user"):
        counts = [sum(path.startswith(folder) for path, _ in lines) for lines in (warning, info, debug)]
        assert counts[0] < counts[1] < counts[2], folder
    assert any("mini-batch # (# items): # succeeded" in text for _, text in debug - info)
    assert any("init() took" in text for _, text in info - warning)
    assert any("ValueError" in text for _, text in warning), "errors are told at every level"


# ---- a driver that dies -------------------------------------------------------------------------------------------

#: Each mini-batch fails twice; after the first failures it waits for FINISH. The third execution of one is enough.
FAILS_TWICE = """
import os, time
def init(): pass
def run(paths):
    name = os.path.join(os.environ["NOTES"], os.path.basename(paths[0]))
    tries = len([n for n in os.listdir(os.environ["NOTES"]) if n.startswith(os.path.basename(paths[0]))])
    open("%s.%d" % (name, tries), "w").close()
    if tries < int(os.environ["FAILURES"]):
        raise ValueError("try %d of %s" % (tries, os.path.basename(paths[0])))
    while not os.path.exists(os.environ["FINISH"]):
        time.sleep(0.01)
    return paths
"""


def killed_while_it_waits(engine: Engine, tmp_path: Path, **settings: object) -> tuple[Path, dict[str, str]]:
    """A job of one mini-batch whose driver is killed after two failed tries, in the middle of the third one."""
    (notes := tmp_path / "notes").mkdir()
    environment = {"NOTES": str(notes), "FINISH": str(tmp_path / "finish"), "FAILURES": "2"}
    engine.job(engine.script(FAILS_TWICE), engine.items(1), environment=environment, **settings)
    first = engine.start_driver("job")
    eventually(lambda: len(list(notes.iterdir())) == 3)
    first.kill()
    first.wait()
    return notes, environment


def test_the_next_driver_goes_on_counting_tries(engine: Engine, tmp_path: Path) -> None:
    notes, _ = killed_while_it_waits(engine, tmp_path)
    (tmp_path / "finish").touch()
    ended = engine.wait(engine.start_driver("job"))
    (row,) = ended.rows
    assert row.attempt == 3, "two failed with the first driver, and the one that its death cut short costs nothing"
    assert ended.progress.failed_attempts == 2 and len(list(notes.iterdir())) == 4
    assert not ended.folder.tries.exists()


def test_the_next_driver_gives_up_after_as_many_tries_as_the_deployment_allows(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, _ = killed_while_it_waits(engine, tmp_path)
    for number in range(10):
        (notes / f"{number}").touch()
    folder = job_folder(engine.home, "job")
    record = next(folder.tries.iterdir())
    assert record.name == "0.1"
    record.write_text(record.read_text() + record.read_text().splitlines()[-1].replace('"n": 2', '"n": 3') + "\n")
    ended = engine.wait(engine.start_driver("job"))
    assert ended.status is JobStatus.FAILED and ended.progress.failed_attempts == 3
    assert len(list(notes.iterdir())) == 13, "no fourth try"
    assert ended.error.message.startswith("Traceback (most recent call last):")
    assert 'raise ValueError("try %d of %s"' in ended.error.message, "the traceback that the first driver saw"
    assert "ValueError: try 0 of 000.txt" in ended.error.message


def test_the_next_driver_goes_on_with_the_same_tree(engine: Engine, tmp_path: Path) -> None:
    killed_while_it_waits(engine, tmp_path)
    (tmp_path / "finish").touch()
    ended = engine.wait(engine.start_driver("job"))
    assert len(list(ended.folder.logs.glob("job_progress_overview.*.txt"))) == 2, "a new file for each driver"
    roles = ended.log("sys/master_role.txt").splitlines()
    assert len(roles) == 2 and "driver 1 on" in roles[0] and "driver 2 on" in roles[1]
    statuses = [line["Status"] for line in table(ended, "job_report/processed_mini-batches")]
    assert statuses == ["RUN_EXCEPTION", "RUN_EXCEPTION", "RUN_DONE"]
    (sums,) = table(ended, "job_report/process_summary")
    assert (sums["Mini-batches"], sums["Failed Tries"]) == ("1", "2")
    assert ended.log("user/error.txt").count("ValueError") == 2
    assert "A new driver takes the job over" in ended.log("azureml/stdoutlogs.txt")
