"""Jobs that ask for a format, or for files of a size: columns of all mini-batches, kills, redrives, files of others."""

import csv
import json
import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batchpoint.entities.job import JobStatus
from batchpoint.server.verification import first_difference
from tests.process.engine_jobs import Ended, Engine, W, eventually, workers_of

#: Three rows for each file; every third file has a column more, every fifth a number of another kind.
SCRIPT = """
import os, time
def init(): pass
def run(paths):
    rows = []
    for path in paths:
        name = os.path.basename(path)
        if 'bad' in name and not MENDED: raise ValueError('bad file')
        number = int(name[:3])
        while SLOW and not os.path.exists(os.environ['FINISH']): time.sleep(0.03); break
        for at in range(ROWS):
            row = {'name': name, 'value': number + (0.5 if number % 5 == 4 else 0)}
            if number % 3 == 1: row['note'] = 'two\\nlines, "quoted"'
            rows.append(row)
    return rows
"""


def script(engine: Engine, name: str = "score.py", *, mended: bool = False, slow: bool = False, rows: int = 3) -> Path:
    return engine.script(f"MENDED, SLOW, ROWS = {mended}, {slow}, {rows}\n{SCRIPT}", name)


def files_of(ended: Ended) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(ended.job.settings.output_folder).iterdir())}


def rows_of_csv(data: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(data.decode().splitlines(keepends=True), strict=True))


def expected(numbers: range) -> list[tuple[str, float, str]]:
    """Name, value and note of each row."""
    note = 'two\nlines, "quoted"'
    return [
        (f"{number:03}.txt", number + (0.5 if number % 5 == 4 else 0), note if number % 3 == 1 else "")
        for number in numbers
        for _ in range(3)
    ]


def test_mini_batches_with_different_columns_are_one_csv(engine: Engine) -> None:
    ended = engine.run(script(engine), engine.items(12), output_format="csv", mini_batch_size=1)
    rows = rows_of_csv(ended.output.read_bytes())
    assert [(row["name"], float(row["value"]), row["note"]) for row in rows] == expected(range(12))
    assert ended.output.read_bytes().startswith(b"name,value,note\n000.txt,0,\n")
    assert ended.progress.rows == 36 and ended.progress.items_succeeded == 12


def test_mini_batches_with_different_types_are_one_parquet_file(engine: Engine) -> None:
    options = {"output_format": "parquet", "output_file_name": "p.parquet", "provenance": True}
    ended = engine.run(script(engine), engine.items(12), mini_batch_size=1, **options)
    table = pq.read_table(ended.output)
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "file": "string",
        "row": "int64",
        "mini_batch": "int64",
        "name": "string",
        "value": "double",
        "note": "string",
    }
    found = [(row["name"], row["value"], row["note"] or "") for row in table.to_pylist()]
    assert found == expected(range(12))
    assert table.column("file").to_pylist() == table.column("name").to_pylist()
    assert table.column("row").to_pylist() == [0, 1, 2] * 12


def test_json_lines_have_what_each_row_has(engine: Engine) -> None:
    ended = engine.run(script(engine), engine.items(12), output_format="jsonl", output_file_name="p.jsonl")
    rows = [json.loads(line) for line in ended.lines]
    assert [(row["name"], row["value"], row.get("note", "")) for row in rows] == expected(range(12))
    assert all(("note" in row) == (int(row["name"][:3]) % 3 == 1) for row in rows)


# ---- files of a size -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "azure"])
def test_files_of_a_size_are_each_complete_and_together_the_whole(engine: Engine, kind: str) -> None:
    options: dict[str, Any] = {"output_format": kind, "output_file_name": f"p.{kind}"}
    items = engine.items(40)
    whole = engine.run(script(engine), items, name="whole", **options)
    shards = engine.run(script(engine), items, name="shards", output_shard_size=1000, **options)
    found = files_of(shards)
    assert list(found) == [f"p-{number:05}.{kind}" for number in range(len(found))] and len(found) > 2
    if kind == "parquet":
        rows = [row for name in found for row in pq.read_table(whole_path(shards, name)).to_pylist()]
        assert rows == pq.read_table(whole.output).to_pylist()
    elif kind == "csv":
        header, _, rest = whole.output.read_bytes().partition(b"\n")
        assert all(data.startswith(header + b"\n") for data in found.values())
        assert b"".join(data.partition(b"\n")[2] for data in found.values()) == rest
        assert sum(len(rows_of_csv(data)) for data in found.values()) == 120
    else:
        assert b"".join(found.values()) == whole.output.read_bytes()
    if kind in ("csv", "jsonl"):
        assert all(1000 <= len(data) < 1100 for data in [*found.values()][:-1])
    assert engine.store.output_of("shards")[1] == sum(map(len, found.values()))  # type: ignore[index]


def whole_path(ended: Ended, name: str) -> Path:
    return Path(ended.job.settings.output_folder, name)


@pytest.mark.parametrize("name", ["predictions-00001.csv", "predictions-00777.csv"])
def test_a_file_that_readers_would_take_for_one_of_them_is_found_before_anything_is_scored(
    engine: Engine, name: str
) -> None:
    folder = engine.outside / "out" / "job"
    folder.mkdir(parents=True)
    (folder / name).write_text("theirs")
    ended = engine.run(script(engine), engine.items(4), output_format="csv", output_shard_size=100)
    assert ended.error.code == "OutputAlreadyExists" and str(folder / name) in ended.error.message
    assert files_of(ended) == {name: b"theirs"} and not ended.rows


def redriven(engine: Engine, **changes: Any) -> Ended:
    settings = engine.ended().job.settings.model_copy(update={"scoring_script": "mended.py", **changes})
    engine.store.reopen_job(W, "job", settings, {})
    return engine.drive("job")


SHARDED: dict[str, Any] = {"output_format": "csv", "output_shard_size": 500, "max_retries": 1}


def test_a_redrive_replaces_its_own_files_and_removes_those_that_are_left_over(engine: Engine) -> None:
    script(engine, "mended.py", mended=True)
    first = engine.run(script(engine), engine.items(20, bad=[7, 13]), **SHARDED)
    before = files_of(first)
    beside = whole_path(first, "notes.txt")
    beside.write_text("mine")
    after = redriven(engine)
    assert after.status is JobStatus.COMPLETED and after.progress.items_failed == 0
    found = files_of(after)
    del before["failed_items.jsonl"]
    assert found.pop("notes.txt") == b"mine" and len(found) > len(before)
    assert sum(len(rows_of_csv(data)) for data in found.values()) == 60
    fewer = engine.run(script(engine, "bad.py"), engine.items(20, bad=[7, 13]), name="fewer", **SHARDED)
    settings = fewer.job.settings.model_copy(update={"scoring_script": "mended.py", "output_shard_size": 5000})
    engine.store.reopen_job(W, "fewer", settings, {})
    assert list(files_of(engine.drive("fewer"))) == ["predictions-00000.csv"]


def test_a_redrive_touches_no_file_when_somebody_has_changed_one(engine: Engine) -> None:
    script(engine, "mended.py", mended=True)
    first = engine.run(script(engine), engine.items(20, bad=[1]), **SHARDED)
    changed = whole_path(first, "predictions-00001.csv")
    changed.write_text("changed")
    before = files_of(first)
    after = redriven(engine)
    assert after.error.code == "OutputAlreadyExists" and changed.name in after.error.message
    assert files_of(after) == before


# ---- kills ----------------------------------------------------------------------------------------------------------


def has_moved(engine: Engine, done: int) -> bool:
    return engine.store.tally("job", 0).mini_batches > done or engine.ended().status.is_terminal


@pytest.mark.parametrize(("kind", "size"), [("csv", 4000), ("parquet", None)])
def test_killed_drivers_and_workers_leave_the_same_bytes(engine: Engine, kind: str, size: int | None) -> None:
    dice, items, finish = random.Random(7), engine.items(80), engine.outside / "finish"
    options: dict[str, Any] = {
        "output_format": kind,
        "output_shard_size": size,
        "max_concurrency_per_instance": 2,
        "mini_batch_size": 1,
        "provenance": True,
        "environment": {"FINISH": str(finish)},
    }
    slow = script(engine, slow=True, rows=40)
    engine.job(slow, items, **options)
    driver, kills = engine.start_driver("job"), 0
    while kills < 6:
        done = engine.store.tally("job", 0).mini_batches
        eventually(partial(has_moved, engine, done), "no progress")
        time.sleep(dice.uniform(0, 0.1))
        living = workers_of(engine.ended().folder)
        if engine.ended().status is not JobStatus.RUNNING:
            break
        if kills % 2 and living:
            os.kill(dice.choice(sorted(living)), signal.SIGKILL)
        else:
            driver.kill()
            driver.wait()
            driver = engine.start_driver("job")
        kills += 1
    finish.touch()
    disturbed = engine.wait(driver)
    assert kills >= 3, "the job was too quick to be disturbed"
    quiet = engine.run(slow, items, name="quiet", **options)
    assert files_of(disturbed) == files_of(quiet)
    assert disturbed.progress.rows == 80 * 40
    assert first_difference(iter(files_of(quiet).values()), iter(files_of(disturbed).values())) is None


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_damaged_rows_are_scored_again_and_never_published(engine: Engine, kind: str) -> None:
    engine.job(script(engine), engine.items(8), output_format=kind, error_threshold=0, max_retries=1)
    (engine.outside / "in" / "007.txt").rename(engine.outside / "in" / "007-bad.txt")
    failed = engine.drive("job")
    assert failed.status is JobStatus.FAILED
    for segment in failed.folder.segments.iterdir():
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 255
        segment.write_bytes(data)
    script(engine, "mended.py", mended=True)
    again = redriven(engine)
    assert again.status is JobStatus.COMPLETED and again.progress.rows == 24
