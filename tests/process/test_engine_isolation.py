"""One bad file of a mini-batch costs that file, whatever it does to those who score it; and workers are replaced."""

import math
from pathlib import Path

import pytest

from batchpoint.engine.score import score
from batchpoint.engine.score_request import ScoreRequest
from batchpoint.entities.job import JobStatus
from batchpoint.settings import Settings
from tests.process.engine_jobs import SCRIPTS, Ended, Engine, eventually, good

#: 16 files in two mini-batches; the first one holds the bad file.
SIZE = 8
BAD = 5
FILES = [f"{number:03}{'-bad' if number == BAD else ''}.txt" for number in range(2 * SIZE)]
HEALTHY = [name for name in FILES if "bad" not in name]
LEVELS = int(math.log2(SIZE))


def run(engine: Engine, script: str | Path, **settings: object) -> Ended:
    settings = {"max_concurrency_per_instance": 2, "mini_batch_size": SIZE, "max_retries": 2, **settings}
    return engine.run(script, engine.items(2 * SIZE, bad=[BAD]), **settings)


@pytest.mark.parametrize(
    ("script", "code", "error_type", "settings"),
    [
        ("raises_in_run.py", "ScriptRaised", "ValueError", {}),
        ("exits_in_run.py", "ScriptRaised", "SystemExit", {}),
        ("returns_none.py", "InvalidResult", "", {}),
        ("runs_out_of_memory.py", "ScriptRaised", "MemoryError", {}),
        ("os_exits_in_run.py", "WorkerCrashed", "", {}),
        ("segfaults_in_run.py", "WorkerCrashed", "", {}),
        ("kills_itself_in_run.py", "WorkerCrashed", "", {"environment": {"SIGNAL": "6"}}),
        ("closes_all_descriptors.py", "WorkerCrashed", "", {}),
        ("hangs_in_run.py", "MiniBatchTimeout", "", {"timeout_s": 1.5, "max_retries": 1}),
    ],
)
def test_one_bad_file_costs_that_file(
    engine: Engine, script: str, code: str, error_type: str, settings: dict[str, object]
) -> None:
    tries = int(str(settings.get("max_retries", 2)))
    ended = run(engine, script, **settings)
    assert ended.lines == good(HEALTHY), "healthy files are kept, in their places"
    assert (ended.progress.items_succeeded, ended.progress.items_failed) == (2 * SIZE - 1, 1)
    assert (ended.progress.mini_batches, ended.progress.mini_batches_done) == (2, 2)
    assert (ended.reason.code, ended.reason.mini_batches, ended.reason.items) == (code, 1, 1)
    assert ended.reason.example.endswith("005-bad.txt")
    (row,) = [row for row in ended.rows if row.failed_items]
    assert (row.mini_batch, row.first_item, row.items, row.attempt) == (0, BAD, 1, tries + LEVELS)
    assert row.error_type == error_type and len(row.fingerprint) == 12
    # One healthy execution for the other mini-batch, and what halving takes for this one.
    assert len(ended.called()) == 1 + tries + 2 * LEVELS
    assert ended.progress.failed_attempts == tries + LEVELS


def test_files_that_fail_each_in_its_own_way_are_all_found(engine: Engine) -> None:
    script = engine.script(
        "import os, signal, time\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    for path in paths:\n"
        "        if '-raises' in path: raise KeyError(path)\n"
        "        if '-aborts' in path: os.abort()\n"
        "        if '-hangs' in path: time.sleep(3600)\n"
        "        if '-is-killed' in path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return [os.path.basename(path) for path in paths]\n"
    )
    ways = {3: "-raises", 4: "-aborts", 9: "-hangs", 12: "-is-killed", 13: "-raises"}
    names = [f"{number:03}{ways.get(number, '')}.txt" for number in range(20)]
    settings = {"mini_batch_size": 10, "max_retries": 1, "timeout_s": 1.5, "max_concurrency_per_instance": 2}
    ended = engine.run(script, engine.files(names), **settings)
    assert ended.lines == [name for name in names if "-" not in name]
    lost = {row.first_item: row.reason_code for row in ended.rows if row.failed_items}
    assert lost == {
        3: "ScriptRaised",
        4: "WorkerCrashed",
        9: "MiniBatchTimeout",
        12: "WorkerLost",
        13: "ScriptRaised",
    }


def test_the_logs_say_what_was_taken_apart_and_which_items_each_try_had(engine: Engine) -> None:
    ended = run(engine, "raises_in_run.py", max_concurrency_per_instance=1)
    told = ended.log("user/error.txt")
    assert told.count("mini-batch 0 (items 0 to 7)") == 2
    assert told.count("mini-batch 0 (items 4 to 7)") == told.count("mini-batch 0 (items 4 to 5)") == 1
    assert told.count("mini-batch 0 (item 5)") == 1
    assert ended.log("sys/node/0/process000.txt").count("is taken apart after 2 failed tries") == 1
    assert "Mini-batch 0 (items 0 to 7) is taken apart" in ended.folder.execution_log.read_text()
    report = ended.log("sys/job_report/processed_mini-batches.csv").splitlines()[1:]
    done = [line.rsplit(",", 1)[1] for line in report if ",RUN_DONE," in line]
    assert sorted(done) == ["items 0-3", "items 4-4", "items 6-7", "items 8-15"]
    assert len(report) == 4 + 5


def test_without_isolation_the_whole_mini_batch_is_lost(engine: Engine) -> None:
    ended = run(engine, "raises_in_run.py", isolate_failures=False)
    assert ended.lines == good(FILES[SIZE:])
    assert ended.reason.items == SIZE and len(ended.called()) == 1 + 2


def test_score_isolates_unless_it_is_told_not_to(tmp_path: Path, engine: Engine) -> None:
    source = engine.items(2 * SIZE, bad=[BAD])
    for isolates, failed in ((True, 1), (False, SIZE)):
        request = ScoreRequest(
            code=SCRIPTS / "raises_in_run.py",
            scoring_script="raises_in_run.py",
            input=source,
            out=tmp_path / f"out-{isolates}",
            workers=2,
            mini_batch_size=SIZE,
            isolate_failures=isolates,
        )
        result = score(request, Settings(home=tmp_path))
        assert (result.status, result.progress.items_failed) == (JobStatus.COMPLETED, failed)


def test_a_driver_that_takes_over_goes_on_with_the_isolation_where_it_stood(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "import sin\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    is_due = sin.is_due(paths)\n"
        "    while is_due and len(paths) == 2 and not os.path.exists(os.environ['GATE']): time.sleep(0.01)\n"
        "    if is_due: raise ValueError('bad header')\n"
        "    return sin.good(paths)\n"
    )
    gate = tmp_path / "gate"
    settings = {"mini_batch_size": SIZE, "max_retries": 1, "timeout_s": 600, "environment": {"GATE": str(gate)}}
    engine.job(script, engine.items(2 * SIZE, bad=[BAD]), **settings)
    first = engine.start_driver("job")
    eventually(lambda: len(engine.ended().rows) == 2, "the healthy half is not committed")
    eventually(lambda: engine.ended().called()[-1] == FILES[4:6], "the guilty quarter is not reached")
    first.kill()
    first.wait()
    before = engine.ended().called()
    assert before == [FILES[:8], FILES[8:], FILES[:4], FILES[4:8], FILES[4:6]]
    gate.touch()
    ended = engine.wait(engine.start_driver("job"))
    assert ended.lines == good(HEALTHY)
    again = ended.called()[len(before) :]
    assert sorted(again) == [FILES[4:5], FILES[4:6], FILES[5:6], FILES[6:8]], "what had failed is not tried again"
    (row,) = [row for row in ended.rows if row.failed_items]
    assert (row.first_item, row.items, row.attempt) == (BAD, 1, 1 + LEVELS)
    assert ended.progress.failed_attempts == 1 + LEVELS


# ---- workers are replaced -----------------------------------------------------------------------------------------

NOTES = """
import os, time
def note(text):
    number = os.open(os.environ['NOTES'], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(number, ('%d %s\\n' % (os.getpid(), text)).encode())
    os.close(number)
def init(): pass
def run(paths):
    note('run')
    return paths
"""


def test_a_worker_is_replaced_after_so_many_mini_batches_and_ends_in_peace(engine: Engine, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = engine.script(f"{NOTES}def shutdown(): note('shutdown')\n")
    settings = {"mini_batch_size": 1, "max_mini_batches_per_worker": 3, "environment": {"NOTES": str(notes)}}
    ended = engine.run(script, engine.items(10), **settings)
    assert len(ended.lines) == 10 and ended.progress.failed_attempts == 0
    told = [line.split() for line in notes.read_text().splitlines()]
    workers = list(dict.fromkeys(pid for pid, _ in told))
    runs = [sum(line == [pid, "run"] for line in told) for pid in workers]
    assert runs == [3, 3, 3, 1]
    assert [sum(line == [pid, "shutdown"] for line in told) for pid in workers] == [1, 1, 1, 1]
    log = ended.log("sys/node/0/process000.txt")
    assert log.count("has scored as many mini-batches as one may") == log.count("has ended") == 3
    assert "WARNING" not in log


def test_a_worker_that_does_not_end_is_killed_and_costs_nothing(engine: Engine, tmp_path: Path) -> None:
    script = engine.script(f"{NOTES}def shutdown(): time.sleep(3600)\n")
    settings = {"mini_batch_size": 1, "max_mini_batches_per_worker": 2, "timeout_s": 0.5}
    ended = engine.run(script, engine.items(4), environment={"NOTES": str(tmp_path / "notes")}, **settings)
    assert len(ended.lines) == 4
    assert (ended.progress.failed_attempts, ended.progress.items_failed) == (0, 0)
