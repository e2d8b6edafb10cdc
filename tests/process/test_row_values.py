"""One rule for every type of a row, ``str()``, and what reads back from it; whatever text a script returns."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint_worker import rows
from batchpoint_worker.failures import Refused
from batchpoint_worker.rows import Limits, encode

LIMITS = Limits(64 << 20, 1 << 30)
#: Every character: half ones, NUL, CR, the separators of Unicode.
ANY_TEXT = st.text(
    st.characters(codec=None, exclude_categories=()) | st.sampled_from("\0\r\n\u2028\u2029\x85\ud800\udfff \",'")
)


def written(result: object, limits: Limits = LIMITS) -> tuple[int, bytes]:
    count, pieces = encode(result, limits)
    return count, b"".join(pieces)


# ---- values -------------------------------------------------------------------------------------------------------

READS_BACK = {
    "int": (st.integers(), int),
    "bool": (st.booleans(), {"True": True, "False": False}.__getitem__),
    "none": (st.none(), {"None": None}.__getitem__),
    "float": (st.floats(), float),
    "float64": (st.floats().map(np.float64), float),
    "float32": (st.floats(width=32).map(np.float32), np.float32),
    "int64": (st.integers(-(2**63), 2**63 - 1).map(np.int64), int),
    "decimal": (st.decimals(allow_nan=False), Decimal),
    "date": (st.dates(), date.fromisoformat),
    "datetime": (st.datetimes(timezones=st.just(UTC)), datetime.fromisoformat),
    "uuid": (st.uuids(), UUID),
}


@pytest.mark.parametrize("kind", READS_BACK)
@given(data=st.data())
def test_a_value_reads_back_from_its_row(kind: str, data: st.DataObject) -> None:
    strategy, read = READS_BACK[kind]
    values = data.draw(st.lists(strategy, min_size=1, max_size=20))
    count, text = written(values)
    lines = text.decode().split("\n")[:-1]
    assert count == len(lines) == len(values)
    assert lines == [str(value) for value in values]
    for line, value in zip(lines, values, strict=True):
        found = read(line)
        assert found == value or (found != found and value != value)


@given(st.lists(st.binary(max_size=20), min_size=1))
def test_bytes_are_written_as_python_shows_them(values: list[bytes]) -> None:
    assert written(values)[1].decode() == "".join(f"{value!r}\n" for value in values)


# ---- text ---------------------------------------------------------------------------------------------------------


def half(text: str) -> bool:
    return any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


@given(st.lists(ANY_TEXT, max_size=30), st.sampled_from([1, 3, 4096]))
def test_any_text_is_written_as_it_is_or_named(texts: list[str], at_once: int) -> None:
    kept, rows.AT_ONCE = rows.AT_ONCE, at_once
    try:
        if any(map(half, texts)):
            with pytest.raises(Refused) as refused:
                written(texts)
            index = [half(text) for text in texts].index(True)
            assert refused.value.code == "RowEncodingError"
            assert refused.value.message.startswith(f"element {index} of what run() returned")
        else:
            count, data = written(texts)
            assert count == len(texts), "line breaks inside of a row are no rows"
            assert data == "".join(f"{text}\n" for text in texts).encode()
    finally:
        rows.AT_ONCE = kept


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=10))
def test_a_reader_of_csv_finds_the_cells_of_a_frame(cells: list[tuple[str, str]]) -> None:
    # With pyarrow there, pandas would refuse lone surrogates by itself.
    frame = pd.DataFrame(cells, dtype=object)
    if any(half(cell) for row in cells for cell in row):
        with pytest.raises(Refused):
            written(frame)
        return
    count, data = written(frame)
    assert count == len(cells)
    assert data.decode() == frame.to_csv(sep=" ", header=False, index=False)
    if not any("\r" in cell for row in cells for cell in row):  # pandas leaves it unquoted
        assert [tuple(row) for row in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=" ")] == cells


# ---- pieces and limits --------------------------------------------------------------------------------------------


@given(st.lists(st.text("aé😀", max_size=12), max_size=40), st.integers(1, 7), st.integers(1, 40))
def test_pieces_are_the_same_bytes_as_one(texts: list[str], at_once: int, piece: int) -> None:
    kept = rows.AT_ONCE, rows.PIECE
    rows.AT_ONCE, rows.PIECE = at_once, piece
    try:
        assert written(texts) == (len(texts), "".join(f"{text}\n" for text in texts).encode())
    finally:
        rows.AT_ONCE, rows.PIECE = kept


def test_a_large_frame_is_written_in_pieces_as_pandas_writes_it() -> None:
    days = pd.date_range("2026-01-01", periods=130_000, freq="12h")
    frame = pd.DataFrame({"day": days, "x": np.arange(130_000) / 7})
    count, pieces = encode(frame, LIMITS)
    several = list(pieces)
    assert len(several) == 3 and count == 130_000
    assert b"".join(several).decode() == frame.to_csv(sep=" ", header=False, index=False)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (["a", "b" * 2_000_000, "c"], "element 1 of what run() returned has 2000000 bytes, and a row may have 1 MB"),
        (["a"] * 5000 + ["é" * 600_000], "element 5000 of what run() returned has 1200000 bytes"),
        ((["x"] * 3 + [{"k": "v" * 1_100_000}]), "element 3 of what run() returned has 1100009 bytes"),
        (pd.DataFrame({"a": ["x"] * 5 + ["y" * 1_100_000]}), "row 5 of what run() returned has 1100000 bytes"),
        (np.array(["x", "y" * 1_100_000]), "element 1 of what run() returned has 1100000 bytes"),
    ],
)
def test_a_row_that_is_too_long_is_named_with_its_size_and_the_setting(result: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        written(result, Limits(1 << 20, 1 << 30))
    assert refused.value.code == "ResultTooLarge"
    assert words in refused.value.message and "max_row_mb" in refused.value.message


@pytest.mark.parametrize("result", [["x" * 999] * 3000, pd.DataFrame({"a": ["x" * 999] * 3000})])
def test_a_result_that_is_too_large_in_all_names_the_setting(result: Sequence[str]) -> None:
    with pytest.raises(Refused, match=r"more than 2 MB in all.*max_result_mb"):
        written(result, Limits(1 << 20, 2 << 20))
    assert written(result, Limits(1 << 20, 3 << 20))[0] == 3000
