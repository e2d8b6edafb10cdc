"""Outputs of several files: cut between two rows, published whole, replaced only where they are the job's own."""

import itertools
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.engine.publishing import segments as segment_files
from batchpoint.engine.publishing.assembly.assemble import assemble
from batchpoint.engine.publishing.assembly.layout import Layout, is_shard_of, shard_name
from batchpoint.engine.publishing.places import FolderPlace, OutputPlace, StorePlace
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.errors import OutputAlreadyExists, SegmentCorrupt
from batchpoint.storage.datastores import LocalFolder
from batchpoint.storage.job_folder import JobFolder
from batchpoint.store.records import LedgerRow, Part
from tests.unit.test_object_store_faults import DATASTORE

SIZE = 40


def scored(folder: Path, *texts: bytes) -> list[LedgerRow]:
    """One mini-batch for each text."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, offset = [], 0
    for number, text in enumerate(texts):
        rows.append(LedgerRow(number, number, 1, 1, 0, 1, 1, (Part("s", offset, len(text), zlib.crc32(text)),)))
        offset += len(text)
    (folder / "s").write_bytes(b"".join(texts))
    return rows


def csv_of(*names: str) -> bytes:
    return b"n\n" + b"".join(f"{name}\n".encode() for name in names)


class Place:
    """A job's place of output, in a folder or in a store, seen as names and bytes."""

    def __init__(self, folder: Path, *, is_store: bool) -> None:
        self.is_store = is_store
        self.store = LocalFolder(folder / "store")
        self.root = self.store.root / "out" if is_store else folder / "out"
        self.folder = JobFolder(folder / "job")
        self.folder.path.mkdir(parents=True)
        self.store.root.mkdir()

    def open(self, revision: int = 0) -> OutputPlace:
        settings = JobSettings(
            code_path="/code",
            scoring_script="score.py",
            input=Input(path="/in"),
            output_folder="out" if self.is_store else str(self.root),
            output_store=DATASTORE if self.is_store else None,
            output_uri="azureml://datastores/blobs/paths/out",
            output_format="csv",
            output_shard_size=SIZE,
        )
        job = Job(name="j", endpoint_name="e", deployment_name="d", settings=settings, revision=revision)
        if self.is_store:
            return StorePlace(job, self.folder, lambda: self.store)
        return FolderPlace(job, self.folder)

    def rows(self, *texts: bytes) -> list[LedgerRow]:
        return scored(self.folder.segments, *texts)

    def put(self, name: str, data: bytes) -> None:
        self.root.mkdir(exist_ok=True)
        (self.root / name).write_bytes(data)

    def there(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.root.iterdir())}


@pytest.fixture(params=[False, True], ids=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, is_store=request.param)


LONG = [f"row {number:010}" for number in range(8)]
FIRST, SECOND, THIRD = (f"predictions-{number:05}.csv" for number in range(3))


def test_publishing_again_after_a_stop_in_the_middle_completes_it(place: Place) -> None:
    rows = place.rows(csv_of(*LONG[:5]), csv_of(*LONG[5:]))
    first = place.open().publish(rows)
    assert place.there() == {FIRST: csv_of(*LONG[:3]), SECOND: csv_of(*LONG[3:6]), THIRD: csv_of(*LONG[6:])}
    assert [shard.name for shard in first.shards] == [FIRST, SECOND, THIRD] and first.length == 126
    whole = place.there()
    (place.root / SECOND).unlink()
    assert place.open().publish(rows) == first and place.there() == whole


@pytest.mark.parametrize("name", [FIRST, THIRD])
def test_nothing_is_published_beside_a_file_that_came_while_the_job_scored(place: Place, name: str) -> None:
    place.open().refuse_now()
    place.put(name, b"theirs")
    with pytest.raises(OutputAlreadyExists, match=name):
        place.open().publish(place.rows(csv_of(*LONG)))
    assert place.there() == {name: b"theirs"}
    with pytest.raises(OutputAlreadyExists, match=name):
        place.open().refuse_now()


def test_the_next_revision_replaces_what_is_its_own_and_removes_the_rest(place: Place) -> None:
    place.open().publish(place.rows(csv_of(*LONG)))
    place.put("notes.txt", b"mine")
    place.open(1).refuse_now()
    place.open(1).publish(place.rows(csv_of(*LONG[:4])))
    assert place.there() == {"notes.txt": b"mine", FIRST: csv_of(*LONG[:3]), SECOND: csv_of(LONG[3])}


def test_the_next_revision_replaces_nothing_when_one_file_was_changed_while_it_scored(place: Place) -> None:
    place.open().publish(place.rows(csv_of(*LONG)))
    place.open(1).refuse_now()
    place.put(SECOND, b"changed")
    before = place.there()
    with pytest.raises(OutputAlreadyExists, match=SECOND):
        place.open(1).publish(place.rows(csv_of(*(f"new {name}" for name in LONG))))
    assert place.there() == before


def test_a_name_of_a_shard_is_told_from_others() -> None:
    assert shard_name("my.out.csv", 12) == "my.out-00012.csv"
    assert is_shard_of("my.out-123456.csv", "my.out.csv") and is_shard_of("plain-00000", "plain")
    for other in ("my.out.csv", "my.out-12.csv", "my.out-00012.csv.gz", "my-out-00012.csv", "other-00012.csv"):
        assert not is_shard_of(other, "my.out.csv")


# ---- cutting --------------------------------------------------------------------------------------------------------

CELL = st.text(st.sampled_from('ab",\n '), max_size=12)


def record(cells: tuple[str, ...]) -> bytes:
    return ",".join('"{}"'.format(cell.replace('"', '""')) for cell in cells).encode() + b"\n"


@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=4),
    size=st.integers(1, 80),
    block=st.integers(1, 9),
)
def test_where_files_are_cut_follows_from_the_rows_alone(
    rows: list[tuple[str, str]], cuts: list[int], size: int, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, kept = tmp_path_factory.mktemp("cut"), segment_files.BLOCK_BYTES
    borders = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    texts = [b"x,y\n" + b"".join(map(record, rows[a:b])) for a, b in itertools.pairwise(borders)]
    names = iter(range(1000))
    segment_files.BLOCK_BYTES = block
    try:
        layout = Layout("csv", shard_size=size)
        found = assemble(scored(folder, *texts), folder, layout, lambda: folder / f"{next(names)}")
    finally:
        segment_files.BLOCK_BYTES = kept
    wanted = [b"x,y\n"]
    for row in map(record, rows):
        if len(wanted[-1]) >= size and wanted[-1] != b"x,y\n":
            wanted.append(b"x,y\n")
        wanted[-1] += row
    assert [file.path.read_bytes() for file in found] == wanted


@given(
    batches=st.lists(st.tuples(st.permutations("abcd"), st.integers(1, 4), CELL), min_size=1, max_size=5),
    block=st.integers(1, 9),
)
def test_columns_are_all_there_are_in_the_order_in_which_they_appear(
    batches: list[tuple[list[str], int, str]], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, kept = tmp_path_factory.mktemp("columns"), segment_files.BLOCK_BYTES
    texts, seen = [], list[str]()
    for names, width, cell in batches:
        seen += [name for name in names[:width] if name not in seen]
        texts.append(",".join(names[:width]).encode() + b"\n" + record((cell,) * width) * 2)
    segment_files.BLOCK_BYTES = block
    try:
        (file,) = assemble(scored(folder, *texts), folder, Layout("csv"), lambda: folder / "out")
    finally:
        segment_files.BLOCK_BYTES = kept
    wanted = ",".join(seen).encode() + b"\n"
    for names, width, cell in batches:
        fields = [record((cell,))[:-1] if name in names[:width] else b"" for name in seen]
        wanted += (b",".join(fields) + b"\n") * 2
    assert file.path.read_bytes() == wanted


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("data", [b"", b"n", b'n\n"', b"\xff\xff\xff\xff\x10", b'{"names":', b"{}\n", b"\0" * 40])
def test_what_no_worker_wrote_is_a_damaged_segment(tmp_path: Path, kind: str, data: bytes) -> None:
    (row,) = scored(tmp_path, b"x" * 40)
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(SegmentCorrupt):
        assemble([row], tmp_path, Layout(kind, shard_size=10), lambda: tmp_path / "out")  # type: ignore[arg-type]
