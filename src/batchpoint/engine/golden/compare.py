"""Compares an output with the one that is expected, row by row; numbers may differ by a part of their size. Pure.

``check`` calls it. What a row is depends on the format, and the first row that differs is told.
"""

import csv
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.entities.tables.output import OutputFormat

_NUMBER = re.compile(
    r"(?<![\w.])([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf))(?![\w.])", re.IGNORECASE
)
_SHOWN = 200
#: Characters of one cell.
_CELL_MAX = 1 << 28
_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """The first value that is another one."""

    #: Counted from 1; a header is no row.
    row: int
    #: Name of the column, or empty where the format has none.
    column: str
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        where = f"row {self.row:,}" + (f", column {self.column}" if self.column else "")
        return f"{where}: expected {self.expected}, found {self.found}"


def difference(expected: Path, found: Path, form: OutputFormat, tolerance: float) -> Difference | None:
    """The first difference, or None. Raises ValueError and OSError for a file that is not in its format."""
    pairs: Iterator[tuple[Any, Any]]
    pairs = itertools.zip_longest(_rows(expected, form), _rows(found, form), fillvalue=_MISSING)
    for number, (wanted, got) in enumerate(pairs, 1):
        if wanted is _MISSING or got is _MISSING:
            return Difference(number, "", _shown(wanted), _shown(got))
        columns = [*wanted, *(name for name in got if name not in wanted)]
        for name in columns:
            one, other = wanted.get(name, _MISSING), got.get(name, _MISSING)
            if not _is_equal(one, other, tolerance):
                return Difference(number, name, _shown(one), _shown(other))
    return None


def _rows(path: Path, form: OutputFormat) -> Iterator[Any]:
    """Each row as its values by column."""
    if form == "parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
        return
    with path.open(encoding="utf-8", errors="surrogateescape", newline="" if form == "csv" else None) as lines:
        if form == "csv":
            csv.field_size_limit(_CELL_MAX)
            reader = csv.reader(lines)
            header = next(reader, [])
            yield from ({_column(header, place): cell for place, cell in enumerate(row)} for row in reader)
        elif form == "jsonl":
            yield from (_object(json.loads(line)) for line in lines if line.strip())
        else:
            yield from ({"": line.rstrip("\n")} for line in lines)


def _column(header: list[str], place: int) -> str:
    return header[place] if place < len(header) else str(place + 1)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"": value}


def _is_equal(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _is_same_text(one, other, tolerance)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return _is_near(float(one), float(other), tolerance)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_is_equal(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key], tolerance) for key in one)
    return bool(one == other)


def _is_same_text(one: str, other: str, tolerance: float) -> bool:
    """Equal but for numbers in it; every second piece is one."""
    mine, theirs = _NUMBER.split(one), _NUMBER.split(other)
    if len(mine) != len(theirs) or mine[::2] != theirs[::2]:
        return False
    return all(_is_same_number(*pair, tolerance) for pair in zip(mine[1::2], theirs[1::2], strict=True))


def _is_same_number(one: str, other: str, tolerance: float) -> bool:
    if one.lstrip("+-").isdigit() and other.lstrip("+-").isdigit():
        return int(one) == int(other)
    return _is_near(float(one), float(other), tolerance)


def _is_near(one: float, other: float, tolerance: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=tolerance)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    if isinstance(value, dict) and list(value) == [""]:
        value = value[""]
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
