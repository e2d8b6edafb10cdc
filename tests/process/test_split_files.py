"""Large files scored in parts: what scripts get, what the output is, and what is told of it."""

import json
import os
import signal
from pathlib import Path

import pandas
import pytest

from batchpoint.entities.job import JobSettings
from batchpoint.entities.tables.parts import split_item
from batchpoint.entities.tables.split import Split
from tests.object_stores import BlobService
from tests.process.conftest import StartWorker
from tests.process.engine_jobs import Ended, Engine, W, eventually, is_alive, workers_of
from tests.process.model_workers import flavours, made
from tests.process.test_engine_elsewhere import Elsewhere

#: Reads what it is given as tables, as any script does; tells what it got, and fails where the variable says.
DOUBLES = """\
import json, os, pandas
READ = {".csv": pandas.read_csv, ".tsv": lambda path: pandas.read_csv(path, sep="\\t"), ".parquet": pandas.read_parquet,
        ".jsonl": lambda path: pandas.read_json(path, lines=True)}
def init(): pass
def run(paths):
    frames = [READ[os.path.splitext(path)[1]](path) for path in paths]
    note([(path, len(frame), os.path.getsize(path)) for path, frame in zip(paths, frames)])
    for frame in frames:
        if os.environ.get("BAD") in list(map(str, frame["id"])): raise ValueError("a bad row")
    return [" ".join((str(row.id), str(row.id * 2), row.text.replace("\\n", "|"))) for frame in frames
            for row in frame.itertuples()]
def note(seen):
    with open(os.environ["CALLS"], "a") as calls: calls.write(json.dumps(seen) + "\\n")
"""


def table(rows: int, first: int = 0) -> pandas.DataFrame:
    texts = ["plain", 'says "so", twice', "in two\nlines", "", "ünïcödé"]
    return pandas.DataFrame({"id": range(first, first + rows), "text": [f"{texts[n % 5]} {n}" for n in range(rows)]})


def write(frame: pandas.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False, lineterminator="\r\n", encoding="utf-8-sig")
    elif path.suffix == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path, row_group_size=70)


def seen(ended: Ended) -> list[list[list[object]]]:
    """(path, rows, bytes) of the files of each call."""
    return [json.loads(line) for line in ended.calls.read_text().splitlines()]


@pytest.mark.parametrize("split", [Split(rows=30), Split(bytes=700)], ids=["rows", "bytes"])
def test_the_output_of_a_job_in_parts_is_that_of_whole_files(engine: Engine, split: Split) -> None:
    source = engine.outside / "in"
    for number, ending in enumerate(("csv", "jsonl", "parquet", "tsv")):
        write(table(200, number * 1000), source / f"sub/{number}.{ending}")
    write(table(7, 9000), source / "small.csv")
    script = engine.script(DOUBLES)
    whole = engine.run(script, source, name="whole", mini_batch_size=1)
    parts = engine.run(script, source, name="parts", split=split, max_concurrency_per_instance=2)
    assert parts.output.read_bytes() == whole.output.read_bytes()
    assert len(whole.lines) == 807
    assert parts.progress.items > 20
    for call in seen(parts):
        for path, rows, _ in call:
            assert Path(str(path)).name in ("0.csv", "1.jsonl", "2.parquet", "3.tsv", "small.csv")
            assert not split.rows or rows <= split.rows
            assert not os.path.exists(str(path)) or Path(str(path)).is_relative_to(source)


def test_a_model_without_a_script_scores_parts_as_it_scores_files(engine: Engine) -> None:
    models = made(flavours(), engine.outside / "models", "sklearn")
    source = engine.outside / "in"
    numbers = {name: [(n * 7 + at) % 11 - 5.0 for n in range(120)] for at, name in enumerate("abcd")}
    frame = pandas.DataFrame({"id": [f'"{n}"\n,' for n in range(120)], **numbers})
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        write(frame, source / name)
    model = {"code_path": "", "scoring_script": "", "model_path": str(models / "sklearn"), "python": flavours()}
    asked = {**model, "passthrough_columns": ("id", "b"), "output_format": "csv", "output_file_name": "predictions.csv"}
    whole = engine.run("good.py", source, name="whole", **asked)
    parts = engine.run("good.py", source, name="parts", split=Split(rows=25), **asked)
    assert parts.progress.items == 15 and parts.progress.items_succeeded == 15, parts.job.failures
    assert parts.output.read_bytes() == whole.output.read_bytes()
    found = pandas.read_csv(parts.output, dtype=str)
    assert found["row"].astype(int).tolist() == list(range(120)) * 3
    assert found["id"].tolist() == frame["id"].tolist() * 3
    assert "3 files were cut into 15 parts of 25 rows." in parts.log("azureml/executionlogs.txt")


#: Answers a line for each row, and fails on those that say "bad" unless the variable says otherwise.
LINES = """\
import csv, os, time
def init(): pass
def run(paths):
    time.sleep(float(os.environ.get("NAP", "0")))
    rows = [row for path in paths for row in csv.DictReader(open(path, newline="", encoding="utf-8-sig"))]
    if any(row["text"] == "bad" for row in rows) and os.environ.get("FIXED") != "yes": raise ValueError("bad")
    return ["|".join(row.values()).replace("\\n", "/") for row in rows]
"""


def lines(count: int, bad: int = -1) -> str:
    return "id,text\n" + "".join(f'{n},"{"bad" if n == bad else f"line{chr(10)}{n}"}"\n' for n in range(count))


def test_one_bad_row_costs_its_part_alone_and_is_scored_again_with_it(engine: Engine) -> None:
    source = engine.outside / "in"
    source.mkdir()
    (source / "a.csv").write_text(lines(100, bad=57))
    script = engine.script(LINES)
    ended = engine.run(
        script, source / "a.csv", mini_batch_size=4, max_retries=1, split=Split(rows=10), provenance=True
    )
    assert (ended.progress.items, ended.progress.items_failed) == (10, 1)
    (letter,) = map(json.loads, ended.folder.failed_items.read_text().splitlines())
    file, part = split_item(letter["item"].encode())
    assert part is not None and (file, part.first_row, part.rows) == (b"a.csv", 50, 10)
    assert ended.reason.example == f"{source / 'a.csv'}, rows 50-59"
    known = pandas.read_csv(ended.output, sep=" ", header=None, names=["file", "row", "mini_batch", "text"])
    assert known["row"].tolist() == [n for n in range(100) if not 50 <= n < 60]
    assert set(known["file"]) == {"a.csv"}
    assert [text.partition("|")[0] for text in known["text"]] == [str(n) for n in known["row"]]
    before = ended.job.settings
    fixed = {**before.environment_variables, "FIXED": "yes"}
    settings: JobSettings = before.model_copy(update={"environment_variables": fixed})
    engine.store.reopen_job(W, "job", settings, {})
    again = engine.drive("job")
    assert len(again.lines) == 100 and again.lines[57].split()[:2] == ["a.csv", "57"]
    assert again.folder.plan_items.read_bytes().count(b"\0") == 10


def test_a_killed_driver_is_followed_by_one_that_writes_the_same_bytes(engine: Engine) -> None:
    source = engine.outside / "in"
    source.mkdir()
    (source / "a.csv").write_text(lines(600))
    script, split = engine.script(LINES), Split(bytes=100)
    clean = engine.run(script, source, name="clean", split=split)
    engine.job(script, source, split=split, environment={"NAP": "0.01"}, max_concurrency_per_instance=2)
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "a first commit")
    worker = workers_of(engine.ended().folder)[0]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not is_alive(worker))
    driver.kill()
    driver.wait()
    ended = engine.wait(engine.start_driver("job"))
    assert ended.output.read_bytes() == clean.output.read_bytes()
    assert not list(ended.folder.scratch.rglob("a.csv"))


def test_parts_of_a_file_elsewhere_are_fetched_with_it_and_again_for_a_redrive(
    engine: Engine, blob_service: BlobService
) -> None:
    files = {"in/a.csv": lines(40, bad=7).encode(), "in/b.csv": lines(40).encode(), "in/c.csv": lines(2).encode()}
    blob_service.container("tables", files).close()
    place = Elsewhere(engine, blob_service.datastore("tables"))
    asked = {**place.input("in/"), "split": Split(rows=10), "mini_batch_size": 3, "max_retries": 1}
    ended = engine.run(engine.script(LINES), engine.outside / "unused", **asked)
    assert (ended.progress.items, ended.progress.items_failed) == (9, 1)
    place.store.remove("in/a.csv")
    engine.store.reopen_job(W, "job", ended.job.settings, {})
    again = engine.drive("job")
    assert "in/a.csv" not in again.output.read_text()
    (failed,) = [row for row in again.rows if row.failed_items]
    assert (failed.first_item, failed.items) == (0, 1)
    assert failed.reason == "a.csv could not be fetched: it is no longer there"
    assert len(again.lines) == 72, "what was scored of the file stays"


#: Answers where its files were, and fails when one is bad; tells of each file whether an earlier one is still there.
REMEMBERS = """\
import os
seen = []
def init(): pass
def run(paths):
    left = [path for path in seen if os.path.exists(path)]
    seen.extend(paths)
    rows = [repr((os.path.basename(path), open(path, "rb").read(), left)) for path in paths]
    if any("bad" in row for row in rows): raise ValueError("bad")
    return rows
"""


def test_the_small_files_of_a_mini_batch_go_with_it(worker: StartWorker, python: str, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(REMEMBERS)
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.csv").write_bytes(b"h\r\n1\r\n2\r\nbad\r\n4\r\n")
    one = worker("score.py", python=python, code_path=str(tmp_path / "code"), input_root=str(source))
    one.ready()
    first, second = "a.csv//rows=0-1;bytes=3-8;head=0-2", "a.csv//rows=2-2;bytes=9-13;head=0-2"
    third = "a.csv//rows=3-3;bytes=14-16;head=0-2"
    assert one.rows(one.score(first, third)) == (
        "('a.csv', b'h\\r\\n1\\r\\n2\\r\\n', [])\n('a.csv', b'h\\r\\n4\\r\\n', [])\n"
    )
    assert one.score(second)["code"] == "ScriptRaised"
    assert one.rows(one.score(third)) == "('a.csv', b'h\\r\\n4\\r\\n', [])\n"
    gone = one.score("a.csv//rows=4-9;bytes=17-99;head=0-2")
    assert gone["code"] == "ItemRejected" and "a.csv, rows 4-9: the part cannot be read" in gone["message"]
    (source / "b.parquet").write_bytes(b"PAR1")
    refused = one.score("b.parquet//rows=0-4")
    assert refused["code"] == "ItemRejected" and "b.parquet" in refused["message"]
    assert not list((tmp_path / "worker0" / "scratch").rglob("*.csv"))
    assert one.shut_down() == 0
