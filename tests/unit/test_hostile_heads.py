"""Heads of files that a preflight reads in its own process: wide, deep and false ones are told in a moment."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from batchpoint.engine.preflight.tables.columns import File, wrong_columns
from batchpoint.engine.preflight.tables.heads import Head, Unfit, read_head
from batchpoint.engine.preflight.tables.wanted import Wanted, WantedColumn

WANTED = Wanted(columns=tuple(WantedColumn(name=f"f{n}", kind="double", required=True) for n in range(20)))


def head(path: Path, data: bytes, kind: str, limit: int = 64 << 10) -> Head:
    path.write_bytes(data)
    found = read_head(path, kind, "", limit)
    assert isinstance(found, Head), found
    return found


@pytest.mark.parametrize(
    "names", [["a"] * 100_000, [f"column_{n}" for n in range(100_000)]], ids=["equal", "different"]
)
def test_a_hundred_thousand_columns_are_compared(tmp_path: Path, names: list[str]) -> None:
    found = head(tmp_path / "a.csv", f"{','.join(names)}\n1\n".encode(), "csv")
    told = list(wrong_columns(File("a.csv", "csv"), found, WANTED))
    assert sum(one.code == "MissingColumn" for one in told) == 20
    assert [one.message for one in told if one.code == "DuplicateColumn"] == (
        ["The file has 100000 columns named 'a'."] if names[0] == names[1] else []
    )


def test_records_without_a_common_key_do_not_become_a_square(tmp_path: Path) -> None:
    found = head(tmp_path / "a.jsonl", b"\n".join(b'{"k%d":1}' % n for n in range(40_000)), "jsonl", 4 << 20)
    assert len(found.columns) == 40_000
    assert len(found.columns) * len(found.rows) <= 2_000_000


def test_separators_of_unicode_end_no_line_of_json(tmp_path: Path) -> None:
    found = head(tmp_path / "a.jsonl", '{"a": "x\u2028y"}\r\n{"a": "\x85"}\n'.encode(), "jsonl")
    assert found.rows == (("x\u2028y",), ("\x85",))


def test_a_long_text_in_quotes_is_no_open_quote(tmp_path: Path) -> None:
    found = head(tmp_path / "a.csv", b'"' + b"x" * 200_000 + b'",b\n1,2\n', "csv")
    assert found.columns == ("x" * 200_000, "b")


def test_a_column_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"abcdefgh": [1, 2]})
    with parquet.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"\xff\xfe\xff\xffefgh"))
    found = read_head(path, "parquet")
    assert isinstance(found, Unfit)
    assert found.code == "FileBroken"
