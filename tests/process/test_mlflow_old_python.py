"""A model of 2022 in Python 3.7, with the MLflow of that time and without pyarrow, scored without a script."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.model_workers import ModelWorker, made, python37


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelWorker]:
    models: Path = made(python37(), tmp_path_factory.mktemp("models"), "sklearn")
    started = ModelWorker(
        tmp_path_factory.mktemp("workers") / "w", models / "sklearn", python37(), passthrough=["id", "a"]
    )
    started.ready()
    yield started
    started.end()


def test_tables_are_read_by_pandas(worker: ModelWorker) -> None:
    worker.file("a.csv", 'id,d,c,b,a\r\n"007, x",0,0,5,5\r\nx8,0,,-5,-5\r\n'.replace(",,", ",0,"))
    worker.file("b.jsonl", '{"id": "k", "a": 5, "b": 5, "c": 0, "d": 0}\n')
    worker.file("c.json", '{"columns": ["id", "a", "b", "c", "d"], "data": [["k", -5, -5, 0, 0]]}')
    assert worker.table("a.csv", "b.jsonl", "c.json") == [
        ["007, x", "5.0", "0", "1", "a.csv"],
        ["x8", "-5.0", "1", "0", "a.csv"],
        ["k", "5.0", "0", "1", "b.jsonl"],
        ["k", "-5.0", "0", "0", "c.json"],
    ]


def test_a_number_is_the_one_that_is_written(worker: ModelWorker) -> None:
    numbers = ["0.022", "0.211", " 4.027", "8.997"]
    worker.file("n.csv", "id,a,b,c,d\n" + "".join(f"k,{number},0,0,0\n" for number in numbers))
    assert [row[1] for row in worker.table("n.csv")] == [number.strip() for number in numbers]


def test_a_value_that_does_not_fit_is_told_by_its_place(worker: ModelWorker) -> None:
    failure = worker.failure(worker.file("bad.csv", "id,a,b,c,d\nk,1,2,3,4\nk,1,2,3,four\n"))
    assert failure["code"] == "ItemRejected"
    assert failure["message"].startswith("bad.csv, column 'd', row 2 (line 3): 'four' is not a number (double)")


def test_what_needs_pyarrow_says_so(worker: ModelWorker) -> None:
    failure = worker.failure(worker.file("a.parquet", b"PAR1"))
    assert "a.parquet: the model's environment has no pyarrow" in failure["message"]


def test_a_worker_ends(worker: ModelWorker) -> None:
    assert worker.shut_down() == 0
