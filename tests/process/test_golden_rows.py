"""Golden rows: a deployment that has begun to answer differently scores nothing, and says which row it was."""

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from batchpoint.engine.golden.compare import difference
from batchpoint.entities.job import JobStatus
from batchpoint.entities.tables.golden_rows import FrozenGoldenRows, GoldenForm
from batchpoint.environments.builder import find_uv
from tests.process.engine_jobs import Ended, Engine

SCORE = """
import scale
def init(): pass
def run(files): return ['%s %.6f' % (f.rpartition('/')[2], scale.by(len(open(f).read()))) for f in files]
"""


def wheel(folder: Path, version: str, factor: float) -> Path:
    """A package of one module, made without any build tool."""
    path = folder / f"scale-{version}-py3-none-any.whl"
    about = f"scale-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scale/__init__.py", f"def by(number): return number * {factor}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: scale\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def uv(*words: str | Path) -> None:
    done = subprocess.run([find_uv(), "--offline", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def venv(engine: Engine) -> Path:
    """An environment with version 1 of the package."""
    path = engine.outside / "venv"
    uv("venv", "--quiet", path)
    uv("pip", "install", "--python", path, wheel(engine.outside, "1.0", 0.5))
    return path


def golden(engine: Engine, lines: list[str], tolerance: float = 1e-6) -> FrozenGoldenRows:
    """Two items, and what is expected of them."""
    folder = engine.files(["a.txt", "bb.txt"], "golden-input")
    expected = engine.outside / "expected.csv"
    expected.write_text("".join(f"{line}\n" for line in lines))
    return FrozenGoldenRows(input=str(folder), expected=str(expected), tolerance=tolerance)


def run(engine: Engine, venv: Path, name: str, rows: FrozenGoldenRows, **settings: Any) -> Ended:
    variables = {"CALLS": "", **settings.pop("environment", {})}
    script, items = engine.script(SCORE), engine.items(3)
    engine.job(script, items, name=name, python=str(venv), golden_rows=rows, environment=variables, **settings)
    return engine.wait(engine.start_driver(name), name)


def test_a_library_that_answers_differently_stops_the_job_before_its_first_item(engine: Engine, venv: Path) -> None:
    rows = golden(engine, ["a.txt 8.000000", "bb.txt 8.500000"])
    first, second = run(engine, venv, "first", rows), run(engine, venv, "second", rows)
    assert len(first.lines) == len(second.lines) == 3
    told = "The golden rows are scored first"
    assert [told in one.log("azureml/executionlogs.txt") for one in (first, second)] == [True, False]
    uv("pip", "install", "--python", venv, wheel(engine.outside, "2.0", 0.25))
    third = run(engine, venv, "third", rows)
    assert third.status is JobStatus.FAILED and third.error.code == "GoldenRowsDiffer"
    assert "expected.csv, row 1: expected a.txt 8.000000, found a.txt 4.000000" in third.error.message
    assert third.progress.items == 0 and not third.output.exists() and not third.folder.golden.exists()


def test_a_difference_within_the_tolerance_is_none_and_other_rows_are_told(engine: Engine, venv: Path) -> None:
    near = run(engine, venv, "near", golden(engine, ["a.txt 8.004", "bb.txt 8.5"], tolerance=1e-3))
    assert near.status is JobStatus.COMPLETED
    rows = golden(engine, ["a.txt 8.004", "bb.txt 8.5"], tolerance=1e-3).model_copy(update={"form": GoldenForm()})
    assert run(engine, venv, "other-form", rows, output_format="jsonl").status is JobStatus.COMPLETED
    short = run(engine, venv, "short", golden(engine, ["a.txt 8.0"]))
    assert "row 2: expected nothing, found bb.txt 8.500000" in short.error.message


def test_a_golden_item_that_cannot_be_scored_is_named(engine: Engine, venv: Path) -> None:
    rows = golden(engine, ["a.txt 8.0", "bb.txt 8.5"])
    (Path(rows.input) / "bb.txt").write_bytes(b"\xff")
    ended = run(engine, venv, "broken", rows, environment={"PYTHONUTF8": "1"})
    assert "The golden input bb.txt could not be scored: UnicodeDecodeError" in ended.error.message


@pytest.mark.parametrize(
    ("form", "expected", "found", "told"),
    [
        ("csv", "a,b\n1,0.5\n", "a,b\n1,0.50000001\n", None),
        ("csv", "a,b\n1,0.5\n", "a,b\n1,0.51\n", "row 1, column b: expected 0.5, found 0.51"),
        ("csv", "a\n10000000\n", "a\n10000001\n", "row 1, column a: expected 10000000, found 10000001"),
        ("csv", 'a\n"x\n1.5"\nnan\n', 'a\n"x\n1.5"\nnan\n', None),
        ("csv", "a\n1\n", "b\n1\n", "row 1, column a: expected 1, found nothing"),
        ("azure", "x.csv 0.25 cat\n", "x.csv 0.25 dog\n", "row 1: expected x.csv 0.25 cat, found x.csv 0.25 dog"),
        ("azure", "[1e-3, 2]\n", "[0.001, 2]\n", None),
        ("jsonl", '{"p": [0.1, {"q": 1}]}\n', '{"p": [0.1000000001, {"q": 1}]}\n', None),
        ("jsonl", '{"p": true}\n', '{"p": 1}\n', "row 1, column p: expected True, found 1"),
    ],
)
def test_rows_are_compared_as_their_format_means_them(
    tmp_path: Path, form: Any, expected: str, found: str, told: str | None
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(expected)
    other.write_text(found)
    difference_found = difference(one, other, form, 1e-6)
    assert (difference_found.sentence if difference_found else None) == told


def test_parquet_is_compared_by_its_values(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1.0, None], "b": ["x", "y"]}), one)
    pq.write_table(pa.table({"a": [1.0 + 1e-9, None], "b": ["x", "y"]}), other, compression="none")
    assert difference(one, other, "parquet", 1e-6) is None
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": ["x", "y"]}), other)
    found = difference(one, other, "parquet", 1e-6)
    assert found is not None and found.sentence == "row 2, column a: expected None, found 2.0"
