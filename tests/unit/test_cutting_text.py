"""Where text files are cut, compared with parsers that read them in one go, whatever blocks they are read in."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas
import pyarrow
import pyarrow.csv
import pyarrow.json
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batchpoint.engine.preparation.splitting import cutter, row_starts, text
from batchpoint.engine.preparation.splitting.cutter import Cutter
from batchpoint.entities.tables.parts import Part, file_of, item_of, split_item
from batchpoint.entities.tables.split import Split
from batchpoint_worker.tables import parts as worker

BOM = b"\xef\xbb\xbf"
QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])

SPLITS = st.one_of(
    st.integers(1, 6).map(lambda rows: Split(rows=rows)), st.integers(1, 60).map(lambda size: Split(bytes=size))
)
BLOCKS = st.sampled_from([1, 2, 3, 7, 64, 1 << 20])
#: Anything at all that CSV files are made of.
SCRAPS = st.lists(st.sampled_from([b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b' "', "é".encode()]), max_size=60)
#: What programs write.
FIELDS = st.text(st.sampled_from('ab ,"\n\r;é'), max_size=8)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A file that some program wrote: fields quoted where they need it, or all of them, lines ended in its way."""
    width, end = draw(st.integers(2, 4)), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = draw(st.lists(st.lists(FIELDS, min_size=width, max_size=width), max_size=14))
    out = io.StringIO(newline="")
    # The module leaves a break without quotes that is not its own, and readers do not agree on what that is.
    is_mixed = end == "\r" or any("\r" in field for row in rows for field in row)
    quoting = csv.QUOTE_ALL if is_mixed or draw(st.booleans()) else csv.QUOTE_MINIMAL
    writer = csv.writer(out, quoting=quoting, lineterminator=end)
    writer.writerow([f"c{n}" if draw(st.booleans()) else f"c,{n}\nx" for n in range(width)])
    for row in rows:
        writer.writerow(row)
        out.write(end * draw(st.sampled_from([0, 0, 0, 1, 2])))
    data = out.getvalue()
    data = data.rstrip("\r\n") if draw(st.booleans()) else data
    return draw(st.sampled_from([b"", BOM])) + data.encode()


def cut(data: bytes, split: Split, kind: str = "csv", block_bytes: int = 1 << 20) -> list[Part]:
    return list(text.cut_text(io.BytesIO(data), kind, split, block_bytes=block_bytes))


def part_bytes(data: bytes, part: Part) -> bytes:
    return data[: part.head] + data[part.begin : part.end]


def rows_of(data: bytes) -> list[list[str]]:
    """As Python reads them: the header first, and no blank line."""
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    return [row for row in csv.reader(lines) if row]


def require_whole(data: bytes, parts: list[Part]) -> None:
    """The parts lie one behind the other, and nothing is lost."""
    assert parts
    assert data[: parts[0].head] + b"".join(data[part.begin : part.end] for part in parts) == data
    row = 0
    for part in parts:
        assert part.first_row == row and part.rows > 0
        row += part.rows


@QUICK
@given(SCRAPS, SPLITS, BLOCKS, st.sampled_from([1, 2, 5, 1 << 16]))
@example([b"a,b\n", b'5" pipe,"x\ny"\n', b'"q"r"s,1\n'], Split(rows=1), 1, 1)
@example([b"a\n", b'"x""', b'"\n1\n'], Split(rows=1), 7, 5)
def test_whatever_stands_in_a_file_its_parts_have_the_rows_that_python_reads(
    scraps: list[bytes], split: Split, block_bytes: int, quoted_bytes: int
) -> None:
    data = b"".join(scraps)
    row_starts._QUOTED_BYTES = quoted_bytes
    try:
        parts = cut(data, split, block_bytes=block_bytes)
    finally:
        row_starts._QUOTED_BYTES = 1 << 16
    header, *rows = rows_of(data) or [[]]
    if not rows:
        assert parts == []
        return
    require_whole(data, parts)
    for part in parts:
        found = rows_of(part_bytes(data, part))
        assert found == [header, *rows[part.first_row : part.first_row + part.rows]]
        assert not split.rows or part.rows == split.rows or part is parts[-1]


@QUICK
@given(written(), SPLITS, BLOCKS)
def test_of_a_file_that_a_program_wrote_the_parts_have_the_rows_that_pandas_and_pyarrow_read(
    data: bytes, split: Split, block_bytes: int
) -> None:
    parts = cut(data, split, block_bytes=block_bytes)
    if not parts:
        assert len(rows_of(data)) <= 1
        return
    require_whole(data, parts)
    for read in (by_pandas, by_arrow):
        whole = read(data)
        got = [row for part in parts for row in read(part_bytes(data, part))]
        assert got == whole
    assert [len(by_arrow(part_bytes(data, part))) for part in parts] == [part.rows for part in parts]


def by_pandas(data: bytes) -> list[tuple[str, ...]]:
    frame = pandas.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig", header=None)
    return list(frame.iloc[1:].itertuples(index=False, name=None))


def by_arrow(data: bytes) -> list[tuple[str, ...]]:
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={f"f{n}": pyarrow.string() for n in range(4)}, strings_can_be_null=False
        ),
    )
    return list(zip(*table.to_pydict().values(), strict=True))[1:]


VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-5, 5), st.text(st.sampled_from('a"\n\r\\{é'), max_size=5)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


@QUICK
@given(
    st.lists(st.tuples(VALUES, st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\n", "\n  "])), max_size=12),
    st.sampled_from(["", "\ufeff", "\n", " \r\n"]),
    st.sampled_from(["", " "]),
    SPLITS,
    BLOCKS,
)
def test_parts_of_json_lines_have_the_values_of_the_file(
    values: list[tuple[object, str]], begin: str, space: str, split: Split, block_bytes: int
) -> None:
    data = (begin + "".join(f"{space}{json.dumps(value)}{end}" for value, end in values)).encode()
    parts = cut(data, split, "jsonl", block_bytes)
    if not values:
        assert parts == []
        return
    require_whole(data, parts)
    for part in parts:
        lines = part_bytes(data, part).decode("utf-8-sig").split("\n")
        found = [json.loads(line) for line in lines if line.strip()]
        assert found == [value for value, _ in values[part.first_row : part.first_row + part.rows]]


def test_pandas_and_pyarrow_read_the_parts_of_json_lines() -> None:
    frame = pandas.DataFrame({"a": range(50), "b": [f'{n} "quoted"\nline' for n in range(50)]})
    data = frame.to_json(orient="records", lines=True).replace("\n", "\r\n", 7).encode()
    pieces = [part_bytes(data, part) for part in cut(data, Split(rows=7), "jsonl")]
    assert len(pieces) == 8
    pandas.testing.assert_frame_equal(
        pandas.concat([pandas.read_json(io.BytesIO(piece), lines=True) for piece in pieces], ignore_index=True), frame
    )
    tables = [pyarrow.json.read_json(io.BytesIO(piece)) for piece in pieces]
    assert pyarrow.concat_tables(tables).to_pandas().equals(frame)


def test_a_part_of_bytes_ends_with_the_row_that_reaches_them() -> None:
    data = b"head\n" + b"123456789\n" * 10
    assert [part.rows for part in cut(data, Split(bytes=20))] == [2, 2, 2, 2, 2]
    assert [part.rows for part in cut(data, Split(bytes=21))] == [3, 3, 3, 1]
    assert [part.rows for part in cut(data, Split(bytes=1))] == [1] * 10


@pytest.mark.parametrize("header", [b"a;b\n", b"a\tb\n", b"a|b\n", b'"a,b";c\n'])
def test_quotes_count_behind_whatever_divides_the_header(header: bytes) -> None:
    between = header.strip(b'"a,b')[:1] if b'"' not in header else b";"
    data = header + (b"1" + between + b'"two\nlines"\n') * 4
    assert [part.rows for part in cut(data, Split(rows=2))] == [2, 2]


def test_a_quote_that_is_never_closed_takes_everything_behind_it() -> None:
    told: list[int] = []
    data = b"a,b\n1,2\n3,4\n" + b'5,"6\n' + b"7,8\n" * 3
    parts = list(text.cut_text(io.BytesIO(data), "csv", Split(rows=1), never_closed=told.append))
    assert [part.rows for part in parts] == [1, 1, 1] and told == [2]
    require_whole(data, parts)


ITEMS = st.builds(Part, st.integers(0, 10**9), st.integers(1, 10**9), st.none(), st.none(), st.just(0)) | st.tuples(
    st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**9)
).map(lambda one: Part(one[0], one[1], one[2], one[2] + one[3], one[2] // 2))


@QUICK
@given(ITEMS, st.sampled_from([b"a.csv", b"sub/a b;c=d.csv", b"\xff.parquet", b"rows=1-2", b"/abs/x.csv"]))
def test_driver_and_worker_spell_parts_alike(part: Part, file: bytes) -> None:
    item = item_of(file, part)
    assert split_item(item) == (file, part) and file_of(item) == file
    path, read = worker.split_path(item.decode("utf-8", "surrogateescape"))
    assert read is not None and path == file.decode("utf-8", "surrogateescape")
    assert (read.first_row, read.rows, read.begin, read.end, read.head) == tuple(part)
    assert f"{path}//{read}" == item.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("item", [b"a.csv", b"//host/a.csv", b"a//b", b"a.csv//rows=1", b"a.csv//rows=1-2;x=3"])
def test_what_is_no_part_is_a_file(item: bytes) -> None:
    assert split_item(item) == (item, None) and file_of(item) == item
    assert worker.split_path(item.decode()) == (item.decode(), None)


def notes(cutter: Cutter, paths: list[bytes]) -> tuple[list[bytes], list[str]]:
    items = list(cutter.items(paths))
    return items, list(cutter.notes())


def files(folder: Path, contents: dict[str, bytes]) -> Iterator[bytes]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield name.encode()


def test_what_cannot_be_cut_stays_whole_and_is_told_of(tmp_path: Path) -> None:
    rows = b"".join(b"%d,x\n" % n for n in range(40))
    paths = list(
        files(
            tmp_path,
            {
                "big.CSV": b"a,b\n" + rows,
                "big.csv.gz": b"\x1f\x8b" + rows,
                "broken.parquet": rows,
                "empty.csv": b"",
                "header.csv": b"a,b\n\n\n",
                "image.png": rows,
                "long header.csv": b"a" * 300 + b"\n1\n",
                "packed.csv": b"\x1f\x8b" + rows,
                "small.csv": b"a,b\n1,2\n",
                "wide.tsv": ("a\tb\n" * 40).encode("utf-16"),
            },
        )
    )
    items, told = notes(Cutter(Split(rows=15), str(tmp_path)), [*paths, b"gone.csv"])
    assert [file_of(item) for item in items] == [b"big.CSV"] * 3 + [*paths[1:], b"gone.csv"]
    assert told == [
        "1 file was cut into 3 parts of 15 rows.",
        "1 file was left whole: what is compressed is not cut (big.csv.gz).",
        "1 file was left whole: it cannot be read as Parquet, or comes to too many parts (broken.parquet).",
        "1 file was left whole: only CSV, TSV, JSON Lines and Parquet files are cut (image.png).",
        "1 file was left whole: its text is compressed (packed.csv).",
        "1 file was left whole: its text is not UTF-8, nor anything like it (wide.tsv).",
    ]


def test_a_file_of_one_part_stays_whole_and_small_ones_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = list(files(tmp_path, {f"{n}.csv": b"a,b\n1,2\n" for n in range(3)}))
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("opened"))
    assert notes(Cutter(Split(rows=1000), str(tmp_path)), paths) == (paths, [])
    assert notes(Cutter(Split(bytes=1000), str(tmp_path)), paths) == (paths, [])


def test_a_file_that_comes_to_far_too_many_parts_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = list(files(tmp_path, {"few.csv": b"a\n1\n2\n", "many.csv": b"a\n1\n2\n3\n4\n"}))
    monkeypatch.setattr(cutter, "MOST_PARTS", 3)
    items, told = notes(Cutter(Split(rows=1), str(tmp_path)), paths)
    assert [file_of(item) for item in items] == [b"few.csv", b"few.csv", b"many.csv"]
    assert told[1] == (
        "1 file was left whole: it comes to more than 3 parts, for which split must be larger (many.csv)."
    )


def test_cutting_stops_when_the_job_is_not_wanted_any_more(tmp_path: Path) -> None:
    def no_more() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    left = 4
    (tmp_path / "a.csv").write_bytes(b"a\n" + b"1\n" * (3 << 20))
    with pytest.raises(KeyboardInterrupt):
        list(Cutter(Split(rows=100_000), str(tmp_path), no_more).items([b"a.csv"]))
