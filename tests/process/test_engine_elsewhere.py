"""Jobs that read from and write to object stores: Azurite for blobs, moto for S3."""

import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from batchpoint.entities.data import Input
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.job import JobStatus
from batchpoint.server.identity.links import Links
from batchpoint.server.lookup import ControlPlane
from batchpoint.server.verification import verify
from batchpoint.storage.datastores import OpenDatastore, open_datastore
from batchpoint.storage.job_folder import job_folder
from batchpoint.storage.objects import secrets
from tests.object_stores import BlobService, S3Service
from tests.process.engine_jobs import Ended, Engine, W, eventually, good
from tests.websites import site, xml_page

WRITES_FILES = """
import os
from pathlib import Path
def init(): pass
def run(mini_batch):
    for path in mini_batch:
        out = Path(os.environ['AZUREML_BI_OUTPUT_PATH'], 'sub', Path(path).name)
        out.parent.mkdir(exist_ok=True)
        out.write_text('summary of ' + Path(path).name)
    return mini_batch
"""


class Elsewhere:
    """A datastore of the home in an object store, and what is in it."""

    def __init__(self, engine: Engine, datastore: Datastore) -> None:
        self.engine = engine
        assert datastore.credentials is not None
        secrets.keep(engine.home, datastore.model_copy(update={"id": f"/of/{datastore.name}"}), datastore.credentials)
        #: As a job keeps it: without a secret.
        self.datastore = datastore.model_copy(update={"credentials": None, "id": f"/of/{datastore.name}"})

    @property
    def store(self) -> OpenDatastore:
        return open_datastore(self.datastore, self.engine.home)

    def uri(self, path: str) -> str:
        return f"azureml://datastores/{self.datastore.name}/paths/{path}"

    def input(self, path: str, kind: str = "uri_folder", **globs: Any) -> dict[str, Any]:
        found = Input.model_validate({"type": kind, "path": self.uri(path), **globs})
        return {"input": found, "input_store": self.datastore}

    def output(self, path: str) -> dict[str, Any]:
        return {"output_folder": path, "output_store": self.datastore, "output_uri": self.uri(path)}

    def text(self, path: str) -> str:
        return b"".join(self.store.blocks(path)).decode()

    def names(self, folder: str = "") -> list[str]:
        return sorted(found.name for found in self.store.files(folder))


Make = Callable[..., Elsewhere]


@pytest.fixture(params=["azure_blob", "s3"])
def elsewhere(request: pytest.FixtureRequest, blob_service: BlobService, s3_service: S3Service, engine: Engine) -> Make:
    def make(files: Mapping[str, str] = {}) -> Elsewhere:
        name, data = f"x{uuid.uuid4().hex}", {path: text.encode() for path, text in files.items()}
        if request.param == "s3":
            s3_service.bucket(name, {f"team/{path}": body for path, body in data.items()})
            return Elsewhere(engine, s3_service.datastore(name, prefix="team"))
        blob_service.container(name, data).close()
        return Elsewhere(engine, blob_service.datastore(name))

    return make


def run(engine: Engine, script: str | Path = "good.py", source: Path | None = None, **settings: Any) -> Ended:
    return engine.run(script, source or engine.outside / "unused", **settings)


#: For what does not depend on the kind of store.
BLOBS_ALONE = pytest.mark.parametrize("elsewhere", ["azure_blob"], indirect=True)
FILES = {"in/b.txt": "b", "in/a.txt": "a", "in/_logs/x": "1", "in/.marker": "1", "in/sub/c.txt": "c", "in2/d.txt": "d"}


def test_a_folder_of_a_datastore_is_scored_in_the_order_of_its_names(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere(FILES)
    ended = run(engine, **place.input("in/"))
    assert ended.lines == good(["a.txt", "b.txt", "c.txt"])
    log = ended.log("azureml/executionlogs.txt")
    assert "Fetching 3 files" in log
    assert "2 names that begin with '.' or '_' were skipped" in log
    assert not ended.folder.input.exists()


@BLOBS_ALONE
def test_include_and_exclude_decide_what_is_fetched(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere(FILES)
    ended = run(engine, **place.input("in", include=("*.txt",), exclude=("sub/",)))
    assert ended.lines == good(["a.txt", "b.txt"])


@BLOBS_ALONE
@pytest.mark.parametrize("kind", ["uri_file", "uri_folder"])
def test_a_single_file_is_found_whatever_was_said_of_it(elsewhere: Make, engine: Engine, kind: str) -> None:
    place = elsewhere(FILES)
    assert run(engine, **place.input("in/sub/c.txt", kind)).lines == good(["c.txt"])


@BLOBS_ALONE
@pytest.mark.parametrize(
    ("path", "kind", "code", "told"),
    [
        ("nowhere/", "uri_folder", "InputEmpty", "has no files to score"),
        ("nowhere.txt", "uri_file", "InputUnreadable", "nowhere.txt"),
        ("in", "uri_file", "InputUnreadable", "--input-type uri_folder"),
        ("in/_logs/", "uri_folder", "", ""),
    ],
)
def test_an_input_that_is_not_there_is_named(
    elsewhere: Make, engine: Engine, path: str, kind: str, code: str, told: str
) -> None:
    ended = run(engine, **elsewhere(FILES).input(path, kind))
    if not code:
        assert ended.lines == good(["x"])
        return
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, code)
    assert told in ended.error.message


@BLOBS_ALONE
def test_credentials_that_are_wrong_fail_the_job_with_what_to_do(elsewhere: Make, engine: Engine) -> None:
    place, wrong = elsewhere(FILES), "d3Jvbmc="
    secrets.keep(engine.home, place.datastore, Credentials.model_validate({"account_key": wrong}))
    ended = run(engine, **place.input("in/"))
    assert ended.error.code == "InputUnreadable"
    assert "datastore update --name blobs --set credentials" in ended.error.message
    assert wrong not in ended.error.message


@BLOBS_ALONE
def test_an_input_whose_library_is_not_installed_fails_the_job_with_the_line_that_installs_it(
    elsewhere: Make, engine: Engine
) -> None:
    (engine.outside / "missing").mkdir()
    (engine.outside / "missing" / "adlfs.py").write_text("raise ModuleNotFoundError('none', name='adlfs')")
    engine.job("good.py", engine.outside, **elsewhere(FILES).input("in/"))
    path = os.pathsep.join([str(engine.outside / "missing"), *sys.path])
    ended = engine.wait(engine.start_driver("job", PYTHONPATH=path))
    assert ended.error.code == "InputUnreadable"
    assert "pip install 'batchpoint[azure]'" in ended.error.message


def test_a_file_that_cannot_be_fetched_costs_that_file_and_says_why(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"in/a": "file", "in/a/below": "1", "in/b": "2", "in/c": "3"})
    ended = run(engine, **place.input("in/"))
    assert ended.lines == good(["below", "b", "c"])
    assert (ended.progress.items, ended.progress.items_failed, ended.progress.mini_batches) == (4, 1, 2)
    assert sorted(ended.called()) == [["b", "c"], ["below"]]
    assert ended.reason.code == "InputUnreadable"
    assert "is a file and the folder of other files" in ended.reason.message


@BLOBS_ALONE
def test_a_file_that_comes_at_the_second_fetch_is_scored(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"in/a": "1", "in/b": "2"})
    engine.job("good.py", engine.outside / "unused", **place.input("in/"))
    # From a driver that died before it had written the plan.
    job_folder(engine.home, "job").unfetched(0).write_text('{"a": "the store was away"}')
    assert engine.drive("job").lines == good(["a", "b"])


@BLOBS_ALONE
def test_files_that_cannot_be_fetched_count_for_the_error_threshold(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"in/a": "file", "in/a/below": "1", "in/b": "2"})
    ended = run(engine, **place.input("in/"), error_threshold=0)
    assert ended.error.code == "ErrorThresholdExceeded"
    assert "could not be fetched" in ended.error.message
    assert ended.called() == []


def test_rows_go_to_a_datastore_byte_for_byte_as_to_a_folder(elsewhere: Make, engine: Engine) -> None:
    place, source = elsewhere(), engine.items(9)
    here = engine.run("good.py", source, name="here")
    there = engine.run("good.py", source, name="there", **place.output("out/deep"))
    assert there.status is JobStatus.COMPLETED
    assert place.text("out/deep/predictions.csv") == here.output.read_text()
    assert place.names() == ["out/deep/predictions.csv"]
    assert engine.store.output_of("there") == engine.store.output_of("here")
    assert not there.folder.gathered.exists()


def test_an_output_that_is_there_is_refused_before_anything_is_scored(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"out/predictions.csv": "theirs"})
    ended = engine.run("good.py", engine.items(3), **place.output("out"))
    assert ended.error.code == "OutputAlreadyExists"
    assert place.uri("out/predictions.csv") in ended.error.message
    assert ended.called() == []
    assert place.text("out/predictions.csv") == "theirs"


@BLOBS_ALONE
def test_an_output_that_appears_while_the_job_runs_is_not_replaced(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere()
    script = engine.script(f"""
from pathlib import Path
def init(): pass
def run(mini_batch):
    Path({str(engine.outside / "now")!r}).touch()
    while not Path({str(engine.outside / "go")!r}).exists(): pass
    return mini_batch
""")
    theirs = engine.outside / "theirs"
    theirs.write_text("theirs")
    engine.job(script, engine.items(1), **place.output("out"))
    driver = engine.start_driver("job")
    eventually((engine.outside / "now").exists, "the first run()")
    assert place.store.put_new(theirs, "out/predictions.csv")
    (engine.outside / "go").touch()
    ended = engine.wait(driver)
    assert ended.error.code == "OutputAlreadyExists"
    assert place.text("out/predictions.csv") == "theirs"


def test_what_scripts_write_themselves_goes_to_a_datastore(elsewhere: Make, engine: Engine) -> None:
    place, source = elsewhere(), engine.items(3)
    ended = engine.run(engine.script(WRITES_FILES), source, output_action="summary_only", **place.output("out"))
    assert ended.status is JobStatus.COMPLETED
    assert place.names("out/") == [f"out/sub/00{number}.txt" for number in range(3)]
    assert place.text("out/sub/001.txt") == "summary of 001.txt"
    again = engine.run(
        engine.script(WRITES_FILES.replace("summary of", "other words for")),
        source,
        name="again",
        output_action="summary_only",
        **place.output("out"),
    )
    assert again.error.code == "OutputAlreadyExists"
    assert place.text("out/sub/001.txt") == "summary of 001.txt"


@BLOBS_ALONE
def test_a_container_that_is_not_there_is_said_before_anything_is_scored(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere()
    key = "bucket" if place.datastore.type == "s3" else "container_name"
    gone = place.datastore.model_copy(update={key: "not-there"})
    ended = engine.run("good.py", engine.items(1), **{**place.output("out"), "output_store": gone})
    assert ended.error.code == "OutputUnwritable"
    assert ended.called() == []


def test_an_output_of_an_earlier_job_inside_the_input_folder_is_no_input(engine: Engine) -> None:
    source = engine.items(3)
    first = engine.run("good.py", source, name="first", output_folder=str(source / "results"))
    assert first.output.is_file()
    (source / "results" / "mine.txt").write_text("of a person, not of a job")
    second = engine.run("good.py", source, name="second", output_folder=str(source / "more"))
    assert second.lines == good(["000.txt", "001.txt", "002.txt", "mine.txt"])
    third = engine.run("good.py", source, name="third")
    assert third.lines == second.lines
    assert "2 files were left out: they are outputs of earlier jobs" in third.log("azureml/executionlogs.txt")


def test_a_job_is_canceled_while_its_input_is_on_its_way(engine: Engine) -> None:
    asked, go = threading.Event(), threading.Event()

    def answer(path: str) -> tuple[int, str, bytes]:
        if "comp=list" in path:
            return 200, "application/xml", xml_page([f"in/{number}" for number in range(50)])
        asked.set()
        go.wait(60)
        return 200, "text/plain", b"1"

    with site(answer) as host:
        source = Input(type="uri_folder", path=f"http://{host}/account/box/in?sig=SECRET")
        engine.job("good.py", engine.outside, input=source)
        driver = engine.start_driver("job", BATCHPOINT_INPUT_HOSTS_ALLOWED=host)
        assert asked.wait(60)
        engine.store.request_cancel(W, "job")
        ended = engine.wait(driver)
        go.set()
    assert ended.status is JobStatus.CANCELED
    assert engine.driver_log() == ""


def test_a_new_driver_fetches_only_what_is_missing(engine: Engine) -> None:
    asked: list[str] = []
    held = threading.Event()

    def answer(path: str) -> tuple[int, str, bytes]:
        if "comp=list" in path:
            return 200, "application/xml", xml_page([f"in/{number:02}" for number in range(40)])
        asked.append(path)
        if len(asked) == 30:
            held.wait(60)
        return 200, "text/plain", b"1"

    with site(answer) as host:
        source = Input(type="uri_folder", path=f"http://{host}/account/box/in")
        engine.job("good.py", engine.outside, input=source)
        first = engine.start_driver("job", BATCHPOINT_INPUT_HOSTS_ALLOWED=host)
        eventually(lambda: len(asked) >= 30, "thirty files")
        first.kill()
        first.wait()
        held.set()
        before = len(asked)
        ended = engine.wait(engine.start_driver("job", BATCHPOINT_INPUT_HOSTS_ALLOWED=host))
    assert ended.lines == good([f"{number:02}" for number in range(40)])
    assert 0 < len(asked) - before < 40


STUMBLES = """
import os
def init(): pass
def run(paths):
    rows = [os.path.basename(path) + ': ' + open(path).read() for path in paths]
    if any('bad' in row for row in rows): raise ValueError('bad')
    return rows
"""


def test_a_redrive_fetches_only_what_it_scores_and_replaces_the_output_where_it_is(
    elsewhere: Make, engine: Engine
) -> None:
    place = elsewhere({f"in/{number}.txt": "bad" if number == 3 else "good" for number in range(8)})
    script = engine.script(STUMBLES)
    ended = run(engine, script, **place.input("in/"), **place.output("out"), mini_batch_size=4, max_retries=1)
    assert ended.progress.items_failed == 1
    assert place.text("out/predictions.csv").splitlines() == [f"{n}.txt: good" for n in range(8) if n != 3]
    (engine.outside / "mended").write_text("mended")
    assert place.store.replace_own(engine.outside / "mended", "in/3.txt", [hashlib.sha256(b"bad").hexdigest()])
    engine.store.reopen_job(W, "job", ended.job.settings, {})
    healed = engine.drive("job")
    assert healed.status is JobStatus.COMPLETED
    rows = [f"{n}.txt: {'mended' if n == 3 else 'good'}" for n in range(8)]
    assert place.text("out/predictions.csv").splitlines() == rows
    assert "Fetching 1 files" in healed.log("azureml/executionlogs.txt")


@BLOBS_ALONE
def test_a_redrive_leaves_an_output_that_somebody_edited_in_a_store(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"in/0.txt": "bad", "in/1.txt": "good"})
    script = engine.script(STUMBLES)
    ended = run(engine, script, **place.input("in/"), **place.output("out"), mini_batch_size=2, max_retries=1)
    place.store.remove("out/predictions.csv")
    (engine.outside / "edited").write_text("edited")
    place.store.put_new(engine.outside / "edited", "out/predictions.csv")
    engine.store.reopen_job(W, "job", ended.job.settings, {})
    refused = engine.drive("job")
    assert refused.error.code == "OutputAlreadyExists" and place.text("out/predictions.csv") == "edited"


@BLOBS_ALONE
def test_an_item_that_is_still_not_to_be_had_fails_again_and_alone(elsewhere: Make, engine: Engine) -> None:
    place = elsewhere({"in/0.txt": "bad", "in/1.txt": "good", "in/2.txt": "good", "in/a/../b.txt": "good"})
    script = engine.script(STUMBLES)
    ended = run(engine, script, **place.input("in/"), mini_batch_size=2, max_retries=1)
    assert {row.reason_code for row in ended.rows if row.failed_items} == {"ScriptRaised", "InputUnreadable"}
    place.store.remove("in/0.txt")
    engine.store.reopen_job(W, "job", ended.job.settings, {})
    again = engine.drive("job")
    assert (again.status, again.progress.items_failed) == (JobStatus.COMPLETED, 2)
    told = [row.reason for row in again.rows if row.failed_items]
    assert any("0.txt could not be fetched: it is no longer there" in reason for reason in told)
    assert len(again.lines) == 2


def test_failed_items_stand_beside_the_output_and_go_when_they_are_healed(elsewhere: Make, engine: Engine) -> None:
    place, source = elsewhere(), engine.items(4, bad=[1, 2])
    ended = engine.run("raises_in_run.py", source, mini_batch_size=1, max_retries=1, **place.output("out"))
    assert ended.status is JobStatus.COMPLETED, ended.job.error
    assert place.text("out/failed_items.jsonl") == ended.folder.failed_items.read_text()
    assert ended.job.properties["batchpoint.failed_items_path"] == place.uri("out/failed_items.jsonl")
    plane = ControlPlane(engine.store, engine.settings, lambda: None, Links("k"))
    assert {(check.what, check.state) for check in verify(plane, ended.job)} >= {
        ("output", "ok"), ("failed items", "ok"), ("plan", "ok"), ("segments", "ok"),
    }  # fmt: skip
    variables = {**ended.job.settings.environment_variables, "SIN_ON": "2-bad"}
    partly = ended.job.settings.model_copy(update={"environment_variables": variables})
    engine.store.reopen_job(W, "job", partly, {})
    again = engine.drive("job")
    assert [line.count('"index": 2') for line in place.text("out/failed_items.jsonl").splitlines()] == [1]
    healed = partly.model_copy(update={"environment_variables": {**variables, "SIN_ON": "nothing"}})
    engine.store.reopen_job(W, "job", healed, {})
    last = engine.drive("job")
    assert last.status is JobStatus.COMPLETED and again.status is JobStatus.COMPLETED
    assert place.store.size("out/failed_items.jsonl") is None
    place.store.remove("out/predictions.csv")
    wrong = [(check.what, check.state) for check in verify(plane, last.job) if check.state != "ok"]
    assert wrong == [("output", "missing")]
