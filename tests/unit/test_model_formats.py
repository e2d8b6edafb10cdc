"""Files of all other formats for a model without a script: typed tables, images, packed text, and parts of files."""

import bz2
import datetime
import errno
import gzip
import lzma
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from batchpoint_worker.tables.files import columnar, images, text
from tests.unit.model_files import AGE_AND_PRICE, column, given, refusal, tensor

# ---- typed tables -------------------------------------------------------------------------------------------------


def table(**columns: Any) -> pyarrow.Table:
    return pyarrow.table(columns)


def written(folder: Path, name: str, what: pyarrow.Table) -> Path:
    path = folder / name
    if name.endswith((".parquet", ".pqt")):
        pyarrow.parquet.write_table(what, path, row_group_size=2)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(what, path)
    else:
        new = pyarrow.ipc.new_stream if "stream" in name else pyarrow.ipc.new_file
        with new(path, what.schema) as writer:
            writer.write_table(what)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "A.PQT", "a.feather", "file.arrow", "stream.arrow"])
def test_tables_with_types_are_read(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name.lower(), table(price=[1.5, 2.5, 3.5], k=["x", None, "z"], age=[1, 2, 3]))
    found = given(path.rename(tmp_path / name), AGE_AND_PRICE, ["k"])
    assert found.columns() == {"age": [1, 2, 3], "price": [1.5, 2.5, 3.5]}
    assert found.passed == {"k": ["x", None, "z"]}
    assert found.dtypes() == {"age": "int64", "price": "float64"}


def test_a_table_without_rows_is_read(tmp_path: Path) -> None:
    none = pyarrow.schema([("age", "int64"), ("price", "float64")]).empty_table()
    assert given(written(tmp_path, "a.parquet", none), AGE_AND_PRICE).count == 0


DAY = datetime.date(2024, 5, 17)
NOON = datetime.datetime(2024, 5, 17, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("long", pyarrow.array([1, 2], "int8"), [1, 2]),
        ("long", pyarrow.array([1.0, 2.0]), [1, 2]),
        ("long", pyarrow.array(["1", "2.0"]), [1, 2]),
        ("integer", pyarrow.array([1, 2], "uint64"), [1, 2]),
        ("double", pyarrow.array([1, 2]), [1.0, 2.0]),
        ("double", pyarrow.array([Decimal("0.5"), Decimal(2)]), [0.5, 2.0]),
        ("double", pyarrow.array(["a", "a"]).dictionary_encode().cast("string"), None),
        ("double", pyarrow.array([0.5, 0.5], "float16"), [0.5, 0.5]),
        ("float", pyarrow.array([0.5, 2.0]), [0.5, 2.0]),
        ("float", pyarrow.array([1e39, 2.0]), None),
        ("string", pyarrow.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        ("string", pyarrow.array(["x", "y"], "large_string"), ["x", "y"]),
        ("string", pyarrow.array([1, 2]), ["1", "2"]),
        ("string", pyarrow.array([1.5, 2.0]), None),
        ("boolean", pyarrow.array([True, False]), [True, False]),
        ("boolean", pyarrow.array([1, 0]), [True, False]),
        ("boolean", pyarrow.array([1, 2]), None),
        ("long", pyarrow.array([True, False]), None),
        ("long", pyarrow.array([1.5, 2.0]), None),
        ("integer", pyarrow.array([1, 1 << 31]), None),
        ("datetime", pyarrow.array([DAY, DAY]), [datetime.datetime(2024, 5, 17)] * 2),
        ("datetime", pyarrow.array([NOON, NOON]), [datetime.datetime(2024, 5, 17, 10)] * 2),
        ("binary", pyarrow.array([b"x", b"y"], "large_binary"), [b"x", b"y"]),
        ("double", pyarrow.array([b"x", b"y"]), None),
    ],
)
def test_a_type_is_cast_where_its_values_fit(
    tmp_path: Path, kind: str, values: pyarrow.Array, wanted: list[Any] | None
) -> None:
    path = written(tmp_path, "a.parquet", table(x=values))
    if wanted is None:
        assert refusal(path, [column("x", kind)]).startswith("a.parquet, column 'x', row ")
    else:
        assert given(path, [column("x", kind)]).columns() == {"x": wanted}


def test_a_missing_value_is_told_by_its_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.parquet", table(age=[1, 2, None], price=[1.0, None, 2.0]))
    assert refusal(path, AGE_AND_PRICE).startswith("a.parquet, column 'age', row 3: there is no value")


def test_lists_become_a_tensor(tmp_path: Path) -> None:
    path = written(tmp_path, "a.parquet", table(x=[[1.0, 2.0], [3.0, 4.0]], n=["a", "b"]))
    found = given(path, [tensor("float32", -1, 2, name="x")])
    assert found.data["x"].tolist() == [[1, 2], [3, 4]] and found.data["x"].dtype == "float32"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
@pytest.mark.parametrize("data", [b"", b"no table at all", b"ARROW1\0\0cut", b"PAR1cut"])
def test_a_broken_table_is_told_by_its_name(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert refusal(path, AGE_AND_PRICE).startswith(f"{name} cannot be read as ")


def test_typed_tables_need_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "pyarrow", None)
    assert "has no pyarrow, which reads Parquet files; add pyarrow to it" in refusal(tmp_path / "a.pqt", AGE_AND_PRICE)


# ---- parts --------------------------------------------------------------------------------------------------------


def test_a_part_of_a_table_is_read_where_it_lies(tmp_path: Path) -> None:
    ages = list(range(7))
    path = written(tmp_path, "a.parquet", table(age=ages, price=[float(age) for age in ages]))
    found = given(f"{path}//rows=3-5", AGE_AND_PRICE)
    assert (found.columns()["age"], found.first_row, found.count) == ([3, 4, 5], 3, 3)


def test_a_part_of_a_text_is_read_with_the_head_of_its_file(tmp_path: Path) -> None:
    data = b"age,price\n0,0\n1,1\n2,x\n3,3\n"
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    found = given(f"{path}//rows=1-1;bytes=14-17;head=0-9", AGE_AND_PRICE)
    assert (found.columns()["age"], found.first_row) == ([1], 1)
    message = refusal(f"{path}//rows=1-2;bytes=14-21;head=0-9", AGE_AND_PRICE)
    assert message.startswith("a.csv, column 'price', row 3 (line 4): 'x' is not a number")
    path.write_bytes(data[:16])
    assert "has become shorter" in refusal(f"{path}//rows=1-2;bytes=14-21;head=0-9", AGE_AND_PRICE)


def test_a_missing_value_in_a_part_is_told_by_its_row_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.parquet", table(age=[1, 2, None], price=[1.0, 2.0, 3.0]))
    assert refusal(f"{path}//rows=1-2", AGE_AND_PRICE).startswith("a.parquet, column 'age', row 3: there is no value")
    (tmp_path / "a.jsonl").write_bytes(b'{"age": 1, "price": 1}\n{"age": 2}\n{"price": 3}\n')
    message = refusal(f"{tmp_path}/a.jsonl//rows=1-2;bytes=23-45", AGE_AND_PRICE)
    assert message.startswith("a.jsonl, column 'age', row 3 (line 3): there is no value")


# ---- packed text --------------------------------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_packed_text_is_unpacked(tmp_path: Path, ending: str, pack: Any) -> None:
    for name, plain in (
        ("a.csv", "age,price\n1,2\n"),
        ("a.tsv", "age\tprice\n1\t2\n"),
        ("a.json", '{"age":1,"price":2}'),
    ):
        path = tmp_path / (name + ending)
        path.write_bytes(pack(plain.encode()))
        assert given(path, AGE_AND_PRICE).columns() == {"age": [1], "price": [2.0]}
    for broken in (b"plain", pack(b"age,price\n" + 1000 * b"1,2\n")[:-9]):
        path.write_bytes(broken)
        assert refusal(path, AGE_AND_PRICE).startswith(f"a.json{ending} cannot be unpacked as ")


# ---- images -------------------------------------------------------------------------------------------------------

Image = pytest.importorskip("PIL.Image")
RED = (255, 0, 0)


def drawn(folder: Path, name: str, mode: str = "RGB", size: tuple[int, int] = (3, 2)) -> Path:
    image = Image.new("RGB", size)
    image.putpixel((1, 0), RED)
    image.convert(mode).save(folder / name)
    return folder / name


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.tiff", "a.tif", "a.bmp", "a.gif"])
def test_an_image_is_an_array_of_height_width_and_channels(tmp_path: Path, name: str) -> None:
    found = given(drawn(tmp_path, name), [tensor("uint8", -1, 2, 3, 3)])
    assert (found.data.shape, str(found.data.dtype)) == ((1, 2, 3, 3), "uint8")
    assert (found.count, found.first_row, found.passed) == (1, None, {})
    assert found.data[0, 0, 1, 0] > 80 > found.data[0, 1, 2, 2]


@pytest.mark.parametrize(
    ("mode", "inputs", "shape", "dtype"),
    [
        ("RGB", [tensor("float32", -1, -1, -1, 3)], (1, 2, 3, 3), "float32"),
        ("RGB", [tensor("uint8", -1, 2, 3, 1)], (1, 2, 3, 1), "uint8"),
        ("L", [tensor("uint8", -1, 2, 3, 3)], (1, 2, 3, 3), "uint8"),
        ("L", [tensor("uint8", -1, 2, 3)], (1, 2, 3), "uint8"),
        ("P", [tensor("uint8", -1, 2, 3, 3)], (1, 2, 3, 3), "uint8"),
        ("RGBA", [tensor("uint8", -1, 2, 3, 3)], (1, 2, 3, 3), "uint8"),
        ("1", [tensor("uint8", -1, 2, 3)], (1, 2, 3), "uint8"),
        ("RGB", [tensor("float32", -1, 3, 2, 3)], (1, 2, 3, 3), None),
        ("RGB", [tensor("float32", -1, 3, 2, 5)], (1, 3, 2, 5), None),
        ("L", [tensor("float64", -1, 6)], (1, 6), "float64"),
        ("RGB", [], (1, 2, 3, 3), "uint8"),
    ],
)
def test_an_image_takes_the_shape_of_the_signature(
    tmp_path: Path, mode: str, inputs: list[dict[str, Any]], shape: tuple[int, ...], dtype: str | None
) -> None:
    path = drawn(tmp_path, "a.png", mode)
    if dtype is None:
        assert refusal(path, inputs).startswith("a.png: the image has the shape ")
    else:
        found = given(path, inputs).data
        assert (found.shape, str(found.dtype)) == (shape, dtype)


def test_channels_come_first_where_the_signature_has_them_there(tmp_path: Path) -> None:
    path = drawn(tmp_path, "a.png", size=(8, 8))
    found = given(path, [tensor("float32", -1, 3, 8, 8, name="pixels")]).data
    assert list(found) == ["pixels"] and found["pixels"][0, 0, 0, 1] == 255 and found["pixels"][0, 1].sum() == 0


def test_one_column_of_bytes_takes_the_file_itself(tmp_path: Path) -> None:
    path = drawn(tmp_path, "a.png")
    assert given(path, [column("image", "binary")]).columns() == {"image": [path.read_bytes()]}
    assert "wants columns, and an image has none" in refusal(path, AGE_AND_PRICE)


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_broken_image_is_told_by_its_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    message = refusal(tmp_path / "a.png", [tensor("uint8", -1, 2, 3, 3)])
    assert message.startswith("a.png cannot be read as an image: ")


# ---- no file for a model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.parquet.gz", "README", "a.png.zst", "a.gz", ".csv"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    message = refusal(tmp_path / name, AGE_AND_PRICE)
    assert message.startswith(f"{name}: no file of this kind") and ".csv .tsv .jsonl" in message


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl", "a.png", "a.parquet", "a.arrow"):
        inputs = [tensor("uint8", -1, 2, 3, 3)] if name == "a.png" else AGE_AND_PRICE
        message = refusal(tmp_path / name, inputs)
        assert message.startswith(f"{name} cannot be read") and "No such file" in message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.png"])
def test_a_disk_that_fails_is_not_the_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*arguments: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error", name)

    monkeypatch.setattr(text, "_open", fail)
    monkeypatch.setattr(images, "_open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        given(tmp_path / name, [tensor("uint8", -1, 2, 3, 3)])
