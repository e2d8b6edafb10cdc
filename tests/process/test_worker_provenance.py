"""Lines of the output that say where they come from: file, row in it, mini-batch."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import WorkerProcess

NAMES = ["plain.png", "with space.png", 'say "hi".png', "two\nlines.png", "é你.png", "carriage\rreturn.png"]

#: What run() returns → the three columns of each line that pandas reads, for the items a and b.
SHARED = {
    "['1', '2']": [("a", 0), ("b", 0)],
    "[1.5, None]": [("a", 0), ("b", 0)],
    "np.array([[1, 2], [3, 4]])": [("a", 0), ("b", 0)],
    "['two\\nlines', 'one']": [("a", 0), ("a", 1), ("b", 0)],
    "['1', '2', '3']": [("", 0), ("", 1), ("", 2)],
    "['1']": [("", 0)],
    "[]": [],
    "pd.DataFrame({'f': ['x', 'y z']})": [("a", 0), ("b", 0)],
    "pd.DataFrame({'f': ['say \"hi\"', 'two\\nlines', '']})": [("", 0), ("", 1), ("", 2)],
}
#: For the one item a.
ALONE = {
    "['1', '2', '3']": [("a", 0), ("a", 1), ("a", 2)],
    "pd.DataFrame({'f': ['two\\n\"lines\\n', 'y']})": [("a", 0), ("a", 1)],
    "list(map(str, range(10000)))": [("a", number) for number in range(10000)],
    "pd.DataFrame({'n': range(120000)})": [("a", number) for number in range(120000)],
}


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """Evaluates the file next to its input."""
    folder = tmp_path_factory.mktemp("w")
    w = WorkerProcess(folder, "evaluates_what_stands_beside.py", input_root=str(folder), provenance=True)
    w.ready()
    yield w
    w.end()


def evaluated(w: WorkerProcess, expression: str, *names: str) -> list[list[str]]:
    (w.folder / "expression").write_text(expression, encoding="utf-8")
    text = w.rows(w.score(*names))
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=" "))


@pytest.mark.parametrize("returned", SHARED)
def test_each_result_is_that_of_the_item_in_its_place_if_there_is_one_for_each(
    evaluator: WorkerProcess, returned: str
) -> None:
    lines = evaluated(evaluator, returned, "a", "b")
    mini_batch = str(len(evaluator._spans) - 1)
    assert [tuple(line[:3]) for line in lines] == [(file, str(row), mini_batch) for file, row in SHARED[returned]]


@pytest.mark.parametrize("returned", ALONE)
def test_all_results_of_a_single_item_are_its_own(evaluator: WorkerProcess, returned: str) -> None:
    lines = evaluated(evaluator, returned, "a")
    assert [(line[0], int(line[1])) for line in lines] == ALONE[returned]


def test_names_are_quoted_as_pandas_quotes_them(evaluator: WorkerProcess) -> None:
    import pandas

    lines = evaluated(evaluator, "['x'] * len(paths)", *NAMES)
    assert [line[0] for line in lines] == NAMES
    (evaluator.folder / "expression").write_text("list(map(str, range(len(paths))))")
    # pandas leaves a carriage return as it is, and cannot read it back then.
    text = evaluator.rows(evaluator.score(*NAMES[:-1]))
    frame = pandas.DataFrame({"f": NAMES[:-1], "r": 0, "m": len(evaluator._spans) - 1, "n": range(len(NAMES) - 1)})
    assert text == frame.to_csv(sep=" ", header=False, index=False)
    read = pandas.read_csv(io.StringIO(text), sep=" ", header=None)
    assert list(read[0]) == NAMES[:-1]


def test_a_name_that_is_no_text_is_written_out(evaluator: WorkerProcess) -> None:
    (evaluator.folder / "expression").write_text("['x']")
    assert evaluator.rows(evaluator.score(b"caf\xe9.png")).startswith("caf\\xe9.png 0 ")


def test_every_python_writes_the_same(worker: StartWorker, python: str, tmp_path: Path) -> None:
    (tmp_path / "expression").write_text("[str(len(path)) for path in paths]")
    root = str(tmp_path)
    w = worker("evaluates_what_stands_beside.py", python=python, provenance=True, input_root=root)
    w.ready()
    long = len(root) + 2
    assert w.rows(w.score("b c", "d", b"\xff")) == f'"b c" 0 0 {long + 2}\nd 0 0 {long}\n\\xff 0 0 {long}\n'


def test_what_is_not_asked_for_is_not_there(worker: StartWorker, tmp_path: Path) -> None:
    (tmp_path / "expression").write_text("['1', '2']")
    w = worker("evaluates_what_stands_beside.py", input_root=str(tmp_path))
    w.ready()
    assert w.rows(w.score("a", "b")) == "1\n2\n"
