"""An object store that misbehaves: answers get lost, come short or say no; conditions are ignored."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchpoint.engine.publishing.places import StorePlace
from batchpoint.entities.data import Input
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.job import Job, JobSettings
from batchpoint.errors import DatastoreUnavailable, Fenced, NotSupported, OutputUnwritable, ResourceNotFound
from batchpoint.storage.bring import EVERYTHING, Choice, bring
from batchpoint.storage.datastores import LocalFolder, open_datastore
from batchpoint.storage.job_folder import JobFolder
from batchpoint.storage.listing import Found
from batchpoint.storage.objects.store import ObjectStore

DATASTORE = Datastore(name="blobs", type="azure_blob", account_name="acct", container_name="box")


class FileSystem:
    """A store in memory; ``trouble`` is asked before each call and after each that changes something."""

    def __init__(self, files: dict[str, bytes], trouble: Callable[[str], None] = lambda when: None) -> None:
        self.files = {f"box/{name}": data for name, data in files.items()}
        self.trouble = trouble
        self.conditional = True

    def find(self, path: str, detail: bool) -> dict[str, dict[str, Any]]:
        self.trouble("before find")
        return {name: {"size": len(data), "type": "file"} for name, data in self.files.items() if name.startswith(path)}

    def info(self, path: str) -> dict[str, Any]:
        self.trouble("before info")
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"size": len(self.files[path]), "type": "file"}

    def get_file(self, path: str, target: str) -> None:
        self.trouble("before get_file")
        if path not in self.files:
            raise FileNotFoundError(path)
        Path(target).write_bytes(self.files[path])
        try:
            self.trouble("after get_file")
        except EOFError:
            Path(target).write_bytes(self.files[path][:-1])

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        return self.files[path][start:end]

    def pipe_file(self, path: str, data: bytes, mode: str) -> None:
        self.trouble("before pipe_file")
        if path in self.files and self.conditional:
            raise FileExistsError(path)
        self.files[path] = data
        self.trouble("after pipe_file")

    def rm_file(self, path: str) -> None:
        if path not in self.files:
            raise FileNotFoundError(path)
        del self.files[path]
        self.trouble("after rm_file")


def failing(when: str, error: Exception, times: int = 1) -> Callable[[str], None]:
    """Trouble at one moment, so many times."""
    left = [times]

    def trouble(now: str) -> None:
        if now == when and left[0]:
            left[0] -= 1
            raise error

    return trouble


def store_of(files: FileSystem, slept: list[float] | None = None) -> ObjectStore:
    return ObjectStore(DATASTORE, None, files, (slept if slept is not None else []).append)  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"mine")
    return path


def test_a_reply_that_is_lost_after_the_write_is_found_out(source: Path) -> None:
    files = FileSystem({}, failing("after pipe_file", ConnectionResetError("reset")))
    assert store_of(files).put_new(source, "x")
    assert files.files == {"box/x": b"mine"}


def test_a_reply_that_is_lost_after_the_removal_is_no_failure() -> None:
    files = FileSystem({"x": b"mine"}, failing("after rm_file", ConnectionResetError("reset")))
    store_of(files).remove("x")
    assert files.files == {}


def test_a_write_that_did_not_arrive_is_repeated(source: Path) -> None:
    files = FileSystem({}, failing("before pipe_file", ConnectionResetError("reset"), 2))
    slept: list[float] = []
    assert store_of(files, slept).put_new(source, "x")
    assert len(slept) == 2
    assert all(0 <= seconds <= 4 for seconds in slept)


def test_a_lost_reply_of_somebody_elses_conflict_is_still_a_conflict(source: Path) -> None:
    files = FileSystem({"x": b"theirs"}, failing("before pipe_file", ConnectionResetError("reset")))
    assert not store_of(files).put_new(source, "x")
    assert files.files == {"box/x": b"theirs"}


@pytest.mark.parametrize("moment", ["before get_file", "after get_file"])
def test_a_read_that_fails_or_comes_short_is_repeated(tmp_path: Path, moment: str) -> None:
    error = EOFError() if moment == "after get_file" else OSError("503 SlowDown")
    files = FileSystem({"x": b"12345"}, failing(moment, error, 2))
    store_of(files).fetch(Found("x", 5), tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"12345"


def test_a_read_that_always_comes_short_says_how_short(tmp_path: Path) -> None:
    files = FileSystem({"x": b"12345"}, failing("after get_file", EOFError(), 100))
    with pytest.raises(DatastoreUnavailable, match=r"4 of 5 bytes came \(4 attempts\)"):
        store_of(files).fetch(Found("x", 5), tmp_path / "target")


def test_a_refusal_is_not_repeated(tmp_path: Path) -> None:
    slept: list[float] = []
    files = FileSystem({"x": b"1"}, failing("before get_file", PermissionError("403 AuthenticationFailed"), 100))
    with pytest.raises(DatastoreUnavailable, match="datastore update --name blobs --set credentials"):
        store_of(files, slept).fetch(Found("x", 1), tmp_path / "target")
    assert slept == []


def test_one_file_that_is_gone_since_the_list_costs_that_file(tmp_path: Path) -> None:
    files = FileSystem({"in/a": b"1", "in/b": b"22", "in/c": b"3"})
    store = store_of(files)
    listed = list(store.files("in/"))
    del files.files["box/in/b"]
    store.files = lambda folder: iter(listed)  # type: ignore[method-assign]
    brought = bring(store, "in/", tmp_path, EVERYTHING)
    assert brought.items == [b"a", b"b", b"c"]
    assert list(brought.failed) == [b"b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_what_an_earlier_driver_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"only a part")
    asked: list[str] = []
    store = store_of(FileSystem({"in/a": b"1", "in/b": b"22"}, asked.append))
    assert bring(store, "in/", tmp_path, EVERYTHING).failed == {}
    assert asked.count("before get_file") == 1
    assert (tmp_path / "b").read_bytes() == b"22"


def test_a_transfer_that_is_no_longer_wanted_lets_go_of_its_folder(tmp_path: Path) -> None:
    before, begun, stopped = set(threading.enumerate()), threading.Event(), threading.Event()

    class Slow(LocalFolder):
        def fetch(self, found: Found, target: Path) -> None:
            begun.set()
            assert stopped.wait(60)
            super().fetch(found, target)

    class NoLongerWanted(Exception):
        pass

    def still_wanted() -> None:
        if begun.is_set():
            stopped.set()
            raise NoLongerWanted

    for number in range(50):
        (tmp_path / "there" / f"{number}").mkdir(parents=True)
        (tmp_path / "there" / f"{number}" / "x").write_bytes(b"1")
    with pytest.raises(NoLongerWanted):
        bring(Slow(tmp_path / "there"), "", tmp_path / "here", Choice(still_wanted=still_wanted))
    assert set(threading.enumerate()) == before


def job_writing_to(folder: Path) -> tuple[Job, JobFolder]:
    (folder / "job").mkdir()
    settings = JobSettings(
        code_path="/code",
        scoring_script="score.py",
        input=Input(path="/in"),
        output_folder="out",
        output_store=DATASTORE,
        output_uri="azureml://datastores/blobs/paths/out",
    )
    return Job(name="j", endpoint_name="e", deployment_name="d", settings=settings), JobFolder(folder / "job")


def test_a_store_that_ignores_conditions_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    files = FileSystem({})
    files.conditional = False
    place = StorePlace(*job_writing_to(tmp_path), lambda: store_of(files))
    with pytest.raises(OutputUnwritable, match="replaces files although it is asked not to"):
        place.refuse_now()
    assert files.files == {}


def test_the_probe_of_a_driver_that_was_stopped_in_the_middle_is_no_obstacle(tmp_path: Path) -> None:
    files = FileSystem({"out/.batchpoint-j.probe": b"second"})
    StorePlace(*job_writing_to(tmp_path), lambda: store_of(files)).refuse_now()
    assert files.files == {}


def test_a_store_that_lets_write_and_not_read_is_left_as_it_was(tmp_path: Path) -> None:
    asked: list[str] = []

    def trouble(when: str) -> None:
        if when == "before info":
            asked.append(when)
            if len(asked) > 1:
                raise PermissionError("403 Forbidden")

    job, folder = job_writing_to(tmp_path)
    files = FileSystem({}, trouble)
    with pytest.raises(OutputUnwritable, match="403 Forbidden"):
        StorePlace(job, folder, lambda: store_of(files)).refuse_now()
    assert files.files == {}


def test_publishing_again_after_a_stop_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    files, (job, folder) = FileSystem({}), job_writing_to(tmp_path)
    (folder.staging / "sub").mkdir(parents=True)
    (folder.staging / "sub" / "a").write_bytes(b"a")
    place = StorePlace(job, folder, lambda: store_of(files))
    first = place.publish([])
    assert files.files == {"box/out/predictions.csv": b"", "box/out/sub/a": b"a"}
    del files.files["box/out/sub/a"]
    assert place.publish([]) == first
    assert files.files == {"box/out/predictions.csv": b"", "box/out/sub/a": b"a"}


def test_a_driver_that_learns_while_it_publishes_that_the_job_is_anothers_stops_as_fenced(tmp_path: Path) -> None:
    files, (job, folder) = FileSystem({}), job_writing_to(tmp_path)
    place = StorePlace(job, folder, lambda: store_of(files))

    def fenced() -> None:
        raise Fenced("another driver has the job")

    with pytest.raises(Fenced):
        place.publish([], fenced)
    assert files.files == {}


def test_a_container_that_is_gone_is_told_from_an_empty_one() -> None:
    files = FileSystem({})
    with pytest.raises(ResourceNotFound, match="There is no container or bucket box"):
        list(store_of(files).files("in/"))
    files.files["box"] = b""
    assert list(store_of(files).files("in/")) == []


@pytest.mark.parametrize(("kind", "library", "extra"), [("azure_blob", "adlfs", "azure"), ("s3", "s3fs", "s3")])
def test_a_missing_extra_is_named_with_the_line_that_installs_it(
    kind: str, library: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    datastore = DATASTORE if kind == "azure_blob" else Datastore(name="b", type="s3", bucket="b")
    with pytest.raises(NotSupported, match=rf"pip install 'batchpoint\[{extra}\]'"):
        open_datastore(datastore, tmp_path)


def test_no_secret_is_in_what_is_printed_kept_or_compared() -> None:
    credentials = Credentials.model_validate({"account_key": "SECRET"})
    datastore = DATASTORE.model_copy(update={"credentials": credentials})
    assert "SECRET" not in f"{datastore} {datastore!r} {datastore.model_dump()} {datastore.model_dump_json()}"
    assert credentials.revealed() == {"account_key": "SECRET"}


def test_a_folder_that_is_no_folder_yet_is_empty(tmp_path: Path) -> None:
    assert list(LocalFolder(tmp_path / "none").files("")) == []
