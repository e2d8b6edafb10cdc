"""Parts of Parquet files: where they are cut, and what a worker reads of them."""

import io
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from batchpoint.compute.ray import parts as travelling
from batchpoint.engine.preparation.splitting.parquet import cut_parquet
from batchpoint.entities.tables.parts import Part
from batchpoint.entities.tables.split import Split
from batchpoint_worker.tables import parquet_rows
from batchpoint_worker.tables.parts import Part as WorkerPart

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, rows: int, group: int) -> Path:
    texts = pyarrow.array([f"text {n % 7}" for n in range(rows)]).dictionary_encode()
    parquet.write_table(pyarrow.table({"n": list(range(rows)), "text": texts}), path, row_group_size=group)
    return path


def require_whole(parts: list[Part], rows: int) -> None:
    at = 0
    for part in parts:
        assert part.first_row == at and part.rows > 0 and part.begin is None
        at += part.rows
    assert at == rows


@QUICK
@given(st.integers(0, 200), st.integers(1, 90), st.integers(1, 250))
def test_parts_of_rows_have_so_many_and_all_of_them(tmp_path: Path, rows: int, group: int, size: int) -> None:
    parts = list(cut_parquet(write(tmp_path / "a.parquet", rows, group), Split(rows=size)) or ())
    require_whole(parts, rows)
    assert all(part.rows == size for part in parts[:-1])


@QUICK
@given(st.integers(1, 200), st.integers(1, 90), st.integers(1, 3000))
def test_parts_of_bytes_are_whole_row_groups_or_lie_in_one(tmp_path: Path, rows: int, group: int, size: int) -> None:
    path = write(tmp_path / "a.parquet", rows, group)
    parts = list(cut_parquet(path, Split(bytes=size)) or ())
    require_whole(parts, rows)
    footer = parquet.read_metadata(path)
    sizes = [footer.row_group(index).total_byte_size for index in range(footer.num_row_groups)]
    for part in parts:
        begin, end = part.first_row, part.first_row + part.rows
        held = sizes[begin // group : -(-end // group)]
        if begin % group == 0 and (end % group == 0 or end == rows):
            assert sum(held) <= size or len(held) == 1
        assert len(held) == 1 or sum(held) <= size
        row = max(sizes) / min(group, rows) + 1
        assert part.rows == 1 or part.rows * held[0] / min(group, rows - begin // group * group) <= 1.5 * size + row


@QUICK
@given(
    st.integers(1, 150),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 149), st.integers(1, 80), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([1, 7, 1 << 16]),
)
def test_whatever_rows_are_asked_for_in_whatever_order_come_and_no_others(
    tmp_path: Path, rows: int, group: int, asked: list[tuple[int, int, bool]], at_once: int
) -> None:
    path = str(write(tmp_path / "a.parquet", rows, group))
    parquet_rows.AT_ONCE = travelling._ROWS = at_once
    for first, count, is_narrow in asked:
        first = first % rows
        count = min(count, rows - first)
        table = parquet_rows.rows_of(path, WorkerPart(first, count), ["n"] if is_narrow else None)
        assert table["n"].to_pylist() == list(range(first, first + count))
        assert table.num_columns == (1 if is_narrow else 2)
        sent = parquet.read_table(io.BytesIO(b"".join(travelling.pieces_of(path, Part(first, count)))))
        assert sent["n"].to_pylist() == list(range(first, first + count))
    parquet_rows.AT_ONCE = travelling._ROWS = 65_536


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", 10, 5)
    with pytest.raises(parquet_rows.Unreadable, match="it has 10 rows"):
        parquet_rows.rows_of(str(path), WorkerPart(8, 3))


def test_a_part_that_came_without_its_file_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    write(tmp_path / "a.parquet" / "rows=20-24", 5, 5)
    table = parquet_rows.rows_of(str(tmp_path / "a.parquet"), WorkerPart(20, 5))
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4]


def test_what_is_no_parquet_file_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing behind it")
    assert cut_parquet(tmp_path / "a.parquet", Split(rows=1)) is None


def with_rows(path: Path, said: int) -> Path:
    """A small file whose footer says that it has another number of rows, in the coding of its footer."""
    write(path, 100_001, 1 << 20)
    data, length = path.read_bytes(), int.from_bytes(path.read_bytes()[-8:-4], "little")
    footer = data[-8 - length : -8].replace(varint(100_001), varint(said))
    path.write_bytes(data[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def varint(number: int) -> bytes:
    rest, text = number << 1, b""
    while rest > 127:
        rest, text = rest >> 7, text + bytes([rest & 127 | 128])
    return text + bytes([rest])


def test_a_footer_that_says_any_number_of_rows_does_not_fill_the_plan(tmp_path: Path) -> None:
    file = with_rows(tmp_path / "a.parquet", 1 << 45)
    assert parquet.read_metadata(file).num_rows == 1 << 45
    assert cut_parquet(file, Split(rows=1000)) is None
