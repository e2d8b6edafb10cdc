"""Models of five flavours, scored without a script by real workers in a user's interpreter."""

import csv
import io
import json
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.model_workers import ModelWorker, flavours, made

Start = Callable[..., ModelWorker]
ROW = "id,d,c,b,a\nx7,0,0,5,5\nx8,0,0,-5,-5\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("sklearn", "unsigned", "xgboost", "lightgbm", "onnx", "python", "kinds")
    return made(flavours(), tmp_path_factory.mktemp("models"), *names)


@pytest.fixture(scope="module")
def start(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a worker on a model, and waits until it is ready."""
    started: list[ModelWorker] = []

    def start(name: str, **settings: Any) -> ModelWorker:
        folder = tmp_path_factory.mktemp("workers") / name
        started.append(ModelWorker(folder, models / name, flavours(), **settings))
        started[-1].ready()
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def sklearn(start: Start) -> ModelWorker:
    """Passes the column `id` through."""
    return start("sklearn", passthrough=["id"])


# ---- scikit-learn: what a job scores most -------------------------------------------------------------------------


def test_each_row_of_a_file_has_its_prediction_its_place_and_its_file(sklearn: ModelWorker) -> None:
    one, two = sklearn.file("one.csv", ROW), sklearn.file("two.tsv", ROW.replace(",", "\t"))
    assert sklearn.table(one, two) == [
        ["x7", "0", "1", "one.csv"],
        ["x8", "1", "0", "one.csv"],
        ["x7", "0", "1", "two.tsv"],
        ["x8", "1", "0", "two.tsv"],
    ]


WRITE = """
import json, sys
import pandas, pyarrow, pyarrow.feather, zstandard
folder, frame = sys.argv[1], pandas.read_csv(sys.argv[1] + "/one.csv")
frame.to_parquet(folder + "/a.parquet")
frame.to_feather(folder + "/a.feather")
table = pyarrow.Table.from_pandas(frame)
with pyarrow.ipc.new_stream(folder + "/a.arrow", table.schema) as writer:
    writer.write_table(table)
frame.to_json(folder + "/a.jsonl", orient="records", lines=True)
frame.to_json(folder + "/a.json", orient="split")
with open(folder + "/b.json", "w") as file:
    json.dump({"dataframe_records": frame.to_dict("records")}, file)
frame.to_csv(folder + "/a.csv.gz", index=False)
with open(folder + "/one.csv", "rb") as file, open(folder + "/a.csv.zst", "wb") as packed:
    packed.write(zstandard.compress(file.read()))
"""


def test_files_of_every_kind_have_the_same_predictions(sklearn: ModelWorker) -> None:
    sklearn.file("one.csv", ROW)
    subprocess.run([flavours(), "-c", WRITE, sklearn.inputs], check=True)
    names = ["a.parquet", "a.feather", "a.arrow", "a.jsonl", "a.json", "b.json", "a.csv.gz", "a.csv.zst"]
    rows = sklearn.table(*names)
    assert [row[:3] for row in rows] == len(names) * [["x7", "0", "1"], ["x8", "1", "0"]]
    assert [row[3] for row in rows[::2]] == names


def test_a_part_of_a_file_has_the_places_of_its_rows_in_the_file(sklearn: ModelWorker) -> None:
    sklearn.file("one.csv", ROW)
    begin = len("id,d,c,b,a\nx7,0,0,5,5\n")
    part = f"one.csv//rows=1-1;bytes={begin}-{len(ROW) - 1};head=0-10"
    assert sklearn.table(part) == [["x8", "1", "0", "one.csv"]]


def test_a_file_without_rows_is_scored_and_has_none(sklearn: ModelWorker) -> None:
    assert sklearn.table(sklearn.file("none.csv", "a,b,c,d,id\n")) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("b.csv", "id,a,b,c,d\n1,1,2,3,x\n", "b.csv, column 'd', row 1 (line 2): 'x' is not a number (double)"),
        ("m.csv", "id,a,b,c\n1,1,2,3\n", "m.csv: the model's signature wants the column 'd', which is not in the file"),
        ("i.csv", "a,b,c,d\n1,1,2,3\n", "i.csv: passthrough_columns names the column 'id', which is not in the file"),
        ("t.txt", "hello", "t.txt: no file of this kind (.txt) is read"),
        ("p.parquet", b"PAR1", "p.parquet cannot be read as Parquet"),
        ("j.jsonl", "{", "j.jsonl, line 1: no JSON"),
        ("z.csv.zst", b"plain", "z.csv.zst cannot be unpacked as zstd"),
        ("i.png", b"plain", "i.png: the model's signature wants columns, and an image has none"),
    ],
)
def test_a_file_that_does_not_fit_is_rejected_by_itself(
    sklearn: ModelWorker, name: str, data: str | bytes, message: str
) -> None:
    failure = sklearn.failure(sklearn.file("one.csv", ROW), sklearn.file(name, data))
    assert failure["code"] == "ItemRejected" and message in failure["message"]
    assert failure["traceback"] == ""


def test_numbers_stay_numbers_in_lines_of_json(start: Start) -> None:
    worker = start("lightgbm", passthrough=["*"], by_signature=True, output_format="jsonl")
    rows = [json.loads(line) for line in worker.rows(worker.score(worker.file("one.csv", ROW))).splitlines()]
    assert [(row["id"], row["row"], row["prediction"]) for row in rows] == [("x7", 0, 1), ("x8", 1, 0)]
    assert (rows[0]["a"], rows[0]["file_name"]) == (5.0, "one.csv")


# ---- other flavours -----------------------------------------------------------------------------------------------


def test_a_model_of_xgboost(start: Start) -> None:
    worker = start("xgboost")
    (high, low) = worker.table(worker.file("one.csv", ROW))
    assert float(high[1]) > 0.5 > float(low[1])


def test_a_model_without_a_signature_is_scored_and_a_note_says_so(start: Start) -> None:
    worker = start("unsigned")
    plain = worker.file("plain.csv", "a,b,c,d\n5,5,0,0\n-5,-5,0,0\n")
    assert [row[:2] for row in worker.table(plain)] == [["0", "1"], ["1", "0"]]
    assert worker.stdout.read_text().count("The model has no signature") == 1


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey image."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_images_go_into_a_tensor_of_onnx(start: Start) -> None:
    worker = start("onnx")
    worker.file("a.png", png(3, 2, bytes(range(6))))
    worker.file("b.png", png(3, 2, bytes(6 * [100])))
    worker.file("large.png", png(4, 4, bytes(16)))
    worker.file("broken.png", b"\x89PNG")
    assert worker.table("a.png", "b.png") == [["15.0", "a.png"], ["600.0", "b.png"]]
    failure = worker.failure("a.png", "large.png")
    assert failure["code"] == "ItemRejected"
    assert (
        "large.png: the image has the shape [4, 4, 1], and the model's signature wants [2, 3, 1]" in failure["message"]
    )
    assert "broken.png cannot be read as an image" in worker.failure("broken.png")["message"]


# ---- models written by hand ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def greeter(start: Start) -> ModelWorker:
    return start("python", by_signature=True, output_format="csv")


def test_a_model_with_code_and_parameters_of_its_own_is_scored(greeter: ModelWorker) -> None:
    answer = greeter.score(greeter.file("a.csv", 'name,age,more\n"Ada, L.",36,x\nBob,007.0,y\n'))
    rows = greeter.rows(answer)
    assert list(csv.reader(io.StringIO(rows)))[-2:] == [
        ["0", "Hello Ada, L.!!", "37", "a.csv"],
        ["1", "Hello Bob!!", "8", "a.csv"],
    ]


def test_what_the_model_raises_is_told_with_its_traceback_and_the_file(greeter: ModelWorker) -> None:
    failure = greeter.failure(
        greeter.file("good.csv", "name,age\nx,1\n"), greeter.file("young.csv", "name,age\nx,-1\n")
    )
    assert failure["code"] == "ScriptRaised"
    assert failure["message"] == "ValueError: nobody is younger than 0, while young.csv was scored"
    assert 'raise ValueError("nobody is younger than 0")' in failure["traceback"]
    assert "batchpoint_worker" not in failure["traceback"]
    assert greeter.failure(greeter.file("bad.csv", "name,age\nx,y\n"))["message"].startswith("bad.csv, column 'age'")


def test_too_few_predictions_are_told_of_the_file(greeter: ModelWorker) -> None:
    failure = greeter.failure(greeter.file("old.csv", "name,age\nx,201\ny,1\n"))
    assert failure["code"] == "InvalidResult"
    assert failure["message"].startswith("predict() returned 1 prediction for the 2 rows of old.csv")


def test_a_value_arrives_as_the_type_that_the_signature_says(start: Start) -> None:
    worker = start("kinds")
    names = "boolean,integer,long,float,double,string,datetime,binary"
    (row,) = worker.table(worker.file("a.csv", f"{names}\n1,1.0,1,1,1,1,2024-05-17,YQ==\n"))
    kinds = dict(word.split("=") for word in row[1].split())
    assert kinds.pop("boolean") in ("bool", "bool_")
    numbers = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
    assert kinds == {**numbers, "string": "str", "datetime": "Timestamp", "binary": "bytes"}


def test_a_model_that_cannot_be_loaded_is_told_at_the_start(models: Path, tmp_path: Path) -> None:
    worker = ModelWorker(tmp_path / "w", models / "nowhere", flavours())
    try:
        answer = worker.answer()
        assert (answer["t"], answer["code"]) == ("InitFailed", "InitFailed")
        assert "nowhere" in answer["message"]
    finally:
        worker.end()


def test_a_worker_with_a_model_ends_as_any_other(sklearn: ModelWorker) -> None:
    assert sklearn.shut_down() == 0
