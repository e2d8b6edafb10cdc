"""What run() may return, and the text that is written for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import WorkerProcess

WRITTEN = {
    "['0.png: 7', 'a b']": (2, "0.png: 7\na b\n"),
    "('a', 'b')": (2, "a\nb\n"),
    "[]": (0, ""),
    "()": (0, ""),
    "[1, 2.5, None, True]": (4, "1\n2.5\nNone\nTrue\n"),
    "[('a', 1), ['b', 2]]": (2, "('a', 1)\n['b', 2]\n"),
    "[{'file': 'a'}]": (1, "{'file': 'a'}\n"),
    "[float('nan'), float('-inf')]": (2, "nan\n-inf\n"),
    "[b'bytes']": (1, "b'bytes'\n"),
    "['']": (1, "\n"),
    "['two\\nlines']": (1, "two\nlines\n"),
    "['é', '你', '\\U0001f600', '\\0']": (4, "é\n你\n😀\n\0\n"),
    "Strange(['a', 'b'])": (2, "a\nb\n"),
    "[Shouting('quiet')]": (1, "QUIET\n"),
    "paths[:0] + ['a'] * 3": (3, "a\na\na\n"),
    # numpy
    "np.array([1.5, 2])": (2, "1.5\n2.0\n"),
    "np.array([0.1], dtype='float32')": (1, "0.1\n"),
    "np.array([[1, 2], [3, 4]])": (2, "[1, 2]\n[3, 4]\n"),
    "np.array(['a', 'b'])": (2, "a\nb\n"),
    "np.zeros((0, 2))": (0, ""),
    "[np.float64(1.5), np.int64(2), np.bool_(True)]": (3, "1.5\n2\nTrue\n"),
    "list(np.array([[1, 2]]))": (1, "[1 2]\n"),
    # pandas
    "pd.DataFrame({'f': ['a', 'b c'], 'p': [0.5, None]}, index=[7, 8])": (2, 'a 0.5\n"b c" \n'),
    "pd.DataFrame({'f': ['say \"hi\"', 'two\\nlines']})": (2, '"say ""hi"""\n"two\nlines"\n'),
    "pd.DataFrame({'n': [1, 2]}, index=pd.MultiIndex.from_tuples([('a', 1), ('b', 2)]))": (2, "1\n2\n"),
    "pd.DataFrame({'f': []})": (0, ""),
    "pd.Series([1.5, 2.5], index=['a', 'b'])": (2, "1.5\n2.5\n"),
}

REFUSED = {
    "None": "None",
    "'a string'": "a value of type str",
    "b'bytes'": "a value of type bytes",
    "{'a': 1}": "a value of type dict",
    "{'a'}": "a value of type set",
    "(line for line in paths)": "a value of type generator",
    "map(str, paths)": "a value of type map",
    "range(3)": "a value of type range",
    "7": "a value of type int",
    "np.float64(1.5)": "a value of type float64",
    "np.array(1.5)": "an ndarray without dimensions",
    "pd.Index(['a'])": "a value of type Index",
}


@pytest.fixture(scope="module", params=["append_row", "summary_only"])
def evaluator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for all that follows: pandas is not imported fifty times. It evaluates the files that it is given."""
    w = WorkerProcess(tmp_path_factory.mktemp("w"), "returns_anything.py", input_root="", output_action=request.param)
    w.ready()
    yield w
    w.end()


def evaluate(w: WorkerProcess, expression: str) -> dict[str, object]:
    path: Path = w.folder / "expression"
    path.write_text(expression, encoding="utf-8")
    return w.score(str(path))


@pytest.mark.parametrize("returned", WRITTEN)
def test_results_are_written_as_azure_writes_them(evaluator: WorkerProcess, returned: str) -> None:
    count, text = WRITTEN[returned]
    answer = evaluate(evaluator, returned)
    if evaluator.start["output_action"] == "summary_only":
        assert (answer["n"], answer["rows"], answer["len"]) == (count, 0, 0)
    else:
        assert (answer["n"], answer["rows"]) == (count, count)
        assert evaluator.rows(answer) == text


@pytest.mark.parametrize("returned", REFUSED)
def test_other_results_are_refused_by_their_type(evaluator: WorkerProcess, returned: str) -> None:
    answer = evaluate(evaluator, returned)
    assert (answer["t"], answer["code"]) == ("Failed", "InvalidResult")
    assert answer["message"] == (
        f"run() returned {REFUSED[returned]}; it must return a list with one element for each scored item, "
        "or a pandas DataFrame"
    )
    assert answer["traceback"] == ""


@pytest.mark.parametrize(
    ("returned", "index"),
    [("['a', 'b', '\\ud83d']", 2), ("pd.DataFrame({'f': ['a', 'b', '\\udcff']}, dtype=object)", 2)],
)
def test_a_row_that_is_no_utf_8_names_its_element(worker: StartWorker, returned: str, index: int) -> None:
    w = worker("returns_anything.py", environment={"RETURNS": returned})
    w.ready()
    answer = w.score("x")
    assert answer["code"] == "RowEncodingError"
    assert answer["message"].startswith(f"element {index} of what run() returned")
    assert w.segment.read_bytes() == b""


def test_an_element_whose_text_raises_is_the_script_s_fault(worker: StartWorker) -> None:
    evil = "[type('Evil', (), {'__str__': lambda self: 1 / 0})()]"
    w = worker("returns_anything.py", environment={"RETURNS": evil})
    w.ready()
    answer = w.score("x")
    assert answer["code"] == "ScriptRaised"
    assert answer["message"].startswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("script", ["returns_none.py", "returns_a_generator.py"])
def test_a_wrong_result_costs_its_mini_batch_alone(worker: StartWorker, python: str, script: str) -> None:
    w = worker(script, python=python)
    w.ready()
    assert w.score("bad")["code"] == "InvalidResult"
    assert w.rows(w.score("a")) == "a: ok\n"


def test_the_sample_arrays_and_frames_are_readable(worker: StartWorker) -> None:
    w = worker("returns_ndarray.py")
    w.ready()
    assert w.rows(w.score("a", "b")) == "[0.0, 0.25]\n[0.5, 0.75]\n"
    w = worker("returns_dataframe.py")
    w.ready()
    assert w.rows(w.score("a.png", "b.png")) == 'a.png 0 "a b" 0.5\nb.png 1 "a b" 0.5\n'


def test_fewer_and_more_results_than_items_are_counted_as_they_are(worker: StartWorker) -> None:
    w = worker("returns_too_few.py")
    w.ready()
    assert w.score("a", "bad", "c")["n"] == 2
    assert w.score("bad")["n"] == 0
    w = worker("returns_too_many.py")
    w.ready()
    assert w.score("a", "b")["n"] == 6
