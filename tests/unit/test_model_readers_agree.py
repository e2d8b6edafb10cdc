"""The three ways to read a table for a model take and refuse the same files, and find the same values in them."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from batchpoint_worker.failures import Refused
from batchpoint_worker.tables.files import delimited
from tests.unit import model_files
from tests.unit.model_files import column

KINDS = ["long", "integer", "double", "float", "boolean", "string", "datetime"]
NUMBERS = [
    *(
        "0",
        "1",
        "-7",
        "+7",
        "007",
        "1.0",
        "1.5",
        ".5",
        "5.",
        "1e3",
        "1E-2",
        " 1 ",
        "1 000",
        "1_0",
        "0x10",
        "0XFFFFFFFF",
        "1,5",
        "--1",
    ),
    *("9007199254740993", "2147483648", "-2147483648", "9223372036854775808", "1e39", "1e400", "3.4028236e38", "0.1"),
    *(
        "inf",
        "-Infinity",
        "NaN",
        "",
        "NA",
        "null",
        "None",
        "N/A",
        "-nan",
        "true",
        "False",
        "TRUE",
        "yes",
        "1.0.0",
        "\u0661",
    ),
]
TEXTS = [
    "x",
    "",
    " ",
    "a,b",
    'say "so"',
    "two\nlines",
    "cr\rlf\r\n",
    "ü",
    "\t",
    "#",
    "'",
    "1",
    "NA",
    "\U0001f600",
    "x\0y",
]
MOMENTS = [
    "2024-05-17",
    "2024-05-17T08:00:00",
    "2024-05-17 08:00:00.123456789",
    "2024-05-17T08:00:00+02:00",
    "2024-5-7",
]
CELLS = some.sampled_from([*NUMBERS, *TEXTS, *MOMENTS])
#: Columns, most of whose values are of one sort, so that many fit.
VALUES = some.one_of(
    some.lists(some.sampled_from(NUMBERS[:6]), min_size=1, max_size=4),
    some.lists(some.sampled_from(NUMBERS), min_size=1, max_size=2),
    some.lists(some.sampled_from(TEXTS), min_size=1, max_size=4),
    some.lists(some.sampled_from(MOMENTS), min_size=1, max_size=2),
    some.lists(CELLS, min_size=1, max_size=3),
)


def found(path: Path, kind: str) -> Any:
    try:
        given = model_files.given(path, [column("v", kind)], ["k"])
    except Refused as refused:
        return refused.message
    return [str(value) for value in given.columns()["v"]], given.passed, given.dtypes()


def by(how: str, path: Path, kind: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if how == "pandas":
            patch.setattr(delimited, "pyarrow", None)
        elif how == "row by row":
            patch.setattr(delimited, "_at_once", lambda *arguments: None)
        return found(path, kind)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=some.sampled_from(KINDS), values=VALUES, ends=some.sampled_from(["\n", "\r\n"]), quoting=some.booleans())
def test_however_a_table_is_read_it_is_the_same(
    tmp_path: Path, kind: str, values: list[str], ends: str, quoting: bool
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=ends, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_MINIMAL)
    writer.writerow(["v", "k"])
    writer.writerows([value, f"key {index}"] for index, value in enumerate(values))
    path = tmp_path / "a.csv"
    path.write_bytes(text.getvalue().encode())
    exact = by("row by row", path, kind)
    assert by("pyarrow", path, kind) == exact
    assert by("pandas", path, kind) == exact
