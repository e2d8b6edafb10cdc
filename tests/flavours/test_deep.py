"""Models of torch and transformers, with weights by chance, scored without a script by real workers."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.model_workers import ModelWorker, environment, made

Start = Callable[..., ModelWorker]


@pytest.fixture(scope="module")
def python() -> str:
    return environment("deep.txt", "test-flavours")


@pytest.fixture(scope="module")
def start(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    models: Path = made(python, tmp_path_factory.mktemp("models"), "torch", "transformers")
    started: list[ModelWorker] = []

    def start(name: str, output_format: str, *, by_signature: bool) -> ModelWorker:
        folder = tmp_path_factory.mktemp("workers") / name
        started.append(
            ModelWorker(folder, models / name, python, by_signature=by_signature, output_format=output_format)
        )
        started[-1].ready()
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_a_network_of_torch_is_given_a_tensor_of_the_columns(start: Start) -> None:
    worker = start("torch", "csv", by_signature=True)
    worker.file("a.csv", "a,b,c,d\n1,2,3,4\n-1,-2,-3,-4\n")
    worker.file("bad.csv", "a,b,c,d\n1,2,3,x\n")
    header, *rows = list(csv.reader(io.StringIO(worker.rows(worker.score("a.csv")))))
    assert header == ["row", "prediction_0", "prediction_1", "file_name"]
    assert [row[0] for row in rows] == ["0", "1"] and all(abs(float(value)) < 100 for row in rows for value in row[1:3])
    assert rows[0][1:3] != rows[1][1:3]
    failure = worker.failure("a.csv", "bad.csv")
    assert failure["code"] == "ItemRejected" and failure["message"].startswith("bad.csv")


def test_a_classifier_of_texts_is_given_a_column_of_texts(start: Start) -> None:
    worker = start("transformers", "csv", by_signature=True)
    worker.file("a.csv", 'id,text\n1,"good day, good day"\n2,bad\n3,\n')
    worker.file("b.csv", "id,txt\n1,good\n")
    failure = worker.failure("b.csv")
    assert "Did you mean 'txt' for 'text'?" in failure["message"]
    worker.file("c.jsonl", '{"text": "good day"}\n{"text": "bad"}\n')
    header, *rows = list(csv.reader(io.StringIO(worker.rows(worker.score("c.jsonl")))))
    assert header == ["row", "label", "score", "file_name"]
    assert [row[1] in ("LABEL_0", "LABEL_1") and 0 < float(row[2]) <= 1 for row in rows] == [True, True]
