"""The next revision of a job: only what failed is scored again, into the same output and in its place."""

import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from batchpoint.entities.job import JobError, JobStatus, Progress
from tests.process.engine_jobs import Ended, Engine, W, eventually

#: What it does to a file whose name says so, until it is mended; each file that it was given is noted outside.
SCRIPT = """
import os, signal, time
def init(): pass
def run(paths):
    with open(os.environ['CALLS'], 'a') as calls:
        for path in paths: calls.write('run %s\\n' % os.path.basename(path))
    return [one(path) for path in paths]
def one(path):
    name = os.path.basename(path)
    if not MENDED:
        if 'raises' in name: raise ValueError('bad header')
        if 'segfaults' in name: os.kill(os.getpid(), signal.SIGSEGV)
        if 'hangs' in name: time.sleep(600)
    return name + ': ' + open(path).read()
"""


def script(engine: Engine, *, mended: bool) -> Path:
    return engine.script(f"MENDED = {mended}\n{SCRIPT}", "mended.py" if mended else "score.py")


def inputs(engine: Engine, count: int, every: int, *sins: str) -> tuple[Path, list[str]]:
    """A folder, and the names in it that the script stumbles over: one of ``every``, in these ways by turns."""
    bad = {at: sins[at // every % len(sins)] for at in range(every // 2, count, every)}
    names = [f"{at:04}{'-' + bad[at] if at in bad else ''}.txt" for at in range(count)]
    return engine.files(names), [name for name in names if "-" in name]


def again(engine: Engine, **changes: Any) -> Ended:
    reopen(engine, **changes)
    return engine.drive("job")


def reopen(engine: Engine, **changes: Any) -> None:
    """Begin the next revision, with a mended script unless another one is named."""
    before = engine.ended().job.settings
    chosen = {"scoring_script": script(engine, mended=True).name, **changes}
    engine.store.reopen_job(W, "job", before.model_copy(update=chosen), {})


SETTINGS = {"mini_batch_size": 8, "max_retries": 1, "max_concurrency_per_instance": 2}


@pytest.fixture
def stumbled(engine: Engine) -> tuple[Ended, list[str]]:
    """A job that completed without the items that the script stumbles over; and their names."""
    source, bad = inputs(engine, 72, 24, "raises")
    return engine.run(script(engine, mended=False), source, **SETTINGS), bad


def clean(engine: Engine, source: str) -> bytes:
    """What the mended script makes of the whole input."""
    return engine.run(script(engine, mended=True), Path(source), name="clean", **SETTINGS).output.read_bytes()


def test_a_redrive_scores_what_failed_and_nothing_else_and_the_output_is_that_of_a_clean_run(
    engine: Engine,
) -> None:
    source, bad = inputs(engine, 72, 24, "raises", "segfaults", "hangs")
    ended = engine.run(script(engine, mended=False), source, timeout_s=1, **SETTINGS)
    assert (ended.progress.items_succeeded, ended.progress.items_failed) == (69, 3)
    assert {row.reason_code for row in ended.rows if row.failed_items} == {
        "ScriptRaised",
        "WorkerCrashed",
        "MiniBatchTimeout",
    }
    ended.calls.unlink()
    healed = again(engine)
    assert (healed.status, healed.job.revision) == (JobStatus.COMPLETED, 1)
    assert sorted(name for call in healed.called() for name in call) == bad
    assert healed.output.read_bytes() == clean(engine, healed.job.settings.input.path)
    assert (healed.progress.items_succeeded, healed.progress.items_failed, healed.job.failures) == (72, 0, ())
    log = healed.log("azureml/executionlogs.txt")
    assert log.index("69 of 72 items") < log.index("Revision 1 of the job begins") < log.index("72 of 72 items")


def test_what_fails_again_is_left_for_the_next_revision(engine: Engine, stumbled: tuple[Ended, list[str]]) -> None:
    ended, bad = stumbled
    before = ended.output.read_bytes()
    still = again(engine, scoring_script="score.py")
    assert (still.status, still.progress.items_failed) == (JobStatus.COMPLETED, 3)
    assert still.output.read_bytes() == before
    still.calls.unlink()
    healed = again(engine)
    assert sorted(name for call in healed.called() for name in call) == bad
    assert healed.output.read_bytes() == clean(engine, healed.job.settings.input.path)


def test_an_output_that_somebody_edited_is_left_alone_before_anything_is_scored(
    engine: Engine, stumbled: tuple[Ended, list[str]]
) -> None:
    ended, _ = stumbled
    ended.output.write_text("edited")
    ended.calls.unlink()
    refused = again(engine)
    assert (refused.status, refused.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert ended.output.read_text() == "edited" and not refused.calls.exists()
    ended.output.unlink()
    healed = again(engine)
    assert healed.output.read_bytes() == clean(engine, healed.job.settings.input.path)


def test_an_output_that_is_edited_meanwhile_is_left_alone_too(
    engine: Engine, stumbled: tuple[Ended, list[str]]
) -> None:
    ended, _ = stumbled
    edits = engine.script(
        f"MENDED = True\n{SCRIPT}\ndef shutdown(): open({str(ended.output)!r}, 'w').write('edited')\n", "edits.py"
    )
    refused = again(engine, scoring_script=edits.name)
    assert (refused.status, refused.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert ended.output.read_text() == "edited"
    assert [path.name for path in ended.output.parent.iterdir() if path.name.startswith(".")] == []


def test_a_revision_that_fails_leaves_the_output_of_the_one_before(
    engine: Engine, stumbled: tuple[Ended, list[str]]
) -> None:
    ended, _ = stumbled
    before = ended.output.read_bytes()
    failed = again(engine, scoring_script="score.py", error_threshold=0)
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "ErrorThresholdExceeded")
    assert ended.output.read_bytes() == before
    healed = again(engine)
    assert healed.output.read_bytes() == clean(engine, healed.job.settings.input.path)


def test_a_job_that_failed_goes_on_where_it_was(engine: Engine) -> None:
    source, _ = inputs(engine, 40, 20, "raises")
    failed = engine.run(script(engine, mended=False), source, **{**SETTINGS, "error_threshold": 0})
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "ErrorThresholdExceeded")
    kept = {row.key: row for row in failed.rows if not row.failed_items}
    healed = again(engine)
    assert healed.output.read_bytes() == clean(engine, str(source))
    assert kept and all({row.key: row for row in healed.rows}[key] == row for key, row in kept.items())


def test_a_job_that_failed_before_its_plan_stood_begins_at_the_beginning(engine: Engine) -> None:
    engine.job("good.py", engine.outside / "in")
    assert engine.drive("job").error.code == "InputUnreadable"
    engine.items(5)
    healed = again(engine, scoring_script="good.py")
    assert len(healed.lines) == 5


def test_an_item_that_is_no_longer_there_fails_alone(engine: Engine, stumbled: tuple[Ended, list[str]]) -> None:
    ended, bad = stumbled
    Path(ended.job.settings.input.path, bad[1]).unlink()
    healed = again(engine)
    assert (healed.status, healed.progress.items_failed) == (JobStatus.COMPLETED, 1)
    assert healed.reason.message.startswith("FileNotFoundError") and bad[1] in healed.reason.example


def test_files_that_scripts_write_themselves_are_published_beside_the_earlier_ones(engine: Engine) -> None:
    writes = """
import os
def init(): pass
def run(paths):
    for path in paths:
        name = os.path.basename(path)
        if 'raises' in name and not MENDED: raise ValueError('bad header')
        open(os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], name), 'w').write(name)
    return paths
"""
    source = engine.files(["1.txt", "2-raises.txt", "3.txt"])
    engine.script(f"MENDED = True\n{writes}", "mended-writes.py")
    stumbling = engine.script(f"MENDED = False\n{writes}", "writes.py")
    ended = engine.run(stumbling, source, output_action="summary_only", max_retries=1)
    place = Path(ended.job.settings.output_folder)
    assert "2-raises.txt" not in {path.name for path in place.iterdir()}
    (place / "2-raises.txt").write_text("a stranger's")
    refused = again(engine, scoring_script="mended-writes.py")
    assert refused.error.code == "OutputAlreadyExists" and (place / "2-raises.txt").read_text() == "a stranger's"
    (place / "2-raises.txt").unlink()
    healed = again(engine, scoring_script="mended-writes.py")
    assert healed.status is JobStatus.COMPLETED
    assert {"1.txt", "2-raises.txt", "3.txt"} <= {path.name for path in place.iterdir()}


def test_a_driver_that_is_killed_at_any_moment_of_a_redrive_is_followed_by_one_that_ends_it(
    engine: Engine, stumbled: tuple[Ended, list[str]]
) -> None:
    ended, _ = stumbled
    wanted = clean(engine, ended.job.settings.input.path)
    folder = shutil.copytree(ended.output.parent, engine.outside / "kept")
    reopen(engine)
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    for _ in range(6):
        driver = engine.start_driver("job")
        try:
            driver.wait(draw.uniform(0.1, 0.9))
        except Exception:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        now = ended.output.read_bytes()
        assert now in (wanted, (folder / ended.output.name).read_bytes()), f"seed {seed}"
    eventually(lambda: engine.ended().status.is_terminal or engine.start_driver("job").wait() is not None)
    healed = engine.ended()
    assert (healed.status, healed.output.read_bytes()) == (JobStatus.COMPLETED, wanted), f"seed {seed}"


@pytest.mark.parametrize("point", ["D13", "D14", "D15", "D16", "D17", "D18"])
def test_a_driver_that_dies_while_it_replaces_the_output_is_followed_by_one_that_ends_it(
    engine: Engine, point: str
) -> None:
    source = engine.files(["1.txt", "2-raises.txt", "3.txt"])
    ended = engine.run(script(engine, mended=False), source, **SETTINGS)
    assert ended.progress.items_failed == 1
    reopen(engine)
    assert engine.start_driver("job", BATCHPOINT_FAILPOINT=f"{point}:kill").wait() == -signal.SIGKILL
    healed = engine.ended() if engine.ended().status.is_terminal else engine.wait(engine.start_driver("job"))
    assert healed.lines == [f"{name}: content of {name}" for name in ("1.txt", "2-raises.txt", "3.txt")]
    assert [path.name for path in healed.output.parent.iterdir() if path.name.startswith(".")] == []


def test_what_was_published_by_a_driver_that_could_not_say_so_is_the_jobs_own(engine: Engine) -> None:
    source = engine.files(["1.txt", "2-raises.txt", "3-raises.txt"])
    ended = engine.run(script(engine, mended=False), source, **SETTINGS)
    Path(source, "3-raises.txt").rename(engine.outside / "away")
    reopen(engine)
    assert engine.start_driver("job", BATCHPOINT_FAILPOINT="D17:kill").wait() == -signal.SIGKILL
    published = ended.output.read_text()
    claimed = engine.store.claim("job", engine.store.epoch_of("job"), "nonce", "host", 1)
    assert claimed is not None
    engine.store.fail(claimed.fence, JobError(code="InternalServerError", message="a fault"), Progress(), ())
    (engine.outside / "away").rename(source / "3-raises.txt")
    healed = again(engine)
    assert healed.status is JobStatus.COMPLETED
    assert len(published.splitlines()) == 2 and len(healed.lines) == 3


@pytest.mark.parametrize("header", ["{}", "no json", '{"items": 72, "root": ""}', "[]"])
def test_a_job_whose_plan_is_damaged_fails_and_says_so(
    engine: Engine, stumbled: tuple[Ended, list[str]], header: str
) -> None:
    stumbled[0].folder.plan_header.write_text(header)
    ended = again(engine)
    assert ended.error.code == "SegmentCorrupt" and "Invoke the endpoint again" in ended.error.message


def test_a_revision_finds_nothing_that_a_killed_driver_of_the_one_before_left(engine: Engine) -> None:
    models = engine.files(["first.pkl", "second.pkl"], "models")
    ended = engine.run(script(engine, mended=False), engine.files(["0-raises.txt"]), **SETTINGS)
    ended.folder.model.mkdir()
    (ended.folder.model / "first.pkl").symlink_to(models / "first.pkl")
    text = "import os\ndef init(): pass\ndef run(paths): return os.listdir(os.environ['AZUREML_MODEL_DIR'])\n"
    told = again(engine, scoring_script=engine.script(text, "tells.py").name, model_path=str(models / "second.pkl"))
    assert told.lines == ["second.pkl"]
