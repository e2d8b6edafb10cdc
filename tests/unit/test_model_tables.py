"""Files of text for a model without a script: what it is given of them, and what is said of what does not fit."""

import base64
import datetime
import json
import math
from pathlib import Path

import pytest

from batchpoint_worker.tables.files import delimited, json_documents
from tests.unit.model_files import AGE_AND_PRICE, Given, Inputs, column, given, refusal, tensor

KINDS = ("boolean", "integer", "long", "float", "double", "string", "datetime", "binary")
EVERY_KIND = [column(kind, kind) for kind in KINDS]


@pytest.fixture(params=["pyarrow", "pandas"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pyarrow, and as where it is not installed."""
    if request.param == "pandas":
        monkeypatch.setattr(delimited, "pyarrow", None)
        monkeypatch.setattr(json_documents, "pyarrow", None)
    return str(request.param)


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def of(
    folder: Path, name: str, text: str | bytes, inputs: Inputs = AGE_AND_PRICE, passed: tuple[str, ...] = ()
) -> Given:
    return given(write(folder, name, text), inputs, passed)


def wrong(folder: Path, name: str, text: str | bytes, inputs: Inputs = AGE_AND_PRICE) -> str:
    return refusal(write(folder, name, text), inputs)


# ---- what fits ----------------------------------------------------------------------------------------------------


def test_every_type_of_a_signature_is_read_as_it_says(tmp_path: Path, reader: str) -> None:
    del reader
    header = ",".join(reversed(KINDS))
    text = f'{header}\nYWI=,2024-05-17T08:00:00,"h,ä",1e3,0.5,3.0,-7,true\r\nYQ==,2024-05-18,NA,,NaN,4,2,0\n'
    found = of(tmp_path, "a.csv", text, EVERY_KIND)
    columns = found.columns()
    assert list(columns) == list(KINDS)
    dtypes = found.dtypes()
    assert (dtypes["integer"], dtypes["long"], dtypes["float"]) == ("int32", "int64", "float32")
    assert (dtypes["boolean"], dtypes["datetime"]) == ("bool", "datetime64[ns]")
    assert (columns["boolean"], columns["integer"], columns["long"]) == ([True, False], [-7, 2], [3, 4])
    assert columns["double"][0] == 1000.0 and math.isnan(columns["double"][1]) and math.isnan(columns["float"][1])
    assert columns["string"][0] == "h,ä" and found.data["string"].isna().tolist() == [False, True]
    assert columns["datetime"][0] == datetime.datetime(2024, 5, 17, 8) and columns["binary"] == [b"ab", b"a"]


@pytest.mark.parametrize(
    "text",
    [
        "age,price\n1,2\n",
        "price,age\n2,1",
        "\ufeffage,price\r\n1,2\r\n",
        'x,age,price\n"a ""quoted""\nvalue",1,2\n',
        "age,price,note\n1.0,2.0,x\n",
        "\n\nage,price\n\n1,2\n\n",
        "x,x,age,price\n8,9,1,2\n",
        "age,price\n 1 ,2\n",
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path: Path, reader: str, text: str) -> None:
    del reader
    assert of(tmp_path, "a.csv", text).columns() == {"age": [1], "price": [2.0]}


def test_the_order_of_columns_and_rows_is_kept(tmp_path: Path) -> None:
    found = of(tmp_path, "a.tsv", "k\tprice\tage\n007\t1\t2\n\t3\t4\n", passed=("k", "age"))
    assert found.columns() == {"age": [2, 4], "price": [1.0, 3.0]}
    assert found.passed == {"k": ["007", ""], "age": [2, 4]}
    assert (found.count, found.first_row) == (2, 0)


def test_all_columns_can_be_passed_through(tmp_path: Path) -> None:
    assert list(of(tmp_path, "a.csv", "k,price,age\nNA,1,2\n", passed=("*",)).passed) == ["k", "price", "age"]


def test_what_is_passed_through_stays_as_it_stands_in_the_file(tmp_path: Path, reader: str) -> None:
    del reader
    text = "k,age,price\nNA,1,2\n00.10,1,2\n"
    assert of(tmp_path, "a.csv", text, passed=("k",)).passed == {"k": ["NA", "00.10"]}
    assert of(tmp_path, "a.csv", text, inputs=[], passed=("k",)).passed == {"k": ["NA", "00.10"]}


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path, reader: str) -> None:
    del reader
    assert of(tmp_path, "a.csv", "age,price\n", passed=("age",)).count == 0
    assert of(tmp_path, "a.jsonl", "").count == 0
    assert of(tmp_path, "a.json", "[]").count == 0


def test_an_optional_column_may_be_missing(tmp_path: Path) -> None:
    inputs = [
        *AGE_AND_PRICE,
        column("city", "string", required=False),
        {"name": "old", "type": "long", "optional": True},
    ]
    assert list(of(tmp_path, "a.csv", "age,price\n1,2\n", inputs).columns()) == ["age", "price"]


def test_columns_without_names_are_taken_by_their_places(tmp_path: Path) -> None:
    found = of(tmp_path, "a.csv", "x,y,z\n1,2,3\n", [{"type": "double"}, {"type": "long"}])
    assert found.columns() == {"0": [1.0], "1": [2]}


def test_without_a_signature_a_table_is_read_as_pandas_does(tmp_path: Path) -> None:
    assert of(tmp_path, "a.csv", "a,b\n1,x\n", []).columns() == {"a": [1], "b": ["x"]}
    assert of(tmp_path, "a.jsonl", '{"a": 1, "b": "x"}\n', []).columns() == {"a": [1], "b": ["x"]}


def test_utf_16_is_read_where_it_says_so(tmp_path: Path) -> None:
    assert of(tmp_path, "a.csv", "age,price\n1,2\n".encode("utf-16")).count == 1


def test_lists_and_objects_are_read_out_of_json_in_a_field(tmp_path: Path) -> None:
    inputs = [{"name": "v", "type": {"type": "array", "items": {"type": "double"}}}, {"name": "o", "type": "object"}]
    found = of(tmp_path, "a.csv", 'v,o\n"[1.5, 2]","{""x"": 1}"\n', inputs)
    assert found.columns() == {"v": [[1.5, 2]], "o": [{"x": 1}]}


def test_large_whole_numbers_lose_no_digit(tmp_path: Path, reader: str) -> None:
    del reader
    text = f"age,price\n{2**63 - 1},1\n1.0,1\n"
    assert of(tmp_path, "a.csv", text).columns()["age"] == [2**63 - 1, 1]


# ---- JSON ---------------------------------------------------------------------------------------------------------

ROWS = [{"age": 1, "price": 2.5, "k": "x"}, {"age": 2, "price": 4, "k": "y"}]


@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"columns": ["k", "price", "age"], "data": [["x", 2.5, 1], ["y", 4, 2]]},
        {"columns": ["k", "price", "age"], "index": [7, 8], "data": [["x", 2.5, 1], ["y", 4, 2]]},
        {"dataframe_split": {"columns": ["age", "price", "k"], "data": [[1, 2.5, "x"], [2, 4, "y"]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"inputs": {"age": [1, 2], "price": [2.5, 4], "k": ["x", "y"]}},
        {"age": {"0": 1, "1": 2}, "price": {"0": 2.5, "1": 4}, "k": {"0": "x", "1": "y"}},
    ],
)
def test_json_is_read_in_the_forms_of_pandas_and_mlflow(tmp_path: Path, document: object) -> None:
    found = of(tmp_path, "a.json", json.dumps(document), passed=("k",))
    assert found.columns() == {"age": [1, 2], "price": [2.5, 4.0]}
    assert found.passed == {"k": ["x", "y"]}


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_may_stand_on_lines(tmp_path: Path, reader: str, name: str) -> None:
    del reader
    text = '\ufeff{"age": 1, "price": 2.5, "k": "x"}\n\r\n{"k": "y", "price": 4, "age": 2, "more": [1]}\n'
    found = of(tmp_path, name, text, passed=("k",))
    assert found.columns() == {"age": [1, 2], "price": [2.5, 4.0]}
    assert found.passed == {"k": ["x", "y"]}


def test_values_in_json_are_cast_where_they_fit(tmp_path: Path) -> None:
    inputs = [column("age", "integer"), column("name", "string"), column("at", "datetime"), column("raw", "binary")]
    raw = base64.b64encode(b"\x00\xff").decode()
    row = {"age": "3", "name": 7, "at": "2024-05-17T08:00:00+02:00", "raw": raw}
    columns = of(tmp_path, "a.jsonl", json.dumps(row), inputs).columns()
    assert columns == {"age": [3], "name": ["7"], "at": [datetime.datetime(2024, 5, 17, 6)], "raw": [b"\x00\xff"]}


def test_a_single_object_is_a_single_row(tmp_path: Path) -> None:
    assert of(tmp_path, "a.json", '{"age": 1, "price": 2}').count == 1


def test_rows_without_names_are_a_tensor(tmp_path: Path) -> None:
    found = of(tmp_path, "a.json", '{"instances": [[[1, 2], [3, 4]]]}', [tensor("uint8", -1, 2, 2)])
    assert found.data.shape == (1, 2, 2) and found.data.dtype == "uint8"


# ---- tensors of tables --------------------------------------------------------------------------------------------


def test_numbers_in_columns_become_a_tensor(tmp_path: Path, reader: str) -> None:
    del reader
    text = "id,a,b,c,d\nx,1,2,3,4\ny,5,6,7,8\n"
    found = of(tmp_path, "a.csv", text, [tensor("float32", -1, 2, 2)], passed=("id",))
    assert found.data.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]] and found.data.dtype == "float32"
    assert of(tmp_path, "a.csv", text, [tensor("float64", -1, 4)]).data.shape == (2, 4)
    assert of(tmp_path, "a.csv", text, [tensor("int64", -1, -1)]).data.shape == (2, 4)


def test_tensors_with_names_are_columns_of_these_names(tmp_path: Path) -> None:
    inputs = [tensor("float64", -1, name="a"), tensor("int8", -1, 1, name="b"), tensor("float32", -1, 2, name="v")]
    found = of(tmp_path, "a.jsonl", '{"a": 1, "b": 2, "v": [3, 4]}\n{"a": 5, "b": 6, "v": [7, 8]}\n', inputs)
    assert {name: array.tolist() for name, array in found.data.items()} == {
        "a": [1.0, 5.0],
        "b": [[2], [6]],
        "v": [[3.0, 4.0], [7.0, 8.0]],
    }


# ---- what does not fit --------------------------------------------------------------------------------------------

NUMBER = "is not a number (double)"
WHOLE = "is not a whole number (long)"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "age,price\n1,2\n3,x\n", f"a.csv, column 'price', row 2 (line 3): 'x' {NUMBER}; correct the value"),
        ("a.csv", "age,price\n1.5,2\n", f"a.csv, column 'age', row 1 (line 2): '1.5' {WHOLE}; correct the value"),
        ("a.csv", 'n,age,price\n"a\nb",1,2\n\nx,1e99,2\n', f"a.csv, column 'age', row 2 (line 5): '1e99' {WHOLE}"),
        ("a.csv", "age,price\n1_0,2\n", f"a.csv, column 'age', row 1 (line 2): '1_0' {WHOLE}"),
        ("a.csv", "age,price\n1,2\n,3\n", "a.csv, column 'age', row 2 (line 3): there is no value, and a column"),
        ("a.csv", "price\n1\n", "a.csv: the model's signature wants the column 'age', which is not in the file"),
        ("a.csv", "x,y\n1,2\n", "wants the columns 'age', 'price', which are not in the file; the file has 'x', 'y'."),
        ("a.csv", "Age ,price\n1,2\n", "the file has 'Age ', 'price'. Did you mean 'Age ' for 'age'? Then rename it"),
        ("a.csv", "age;price\n1;2\n", "it seems to be separated by semicolons"),
        ("a.csv", "age,price,age\n1,2,3\n", "a.csv: the file has more than one column named 'age'"),
        ("a.csv", "age,price\n1,2\n1\n", "a.csv, row 2 (line 3): the row has 1 field, and the first line of"),
        ("a.csv", "age,price,x\n1,2,3\n1,2\n", "a.csv, row 2 (line 3): the row has 2 fields, and the first line"),
        ("a.csv", "age,price\n1,2,3\n", "a.csv, row 1 (line 2): the row has 3 fields"),
        ("a.csv", b"age,price,n\n1,2,x\n1,2,\xfc\n", "a.csv, line 3: the text is not UTF-8; write the file as UTF-8"),
        ("a.csv", "", "a.csv is empty: a line that names the columns is expected"),
        ("a.csv", b"\xff\xfea", "a.csv begins as UTF-16, but is not"),
        ("a.jsonl", '{"age": 1}\n\n{"age": 1, "price": "x"}', f"a.jsonl, column 'price', row 2 (line 3): 'x' {NUMBER}"),
        ("a.jsonl", '{"age": 1, "price": 1}\n{"price": 1}', "a.jsonl, column 'age', row 2 (line 2): there is no value"),
        ("a.jsonl", '{"age": true, "price": 1}', f"a.jsonl, column 'age', row 1 (line 1): True {WHOLE}"),
        ("a.jsonl", '{"age": 1}\n{oops}\n', "a.jsonl, line 2: no JSON: "),
        ("a.jsonl", "[1, 2]\n", "a.jsonl, line 1: an object with the columns of one row is expected, and there is"),
        ("a.json", '{"age": 1,\n"price"}', "a.json, line 2: no JSON: "),
        ("a.json", "[" * 100_000, "a.json: no JSON: it is nested too deeply"),
        ("a.json", "3", "a.json: there is a number, and a table is expected: a list of objects, "),
        ("a.json", '{"age": [1, 2], "price": [1]}', "a.json: the columns are not equally long lists"),
        ("a.json", '{"columns": ["age"], "data": [[1, 2]]}', "a.json, row 1: the row has 2 values, and `columns`"),
        ("a.json", b'{"age": "\xfc"}', "a.json, line 1: the text is not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_told_by_name_and_place(
    tmp_path: Path, reader: str, name: str, text: str | bytes, message: str
) -> None:
    del reader
    assert message in wrong(tmp_path, name, text)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("integer", "3000000000", "'3000000000' is not a whole number of 32 bits (integer)"),
        ("long", "9223372036854775808", "'9223372036854775808' is not a whole number (long)"),
        ("float", "1e39", "'1e39' is not a number (float)"),
        ("boolean", "maybe", "'maybe' is not true or false"),
        ("datetime", "17.05.2024", "'17.05.2024' is not a date and time in ISO form"),
        ("datetime", "2024-02-30", "'2024-02-30' is not a date and time in ISO form"),
        ("binary", "%%%", "'%%%' is not bytes"),
        ("array", "[1,", "'[1,' is not a list (array)"),
    ],
)
def test_a_value_is_held_to_the_type_of_its_column(
    tmp_path: Path, reader: str, kind: str, value: str, message: str
) -> None:
    del reader
    assert message in wrong(tmp_path, "a.csv", f'x\n"{value}"\n', [column("x", kind)])


def test_a_column_to_be_passed_through_has_to_be_there(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "age,price,key\n1,2,3\n")
    message = refusal(path, AGE_AND_PRICE, ["kay"])
    assert "passthrough_columns names the column 'kay', which is not in the file" in message
    assert "Did you mean 'key' for 'kay'?" in message


def test_a_table_of_another_width_than_the_tensor_is_refused(tmp_path: Path) -> None:
    message = wrong(tmp_path, "a.csv", "a,b,n\n1,2,x\n", [tensor("float64", -1, 3)])
    assert "wants 3 numbers in a row" in message or "is not a number" in message
    message = wrong(tmp_path, "a.csv", "a,b,n,m\n1,2,x,y\n", [tensor("float64", -1, 3)])
    assert (
        "wants 3 numbers in a row (a tensor of shape [-1, 3]), and the file has 2 columns of numbers: 'a', 'b'"
        in message
    )


def test_a_number_that_is_too_large_for_a_tensor_is_told_by_its_row(tmp_path: Path) -> None:
    inputs = [tensor("uint8", -1, name="a"), tensor("uint8", -1, name="b")]
    assert "a.csv, column 'b', row 2: 256 does not go into" in wrong(tmp_path, "a.csv", "a,b\n1,2\n1,256\n", inputs)
