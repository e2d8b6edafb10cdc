"""Whatever a model's predict() returns becomes one table, with a row for each row of the file."""

from collections.abc import Iterator
from typing import Any

import numpy
import pandas
import pyarrow
import pytest

from batchpoint_worker.failures import Refused
from batchpoint_worker.formats.shares import shares_of
from batchpoint_worker.tables import predictions
from batchpoint_worker.tables.predictions import Naming, joined, table_of, unique
from batchpoint_worker.tables.wanted import Columns


@pytest.fixture(params=["pyarrow", "pandas"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pyarrow, and as where it is not installed."""
    if request.param == "pandas":
        monkeypatch.setattr(predictions, "pyarrow", None)
    return str(request.param)


def columns(count: int = 2, first_row: int | None = 0, name: str = "a.csv", **passed: Any) -> Columns:
    found = Columns(name, count, first_row)
    found.passed = list(passed.items())
    return found


def rows(table: Any) -> list[dict[str, Any]]:
    found = table.to_pylist() if isinstance(table, pyarrow.Table) else table.to_dict("records")
    return list(found)


def predicted(prediction: Any, count: int = 2, outputs: Any = (), by_signature: bool = False) -> list[dict[str, Any]]:
    """The columns of predictions alone."""
    named = Naming(list(outputs), by_signature).columns(prediction, "a.csv", count)
    return [
        {name: value for name, value in row.items() if name not in ("row", "file_name")}
        for row in rows(table_of(columns(count), named))
    ]


class Sparse:
    """As scipy's matrices are."""

    def toarray(self) -> Any:
        return numpy.array([[0, 1], [2, 0]])


class Foreign:
    """As the arrays of other libraries are."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.array([1.5, 2.5])


def one_by_one() -> Iterator[int]:
    yield from (1, 2)


@pytest.mark.parametrize(
    ("prediction", "values"),
    [
        (numpy.array([1, 2]), [1, 2]),
        (numpy.array([1.5, numpy.inf]), [1.5, float("inf")]),
        (numpy.array([[1], [2]]), [1, 2]),
        (numpy.array([[0.5, 0.5], [1, 0]]), [[0.5, 0.5], [1.0, 0.0]]),
        (numpy.arange(8).reshape(2, 2, 2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        (numpy.array(["cat", "dog"]), ["cat", "dog"]),
        (numpy.array(["cat", None], dtype=object), ["cat", None]),
        (numpy.array([True, False]), [True, False]),
        (numpy.array([0.5, 1], dtype="float16"), [0.5, 1.0]),
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        ([{"x": 1}, {"x": 2}], [{"x": 1}, {"x": 2}]),
        ([numpy.float32(0.5), numpy.float32(1)], [0.5, 1.0]),
        (["a", "b"], ["a", "b"]),
        (pandas.Series([1, 2], index=[7, 9]), [1, 2]),
        (pandas.Series(["a", None], dtype="string"), ["a", None]),
        (pandas.DataFrame({"p": [1, 2]}, index=[5, 6]), [1, 2]),
        (pandas.DataFrame({"p": [1, 2], "q": [0.5, 1.5]}), [{"p": 1, "q": 0.5}, {"p": 2, "q": 1.5}]),
        ({"p": numpy.array([1, 2])}, [1, 2]),
        ({"p": numpy.array([[1], [2]])}, [1, 2]),
        ({"p": numpy.array([1, 2]), "q": [[1], [2]]}, [{"p": 1, "q": [1]}, {"p": 2, "q": [2]}]),
        (Sparse(), [[0, 1], [2, 0]]),
        (Foreign(), [1.5, 2.5]),
        (one_by_one(), [1, 2]),
    ],
)
def test_predictions_of_every_shape_become_one_column(library: str, prediction: Any, values: list[Any]) -> None:
    if isinstance(prediction, Iterator):
        prediction = one_by_one()  # both runs need one of their own
    found = [row["prediction"] for row in predicted(prediction)]
    missing = [None if value is pandas.NA else value for value in found]
    assert missing == values, library


def test_tables_of_arrow_are_taken_as_they_are() -> None:
    table = pyarrow.table({"p": [1, 2]})
    assert predicted(table) == predicted(table.column("p")) == [{"prediction": 1}, {"prediction": 2}]


def test_numbers_keep_their_types() -> None:
    for dtype in ("int8", "int32", "int64", "float32", "float64", "bool"):
        named = Naming([], False).columns(numpy.zeros(2, dtype), "a.csv", 2)
        assert table_of(columns(), named).schema.field("prediction").type == pyarrow.from_numpy_dtype(dtype)


def test_values_that_have_no_type_in_common_become_text() -> None:
    assert [row["prediction"] for row in predicted([1, "x"])] == ["1", "x"]
    assert [row["prediction"] for row in predicted(numpy.array([1 + 2j, 0]))] == ["(1+2j)", "0j"]


def test_a_single_value_is_the_prediction_for_a_single_row(library: str) -> None:
    del library
    for value in (7, numpy.float64(7), numpy.array(7), [7]):
        assert predicted(value, count=1) == [{"prediction": 7}]
    assert predicted("seven", count=1) == [{"prediction": "seven"}]


NAMES = [{"name": "yes", "type": "double"}, {"name": "no", "type": "double"}]


@pytest.mark.parametrize(
    ("prediction", "outputs", "names"),
    [
        (numpy.array([[0.5, 0.5], [1, 0]]), NAMES, ["yes", "no"]),
        ([[0.5, 0.5], [1, 0]], NAMES, ["yes", "no"]),
        (numpy.array([[0.5, 0.5], [1, 0]]), [], ["prediction_0", "prediction_1"]),
        (numpy.array([1, 2]), [], ["prediction"]),
        (numpy.array([1, 2]), NAMES[:1], ["yes"]),
        (numpy.array([1, 2]), [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}], ["prediction"]),
        (pandas.DataFrame({"a": [1, 2], "b": [3, 4]}), [], ["a", "b"]),
        (pandas.DataFrame({0: [1, 2], 1: [3, 4]}), NAMES, ["yes", "no"]),
        (pandas.DataFrame({"no": [1, 2], "yes": [3, 4]}), NAMES, ["no", "yes"]),
        ({"a": [1, 2], "b": [3, 4]}, NAMES, ["yes", "no"]),
        ([{"a": 1}, {"a": 2, "b": 3}], [], ["a", "b"]),
        (pandas.Series([1, 2], name="s"), [], ["prediction"]),
    ],
)
def test_columns_can_have_the_names_of_the_signature(
    library: str, prediction: Any, outputs: Any, names: list[str]
) -> None:
    found = predicted(prediction, outputs=outputs, by_signature=True)
    assert list(found[0]) == names, library
    assert len(found) == 2


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (numpy.zeros(3), "predict() returned 3 predictions for the 2 rows of a.csv; a model must return one for each"),
        ([], "predict() returned 0 predictions for the 2 rows"),
        (pandas.DataFrame({"a": [1]}), "predict() returned 1 prediction for the 2 rows"),
        ({"a": [1, 2], "b": [1]}, "predict() returned 1 prediction for the 2 rows"),
        (None, "predict() returned a value of type NoneType; it must return an array"),
        (7, "predict() returned a value of type int"),
    ],
)
def test_another_number_of_predictions_is_refused(library: str, prediction: Any, message: str) -> None:
    del library
    with pytest.raises(Refused) as refused:
        predicted(prediction)
    assert refused.value.code == "InvalidResult" and message in refused.value.message


# ---- the table ----------------------------------------------------------------------------------------------------


def test_a_table_has_what_is_passed_through_then_row_prediction_and_file(library: str) -> None:
    del library
    named = Naming([], False).columns([0.5, 1.5], "a.csv", 2)
    assert rows(table_of(columns(first_row=10, key=["x", "y"]), named)) == [
        {"key": "x", "row": 10, "prediction": 0.5, "file_name": "a.csv"},
        {"key": "y", "row": 11, "prediction": 1.5, "file_name": "a.csv"},
    ]


def test_an_image_has_no_row(library: str) -> None:
    del library
    named = Naming([], False).columns(numpy.array([[0.5, 1.5]]), "a.png", 1)
    assert rows(table_of(columns(1, None, "a.png"), named)) == [{"prediction": [0.5, 1.5], "file_name": "a.png"}]


def test_a_column_of_the_input_makes_way_for_ours() -> None:
    passed = {"prediction": [1, 2], "row": [3, 4], "file_name": ["x", "y"], "row_input": [5, 6]}
    table = table_of(columns(**passed), Naming([], False).columns([7, 8], "a.csv", 2))
    assert table.schema.names[-3:] == ["row", "prediction", "file_name"]
    assert table.schema.names[:4] == ["prediction_input", "row_input", "file_name_input", "row_input_input"]
    assert rows(table)[0]["prediction"] == 7 and rows(table)[0]["prediction_input"] == 1
    assert unique(["a", "a", "a"]) == ["a", "a_input", "a_input_input"]


def test_files_of_one_mini_batch_are_one_table_in_their_order(library: str) -> None:
    tables = [
        table_of(columns(1, name="a.csv", key=["x"]), Naming([], False).columns([1], "a.csv", 1)),
        table_of(columns(0, name="none.csv"), Naming([], False).of_nothing()),
        table_of(columns(1, name="b.csv", key=["y"]), Naming([], False).columns([2.5], "b.csv", 1)),
    ]
    found = rows(joined(tables))
    assert [(row["key"], row["prediction"], row["file_name"]) for row in found] == [
        ("x", 1, "a.csv"),
        ("y", 2.5, "b.csv"),
    ]
    assert shares_of(joined(tables)) == [1, 0, 1]
    assert library


def test_predictions_of_types_that_have_nothing_in_common_become_text_in_one_table() -> None:
    tables = [
        table_of(columns(1), Naming([], False).columns([[1, 2]], "a.csv", 1)),
        table_of(columns(1), Naming([], False).columns(["x"], "a.csv", 1)),
    ]
    assert [row["prediction"] for row in rows(joined(tables))] == ["[1, 2]", "x"]


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ({"type": "long"}, "int64"),
        ({"type": "string"}, "string"),
        ({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}, "float"),
        ({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}, "null"),
        ({"type": {"type": "array"}}, "null"),
    ],
)
def test_a_file_without_rows_has_columns_of_the_types_of_the_signature(output: dict[str, Any], kind: str) -> None:
    table = table_of(columns(0), Naming([output], False).of_nothing())
    assert table.schema.names == ["row", "prediction", "file_name"]
    assert str(table.schema.field("prediction").type) == kind


def test_a_file_whose_name_is_no_text_is_named_as_well_as_can_be(library: str) -> None:
    del library
    table = table_of(columns(1, name="a\udcff.csv"), Naming([], False).columns([1], "a", 1))
    assert rows(table)[0]["file_name"] == "a\\udcff.csv"
