"""What a job writes: rows in the order of the input whatever the schedule, and never over anybody's file."""

import json
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.published import recall
from tests.process.engine_jobs import Engine, eventually, good

#: Takes its time by the file, so that mini-batches end in another order than they began.
UNEVEN = """
import os, time
def init(): pass
def run(paths):
    time.sleep((hash(paths[0]) % 7) / 500)
    return [os.path.basename(path) + ' ' + open(path).read() for path in paths]
"""


def test_rows_stand_in_the_order_of_the_input_for_any_number_of_workers_and_any_mini_batch(engine: Engine) -> None:
    script, source = engine.script(UNEVEN), engine.items(37)
    outputs = set()
    for workers, size in product((1, 2, 4), (1, 5, 100)):
        ended = engine.run(
            script, source, name=f"job-{workers}-{size}", max_concurrency_per_instance=workers, mini_batch_size=size
        )
        assert len(ended.rows) == -(-37 // size)
        outputs.add(ended.output.read_bytes())
    assert outputs == {b"".join(b"%03d.txt content of %03d.txt\n" % (number, number) for number in range(37))}


def test_instances_are_workers_too(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(8), instance_count=2, max_concurrency_per_instance=2)
    assert len(ended.lines) == 8
    assert not list(ended.folder.logs.glob("user/error/**/*.txt"))


def test_nested_folders_are_read_hidden_names_are_not_and_the_log_says_so(engine: Engine) -> None:
    source = engine.files(["b.txt", "a/z.txt", "a/b/c.txt", ".hidden", "_skipped/x.txt", "a/.no", "aa.txt"])
    ended = engine.run("good.py", source, mini_batch_size=1)
    assert ended.lines == good(["c.txt", "z.txt", "aa.txt", "b.txt"]), "by the bytes of the relative path"
    assert "3 names that begin with '.' or '_' were skipped" in ended.log("azureml/executionlogs.txt")


def test_logs_that_cannot_be_written_cost_no_result(engine: Engine) -> None:
    script = engine.script("def init(): print('loud')\ndef run(paths): return ['row' for path in paths]\n")
    engine.job(script, engine.items(3))
    folder = job_folder(engine.home, "job")
    for name in ("logs", "user_logs"):
        (folder.path / name).write_text("no folder can be made here")
    ended = engine.drive("job")
    assert (ended.status, ended.lines) == (JobStatus.COMPLETED, ["row"] * 3)


def test_what_is_no_file_and_links_that_go_round_are_left_out_and_the_log_says_so(engine: Engine) -> None:
    source = engine.items(2)
    os.mkfifo(source / "pipe")
    (source / "round").symlink_to(source)
    ended = engine.run("good.py", source)
    log = ended.log("azureml/executionlogs.txt")
    assert len(ended.lines) == 2
    assert "1 sockets, pipes and devices were skipped." in log
    assert "1 links that lead back to a folder they lie in were not followed." in log


NAMES = [
    "a b.txt",
    "new\nline.txt",
    "tab\tand\rreturn",
    "-dash",
    "~tilde",
    "$(touch x)`y`",
    "'quote\"",
    "emoji \U0001f600.png",
    "e\u0301 decomposed",
    "\u00e9 composed",
    "\u202eright to left",
    "x" * 255,
    b"not utf-8 \xff\xfe",
    "deep/" * 40 + "file",
]


def test_any_file_name_reaches_the_script(engine: Engine) -> None:
    source = engine.files(NAMES)
    script = engine.script(
        "import os\n"
        "def init(): pass\n"
        "def run(paths): return [repr(os.fsencode(path)) + ' %d' % os.path.getsize(path) for path in paths]\n"
    )
    ended = engine.run(script, source, mini_batch_size=3, max_concurrency_per_instance=2)
    wanted = sorted(os.path.join(os.fsencode(source), os.fsencode(name)) for name in NAMES)
    assert ended.lines == [f"{path!r} {os.path.getsize(path)}" for path in wanted]


def test_a_failing_file_of_any_name_is_told(engine: Engine) -> None:
    source = engine.files(["good.txt", *(name for name in NAMES if name != "good.txt")])
    script = engine.script(
        "def init(): pass\ndef run(paths):\n"
        "    if paths[0].endswith('good.txt'): return paths\n"
        "    raise ValueError('cannot read ' + paths[0])\n"
    )
    ended = engine.run(script, source, mini_batch_size=1, max_retries=1)
    assert ended.status is JobStatus.COMPLETED and ended.progress.items_failed == len(NAMES)
    assert ended.reason.items == len(NAMES)
    letters = ended.folder.failed_items.read_text(encoding="utf-8").splitlines()
    told = "".join(json.loads(letter)["message"] for letter in letters)
    assert "\\udcff\\udcfe" in told and "\U0001f600" in told
    assert "\\udcff\\udcfe" in ended.log("user/error.txt")


def test_a_job_that_fails_by_a_file_without_text_in_its_name_says_so(engine: Engine) -> None:
    script = engine.script("def init(): pass\ndef run(paths): raise ValueError('cannot read ' + paths[0])\n")
    ended = engine.run(script, engine.files([b"\xff.txt"]), max_retries=1)
    assert ended.error.code == "NoSuccessfulItems"
    assert "cannot read" in ended.error.message and "\\udcff" in ended.error.message


def test_a_file_that_cannot_be_read_costs_its_mini_batch(engine: Engine) -> None:
    source = engine.files(["a.txt", "c.txt"])
    (source / "b.txt").symlink_to(source / "nowhere")
    script = engine.script("def init(): pass\ndef run(paths): return [open(path).read() for path in paths]\n")
    ended = engine.run(script, source, mini_batch_size=1, max_retries=1)
    assert ended.lines == ["content of a.txt", "content of c.txt"]
    assert "FileNotFoundError" in ended.reason.message and ended.reason.example.endswith("b.txt")


def test_a_single_file_is_one_mini_batch(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(3) / "001.txt", max_concurrency_per_instance=2)
    assert ended.lines == ["001.txt: ok"] and ended.called() == [["001.txt"]]


def test_fewer_and_more_results_than_items_are_counted(engine: Engine) -> None:
    fewer = engine.run("returns_too_few.py", engine.items(8, bad=[3]), name="fewer")
    assert len(fewer.lines) == 7
    assert (fewer.progress.items_succeeded, fewer.progress.items_failed) == (7, 1)
    assert (fewer.reason.code, fewer.reason.items) == ("TooFewResults", 1)
    more = engine.run("returns_too_many.py", engine.items(8, folder="more"), name="more")
    assert len(more.lines) == 24
    assert (more.progress.items_succeeded, more.progress.items_failed, more.progress.rows) == (8, 0, 24)
    assert not more.job.failures


def test_no_mini_batch_is_lost_between_two_hundred_short_ones(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(600), mini_batch_size=1, max_concurrency_per_instance=2)
    assert ended.lines == good([f"{number:03}.txt" for number in range(600)])
    assert sorted(ended.called()) == [[f"{number:03}.txt"] for number in range(600)]


# ---- where something stands already -------------------------------------------------------------------------------


def a_file(path: Path) -> None:
    path.write_text("theirs")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("put", [a_file, a_dangling_link, Path.mkdir])
def test_an_output_that_exists_fails_the_job_before_any_run(engine: Engine, put: Callable[[Path], None]) -> None:
    job = engine.job("good.py", engine.items(4))
    final = Path(job.settings.output_folder, job.settings.output_file_name)
    final.parent.mkdir(parents=True)
    put(final)
    ended = engine.drive("job")
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert str(final) in ended.error.message and not ended.called()
    assert os.path.lexists(final) and list(final.parent.iterdir()) == [final]
    assert not final.is_file() or final.read_text() == "theirs"


def test_other_files_beside_the_output_are_no_trouble(engine: Engine) -> None:
    job = engine.job("good.py", engine.items(4))
    beside = Path(job.settings.output_folder, "other.csv")
    beside.parent.mkdir(parents=True)
    a_file(beside)
    assert len(engine.drive("job").lines) == 4 and beside.read_text() == "theirs"


def test_an_output_that_appears_meanwhile_is_left_alone(engine: Engine) -> None:
    script = engine.script(
        "import os\n"
        "def init(): pass\n"
        "def run(paths):\n"
        "    os.makedirs(os.environ['OUT'], exist_ok=True)\n"
        "    with open(os.environ['OUT'] + '/predictions.csv', 'w') as theirs: theirs.write('theirs')\n"
        "    return paths\n"
    )
    ended = engine.run(script, engine.items(4), environment={"OUT": str(engine.outside / "out" / "job")})
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert ended.output.read_text() == "theirs"
    assert list(ended.output.parent.iterdir()) == [ended.output]


def test_a_place_that_takes_no_output_fails_the_job_before_any_run(engine: Engine) -> None:
    a_file(engine.outside / "file")
    ended = engine.run("good.py", engine.items(4), output_folder=str(engine.outside / "file" / "below"))
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputUnwritable")
    assert not ended.called()


def test_a_place_that_is_lost_meanwhile_is_told(engine: Engine) -> None:
    script = engine.script(
        "import os\ndef init(): pass\ndef run(paths):\n    open(os.environ['OUT'], 'a').close()\n    return paths\n"
    )
    ended = engine.run(script, engine.items(4), environment={"OUT": str(engine.outside / "out")})
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputUnwritable")
    assert str(ended.output) in ended.error.message


# ---- what scripts write themselves --------------------------------------------------------------------------------

WRITES = """
import os
def init(): pass
def run(paths):
    for path in paths:
        target = os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], os.environ.get('BELOW', 'parts'), NAME(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'a') as file: file.write(os.path.basename(path) + '\\n')
    return paths
def NAME(path): return os.environ.get('NAME') or os.path.basename(path)
def shutdown():
    with open(os.path.join(os.environ['AZUREML_BI_OUTPUT_PATH'], 'bye-%d' % os.getpid()), 'w') as file: file.write('x')
"""


def test_summary_only_publishes_what_the_script_wrote_and_no_rows(engine: Engine) -> None:
    ended = engine.run(
        engine.script(WRITES), engine.items(6), output_action="summary_only", max_concurrency_per_instance=2
    )
    assert ended.status is JobStatus.COMPLETED and ended.progress.items_succeeded == 6
    folder = Path(ended.job.settings.output_folder)
    parts = sorted(path.name for path in (folder / "parts").iterdir())
    assert parts == [f"{number:03}.txt" for number in range(6)]
    assert (folder / "parts" / "003.txt").read_text() == "003.txt\n"
    assert not (folder / "predictions.csv").exists()
    assert list(folder.glob("bye-*")), "what shutdown() writes belongs to the output"


def test_summary_only_never_writes_over_a_file(engine: Engine) -> None:
    job = engine.job(engine.script(WRITES), engine.items(6), output_action="summary_only")
    theirs = Path(job.settings.output_folder, "parts", "003.txt")
    theirs.parent.mkdir(parents=True)
    a_file(theirs)
    ended = engine.drive("job")
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert list(theirs.parent.iterdir()) == [theirs] and theirs.read_text() == "theirs"


def test_rows_and_files_of_the_script_may_be_published_together(engine: Engine) -> None:
    ended = engine.run(engine.script(WRITES), engine.items(6))
    assert len(ended.lines) == 6 and (ended.output.parent / "parts" / "000.txt").exists()
    (ended.output.parent / "theirs.txt").write_text("of another job")
    names = [name for name in recall(ended.folder) if not name.startswith("bye-")]
    assert names == [*(f"parts/{number:03}.txt" for number in range(6)), "predictions.csv"]


def test_a_clash_that_shutdown_makes_leaves_nothing_published(engine: Engine) -> None:
    script = engine.script(WRITES.replace("'bye-%d' % os.getpid()", "'predictions.csv'"))
    ended = engine.run(script, engine.items(6))
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert not ended.output.exists()


def test_a_script_that_writes_a_file_with_the_name_of_its_output_is_told(engine: Engine) -> None:
    ended = engine.run(engine.script(WRITES), engine.items(6), environment={"NAME": "predictions.csv", "BELOW": ""})
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "OutputAlreadyExists")
    assert "AZUREML_BI_OUTPUT_PATH" in ended.error.message and not ended.output.exists()


def test_a_failed_job_publishes_nothing(engine: Engine) -> None:
    script = engine.script(WRITES.replace("    return paths\n", "    raise ValueError('no')\n"))
    ended = engine.run(script, engine.items(6), max_retries=1)
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "NoSuccessfulItems")
    assert not Path(ended.job.settings.output_folder).exists()


def test_what_only_a_running_job_needs_is_removed(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(6))
    assert not ended.folder.scratch.exists() and not ended.folder.worker_package.exists()
    eventually(lambda: ended.folder.logs.is_dir())
