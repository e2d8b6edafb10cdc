"""When a table is read with Polars and when it is left to readers that say what is wrong.

Polars itself is in no environment of the tests: a stand-in parses with pyarrow. `make bench-tabular` has the real one,
and compares its bytes with those of a program that knows nothing of ours.
"""

import io
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from batchpoint_worker.tables.files import plain_numbers
from batchpoint_worker.tables.wanted import Reading


class PolarsError(Exception):
    """What the stand-in raises for text that is no number."""


@dataclass
class Frame:
    """As much of a DataFrame as is used."""

    table: pa.Table

    @property
    def height(self) -> int:
        return self.table.num_rows

    def select(self, names: list[str]) -> "Frame":
        return Frame(self.table.select(names))

    def get_columns(self) -> list[Any]:
        return [SimpleNamespace(null_count=lambda column=column: column.null_count) for column in self.table.columns]

    def to_arrow(self) -> pa.Table:
        return self.table


def read_csv(data: bytes, *, has_header: bool, skip_rows: int, schema: dict[str, pa.DataType], separator: str) -> Frame:
    assert not has_header and skip_rows == 1
    short = data.replace(b"\n7\n", b"\n7,\n")  # a row without its last field has none in Polars, and is no error
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(short),
            pyarrow.csv.ReadOptions(column_names=list(schema), skip_rows=1),
            pyarrow.csv.ParseOptions(delimiter=separator),
            pyarrow.csv.ConvertOptions(column_types=schema, null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise PolarsError(str(error)) from error
    return Frame(table)


@pytest.fixture
def polars(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = SimpleNamespace(PolarsError=PolarsError)
    types = {"Float64": pa.float64(), "Int64": pa.int64(), "String": pa.string()}
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(read_csv=read_csv, exceptions=errors, **types))


def read(data: bytes, kinds: dict[str, str], rows: int | None = None) -> Any:
    header = data.split(b"\n")[0].decode().split(",")
    text: Any = SimpleNamespace(data=data, rows=rows)
    return plain_numbers.read(text, header, Reading(kinds, []), ",")


@pytest.mark.usefixtures("polars")
def test_columns_of_numbers_are_taken_by_their_names() -> None:
    count, columns = read(b"name,b,a\nx,1.5,2\ny,2.5,3\n", {"a": "long", "b": "double"}, rows=2)
    assert count == 2
    assert {name: column.to_pylist() for name, column in columns.items()} == {"a": [2, 3], "b": [1.5, 2.5]}


@pytest.mark.usefixtures("polars")
@pytest.mark.parametrize(
    ("data", "kinds", "rows"),
    [
        (b'a,b\n1,"2"\n', {"a": "double"}, None),
        (b"a,b\r\n1,2\r\n", {"a": "double"}, None),
        (b"a,b\n1,2\n,3\n", {"a": "double"}, None),
        (b"a,b\n1,2\nx,3\n", {"a": "double"}, None),
        (b"a,b\n1,2\n7\n", {"a": "double"}, None),
        (b"a,b\n1,2\n3,4\n", {"a": "double"}, 3),
        (b"a,b\n1,2\n", {"a": "string"}, None),
        (b"a,b\n1,2\n", {"a": "float"}, None),
    ],
    ids=["quotes", "CRLF", "an empty field", "no number", "a short row", "rows missing", "text", "single precision"],
)
def test_what_is_not_so_plain_is_left_to_others(data: bytes, kinds: dict[str, str], rows: int | None) -> None:
    assert read(data, kinds, rows) is None


def test_without_polars_everything_is_left_to_others() -> None:
    assert "polars" not in sys.modules
    assert read(b"a\n1\n", {"a": "double"}) is None
