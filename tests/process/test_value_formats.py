"""What stands in an output for each kind of value, in each format: as the guide has it, and so that it reads back."""

import base64
import csv
import io
import json
import math
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchpoint.engine.publishing import output
from batchpoint.engine.publishing.assembly.layout import Layout
from batchpoint.store.records import LedgerRow, Part
from batchpoint_worker.failures import Refused
from batchpoint_worker.formats import results as seen_results
from batchpoint_worker.formats.choice import encoder_of
from batchpoint_worker.formats.shares import with_shares
from batchpoint_worker.provenance import Origin
from batchpoint_worker.rows import Limits

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "output.md"
LIMITS = Limits(64 << 20, 1 << 30)
FORMATS = ("azure", "csv", "jsonl", "parquet")
NAMES = {"np": np, "pd": pd, **{one.__name__: one for one in (Decimal, datetime, timezone, timedelta, float)}}
ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\r\n\u2028\u2029\x85\ufeff \",'\\"))


def encoded(kind: str, result: object, limits: Limits = LIMITS, origin: Origin | None = None, **no_code: Any) -> bytes:
    """What stands in a segment for one call of run()."""
    start: Any = SimpleNamespace(output_format=kind, no_code=no_code or None, limits=limits)
    count, pieces = encoder_of(start).encode(result, origin)
    assert count == encoder_of(start).count(result)
    return b"".join(pieces)


def gathered(kind: str, segments: list[bytes], folder: Path, **layout: Any) -> Path:
    """The output of a job with one mini-batch for each segment."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, data in enumerate(segments):
        (folder / f"{number}.seg").write_bytes(data)
        part = Part(f"{number}.seg", 0, len(data), zlib.crc32(data))
        rows.append(LedgerRow(number, number, 1, 1, 0, 1, 1, (part,)))
    final = folder / "out" / f"predictions.{kind}"
    final.unlink(missing_ok=True)
    output.gather(rows, folder, final, "job", layout=Layout(kind, **layout))  # type: ignore[arg-type]
    return final


# ---- the table of the guide -----------------------------------------------------------------------------------------


def table() -> Iterator[tuple[str, dict[str, str]]]:
    text = PAGE.read_text(encoding="utf-8").partition("## Every kind of value")[2]
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 5 and cells[0].startswith("`"):
            yield cells[0], dict(zip(FORMATS, cells[1:], strict=True))


def shown(text: str) -> str:
    """As a cell of the table has it."""
    for plain, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"), ("|", "\\|")):
        text = text.replace(plain, escape)
    if len(text) > 100:
        text = f"{text[:3]}…{text[-3:]}"
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else "nothing"


def written(kind: str, values: list[Any], folder: Path) -> str:
    """The cell for the first of the values, which stand in one column."""
    result = values if kind == "azure" else [{"id": 0, "value": value} for value in values]
    try:
        data = encoded(kind, result)
    except Refused as refused:
        return f"fails: {refused.code}"
    if kind == "parquet":
        column = pq.read_table(gathered(kind, [data], folder)).column("value")
        return f"{shown(str(column.type))} {shown(repr(column[0].as_py()))}"
    text = data.decode().partition("\n")[2] if kind == "csv" else data.decode()
    if kind == "azure":
        return shown(text.removesuffix("\n"))
    if kind == "jsonl":
        return shown(text.split("\n")[0].removeprefix('{"id":0,"value":').removesuffix("}"))
    return shown(text.removeprefix("0,").split("\n0,")[0].removesuffix("\n"))


def cells(first: str) -> list[Any]:
    return [eval(code.strip(), dict(NAMES)) for code in re.findall(r"`+ ?(.*?) ?`+", first)]


@pytest.mark.parametrize(("value", "told"), list(table()), ids=lambda one: one if isinstance(one, str) else "")
def test_the_guide_says_what_stands_in_the_output(value: str, told: dict[str, str], tmp_path: Path) -> None:
    values = cells(value.replace("\\|", "|"))
    found = {kind: written(kind, values[:1] if kind == "azure" else values, tmp_path) for kind in FORMATS}
    assert found == told


def test_the_table_has_every_kind_that_it_should() -> None:
    assert len(list(table())) >= 24


# ---- everything reads back ------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "text": (ANY_TEXT, str),
    "int": (st.integers(), int),
    "bool": (st.booleans(), {"true": True, "false": False}.__getitem__),
    "float": (st.floats(), float),
    "float32": (st.floats(width=32).map(np.float32), np.float32),
    "decimal": (st.decimals(allow_nan=False, allow_infinity=False), Decimal),
    "date": (st.dates(), date.fromisoformat),
    "time": (st.times(), time.fromisoformat),
    "datetime": (st.datetimes(timezones=st.just(UTC)), datetime.fromisoformat),
    "span": (st.timedeltas(timedelta(-999), timedelta(999)), lambda text: pd.Timedelta(text).to_pytimedelta()),
    "bytes": (st.binary(max_size=30), lambda text: base64.b64decode(text, validate=True)),
    "uuid": (st.uuids().map(str), str),
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    return bool(one == other) or (isinstance(one, float | np.floating) and math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_reader_of_csv_gets_back_every_value(kind: str, data: st.DataObject) -> None:
    strategy, read = VALUES[kind]
    values = data.draw(st.lists(strategy | st.none(), min_size=1, max_size=10))
    text = encoded("csv", [{"id": at, "value": value} for at, value in enumerate(values)]).decode()
    header, *records = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == ["id", "value"]
    assert [int(record[0]) for record in records] == list(range(len(values)))
    for (_, field), value in zip(records, values, strict=True):
        # Python's reader does not tell nothing from an empty text.
        assert field == "" if value is None else same(read(field), value)


@given(st.lists(ANY_TEXT | st.none(), min_size=1, max_size=20))
def test_pyarrow_tells_a_missing_value_of_csv_from_an_empty_text(texts: list[str | None]) -> None:
    text = encoded("csv", [{"id": 0, "value": value} for value in texts])
    options = pa.csv.ConvertOptions(
        column_types={"value": pa.string()},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    assert pa.csv.read_csv(io.BytesIO(text), None, parsing, options).column("value").to_pylist() == texts


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_reader_of_json_lines_gets_back_every_value(kind: str, data: st.DataObject) -> None:
    strategy, read = VALUES[kind]
    values = data.draw(st.lists(strategy | st.none(), min_size=1, max_size=10))
    lines = encoded("jsonl", values).decode().split("\n")
    assert lines.pop() == ""
    for line, value in zip(lines, values, strict=True):
        found = json.loads(line, parse_constant=pytest.fail)["prediction"]
        assert found is None if value is None else same(read(found) if isinstance(found, str) else found, value)


@given(st.lists(PLAIN, min_size=1, max_size=5))
def test_nested_values_read_back(values: list[Any]) -> None:
    lines = encoded("jsonl", [{"value": value} for value in values]).decode().split("\n")[:-1]
    assert [json.loads(line)["value"] for line in lines] == values
    text = encoded("csv", [{"id": 0, "value": [value]} for value in values]).decode()
    records = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert [json.loads(field) for _, field in records] == [[value] for value in values]


@given(
    st.lists(st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("\ud800\udfff")), min_size=1)
)
def test_half_characters_stand_in_json_as_escapes_and_fail_elsewhere(texts: list[str]) -> None:
    lines = encoded("jsonl", texts).decode().split("\n")[:-1]
    assert [json.loads(line)["prediction"] for line in lines] == texts
    halves = [at for at, text in enumerate(texts) if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)]
    if halves:
        for kind in ("csv", "parquet"):
            with pytest.raises(Refused, match=f"element {halves[0]} of what run.. returned .* lone surrogate"):
                encoded(kind, texts)


@settings(max_examples=50)
@given(data=st.data())
def test_parquet_keeps_types_and_values(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    strategies = {
        "int": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(),
        "text": ANY_TEXT,
        "bytes": st.binary(max_size=20),
        "bool": st.booleans(),
        "date": st.dates(),
        "moment": st.datetimes(
            datetime(1900, 1, 1), timezones=st.just(ZoneInfo("Europe/Berlin")), allow_imaginary=False
        ),
        "list": st.lists(st.integers(-9, 9) | st.none(), max_size=3),
        "struct": st.fixed_dictionaries({"a": st.integers(-9, 9), "b": ANY_TEXT}),
        "decimal": st.decimals(-(10**6), 10**6, places=3),
    }
    name = data.draw(st.sampled_from(sorted(strategies)))
    values = data.draw(st.lists(strategies[name] | st.none(), min_size=1, max_size=12))
    cut = data.draw(st.integers(0, len(values)))
    segments = [encoded("parquet", [{"v": value} for value in some]) for some in (values[:cut], values[cut:])]
    found = pq.read_table(gathered("parquet", segments, tmp_path_factory.mktemp("p"))).column("v").to_pylist()
    assert all(same(one, other) for one, other in zip(found, values, strict=True))


# ---- tables and arrays ----------------------------------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "whole": [1, 2, 3],
        "part": [0.5, float("nan"), 2.0],
        "text": ["a,b", "", None],
        "when": pd.to_datetime(["2026-01-02", "2026-01-03T04:05:06.5", None], format="ISO8601"),
        "any": [[1, None], {"k": "v"}, None],
    }
)
FRAME_CSV = (
    "whole,part,text,when,any\n"
    '1,0.5,"a,b",2026-01-02T00:00:00,"[1,null]"\n'
    '2,,"",2026-01-03T04:05:06.500000,"{""k"":""v""}"\n'
    "3,2.0,,,\n"
)


@pytest.mark.parametrize("has_arrow", [True, False])
def test_a_data_frame_is_its_columns_with_pyarrow_and_without(
    has_arrow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_arrow:
        monkeypatch.setattr(seen_results, "_arrow", [None])
    assert encoded("csv", FRAME).decode() == FRAME_CSV
    lines = [json.loads(line) for line in encoded("jsonl", FRAME).decode().splitlines()]
    assert lines[1]["part"] is None and lines[1]["any"] == {"k": "v"} and lines[2]["text"] is None
    read = pq.read_table(gathered("parquet", [encoded("parquet", FRAME)], tmp_path))
    types = [str(read.schema.field(name).type) for name in ("whole", "part", "text", "any")]
    assert types == ["int64", "double", "string", "string"]
    assert read.column("part").to_pylist() == [0.5, None, 2.0]
    assert read.column("any").to_pylist() == ["[1,null]", '{"k":"v"}', None]
    assert read.column("when").to_pylist()[1] == datetime(2026, 1, 3, 4, 5, 6, 500000)


#: Others may have another text for the same number.
FLOATS = st.sampled_from([0.5, 1.0, -0.0, 123456.0, 1e300, float("nan"), float("inf"), -float("inf")])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@settings(max_examples=50)
@given(data=st.data())
def test_lines_made_of_arrays_are_those_made_of_values(kind: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 8))
    strategies = [st.integers(-(2**63), 2**63 - 1), st.booleans(), ANY_TEXT, st.just("same"), FLOATS]
    columns = [data.draw(st.lists(one | st.none(), min_size=length, max_size=length)) for one in strategies]
    names = ["i", "b", "t", "s", "f"]
    types = [pa.int64(), pa.bool_(), pa.string(), pa.string(), pa.float64()]
    arrays = [pa.array(column, kind_of) for column, kind_of in zip(columns, types, strict=True)]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    table = pa.table(arrays, names=names)
    assert encoded(kind, table).decode() == encoded(kind, rows).decode()
    assert encoded(kind, table.to_batches()[0]) == encoded(kind, table)


def test_arrays_series_and_tables_have_columns() -> None:
    assert encoded("csv", np.array([[1.5, 2.0], [3.0, 4.0]])) == b"prediction_0,prediction_1\n1.5,2.0\n3.0,4.0\n"
    assert encoded("csv", np.array([1, 2])) == b"prediction\n1\n2\n"
    assert encoded("csv", pd.Series(["x", "y"], name="label")) == b"label\nx\ny\n"
    assert encoded("csv", ("x", None)) == b'prediction\nx\n""\n'
    assert encoded("jsonl", np.zeros((1, 2, 2))) == b'{"prediction":[[0.0,0.0],[0.0,0.0]]}\n'
    structured = np.array([(1, "a")], dtype=[("n", "i4"), ("t", "U3")])
    assert encoded("csv", structured) == b"n,t\n1,a\n"
    assert encoded("csv", []) == encoded("parquet", FRAME.head(0)) == b""


def test_a_table_of_a_model_without_a_script_has_commas_and_no_header() -> None:
    table = pa.table({"row": [0, 1], "prediction": [0.5, 1.0], "file_name": ["a.csv", "b,c.csv"]})
    assert encoded("azure", table, model="m") == b'0,0.5,a.csv\n1,1.0,"b,c.csv"\n'
    origin = Origin([b"x/a.csv", b"y/b,c.csv"], 7)
    told = encoded("csv", table, LIMITS, origin, model="m")
    assert told == (b'file,row,mini_batch,prediction,file_name\nx/a.csv,0,7,0.5,a.csv\n"y/b,c.csv",1,7,1.0,"b,c.csv"\n')


def test_files_of_one_name_and_files_without_rows_are_told_apart() -> None:
    table = pa.table({"row": [0, 1, 0], "file_name": ["a.csv"] * 3})
    origin = Origin([b"x/a.csv", b"y/a.csv", b"z/a.csv"], 7)
    wanted = b"file,row,mini_batch,file_name\nx/a.csv,0,7,a.csv\nx/a.csv,1,7,a.csv\nz/a.csv,0,7,a.csv\n"
    for joined in (with_shares(table, [2, 0, 1]), with_shares(table.to_pandas(), [2, 0, 1])):
        assert encoded("csv", joined, LIMITS, origin, model="m") == wanted


def test_where_a_row_comes_from_stands_in_columns_of_their_own() -> None:
    origin = Origin([b"a.txt", b"b.txt"], 3)
    assert encoded("csv", ["x", "y"], LIMITS, origin) == b"file,row,mini_batch,prediction\na.txt,0,3,x\nb.txt,0,3,y\n"
    assert encoded("jsonl", [{"p": 1}], LIMITS, Origin([b"a"], 0)) == b'{"file":"a","row":0,"mini_batch":0,"p":1}\n'
    with pytest.raises(Refused, match="a column called 'row'"):
        encoded("csv", [{"row": 1}], LIMITS, origin)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_and_results_that_are_too_large_are_refused(kind: str) -> None:
    table = pa.table({"t": ["a", "b" * 5000, "c"]})
    for result in (table, ["a", "b" * 5000]):
        with pytest.raises(Refused, match=r"(row|element) 1 of what run\(\) returned has 5"):
            encoded(kind, result, Limits(4000, 1 << 20))
        with pytest.raises(Refused, match="max_result_mb"):
            encoded(kind, result, Limits(8000, 4000))


@pytest.mark.parametrize("result", [None, "text", {"a": 1}, 7, np.float64(1)])
def test_what_is_no_result_is_refused(result: object) -> None:
    with pytest.raises(Refused, match="it must return a list"):
        encoded("jsonl", result)
    with pytest.raises(Refused, match="two columns called 'x'"):
        encoded("csv", pd.DataFrame([[1, 2]], columns=["x", "x"]))
