"""The least that tables through a model can cost: forked processes, each with its fixed share, and the parts joined.

    python -m benchmarks.runners.limit bare|mlflow MODELS INPUT OUT PROCESSES

No retry, no deadline, no record of what is done, nothing checked. ``mlflow`` loads the model as MLflow has it loaded,
``bare`` the estimator alone; on two cores it is no faster to load before the fork. Polars reads, by ranges of 16 MB or
by row groups; of small files each is one call of predict(). A row of the output has its number in its file, the
prediction, and the name of the file.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

RANGE_BYTES = 16 << 20
#: Less than this is not worth a second process.
SHARE_BYTES = 1 << 20

#: Number of its first row, name of its file, and the rows.
Chunk = tuple[int, str, "pl.DataFrame"]


def main() -> None:
    kind, models, source, out, processes = sys.argv[1:]
    Path(out).mkdir(parents=True)
    parts = [Path(out, f"part-{number}") for number in range(int(processes))]
    children = [
        _fork(kind, Path(models), share, part)
        for share, part in zip(shares(Path(source), int(processes)), parts)
        if share
    ]
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a process failed")
    join([part for part in parts if part.exists()], Path(out, "predictions.csv"))


def shares(source: Path, count: int) -> "list[Callable[[], Iterator[Chunk]] | None]":
    """For each process what it reads, read as it is taken; None for nothing."""
    files = sorted(source.glob("table*"))
    if len(files) > 1:
        size = -(-len(files) // count)
        return [lambda some=files[n * size : (n + 1) * size]: whole_files(some) for n in range(count)]
    (file,) = files
    if file.suffix == ".parquet":
        return [lambda n=n: row_groups(file, n, count) for n in range(count)]
    if file.stat().st_size < count * SHARE_BYTES:
        return [lambda: byte_ranges(file, 0, 1), *[None] * (count - 1)]
    return [lambda n=n: byte_ranges(file, n, count) for n in range(count)]


def _fork(kind: str, models: Path, share: "Callable[[], Iterator[Chunk]]", part: Path) -> int:
    child = os.fork()
    if child:
        return child
    predict = bare(models) if kind == "bare" else through_mlflow(models)
    score(predict, share(), part)
    os._exit(0)


def bare(models: Path) -> "Callable[[pl.DataFrame], object]":
    import joblib

    model = joblib.load(models / "bare.joblib")
    # Names of columns would only be compared; the model is given none.
    del model.feature_names_in_
    return lambda table: model.predict(table.drop("id").to_numpy(order="fortran"))


def through_mlflow(models: Path) -> "Callable[[pl.DataFrame], object]":
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model(str(models / "model"))

    def predict(table: "pl.DataFrame") -> object:
        features = table.drop("id")
        return model.predict(pd.DataFrame(features.to_numpy(order="fortran"), columns=features.columns, copy=False))

    return predict


def score(predict: "Callable[[pl.DataFrame], object]", chunks: "Iterator[Chunk]", part: Path) -> None:
    import polars as pl

    with part.open("wb") as rows:
        for first, name, table in chunks:
            numbers = pl.int_range(first, first + table.height, eager=True).alias("row")
            scored = pl.DataFrame([numbers, pl.Series("prediction", predict(table))])
            scored.with_columns(file=pl.lit(name)).write_csv(rows, include_header=False)


def whole_files(files: list[Path]) -> "Iterator[Chunk]":
    import polars as pl

    schema = None
    for file in files:
        schema = schema or schema_of(file)
        yield 0, file.name, pl.read_csv(file, schema=schema)


def byte_ranges(file: Path, number: int, count: int) -> "Iterator[Chunk]":
    """The ``number``-th of ``count`` shares of one file without quotes, a range at a time."""
    import polars as pl

    schema = schema_of(file)
    with file.open("rb", buffering=0) as lines:
        head, size = len(lines.readline()), file.stat().st_size
        begin, end = (line_start(lines, head + (size - head) * n // count) for n in (number, number + 1))
        first = lines_between(lines, head, begin)
        while begin < end:
            stop = line_start(lines, min(end, begin + RANGE_BYTES))
            table = pl.read_csv(os.pread(lines.fileno(), stop - begin, begin), has_header=False, schema=schema)
            yield first, file.name, table
            first, begin = first + table.height, stop


def line_start(lines, offset: int) -> int:
    """Where the first line begins that starts at ``offset`` or after it."""
    rest = os.pread(lines.fileno(), 1 << 16, offset - 1)
    return offset + rest.index(b"\n") if rest else offset


def lines_between(lines, begin: int, end: int) -> int:
    buffer, counted = bytearray(1 << 20), 0
    lines.seek(begin)
    while begin < end:
        read = lines.readinto(memoryview(buffer)[: end - begin])
        counted += buffer.count(b"\n", 0, read)
        begin += read
    return counted


def schema_of(file: Path) -> "dict[str, type[pl.DataType]]":
    import polars as pl

    with file.open() as lines:
        names = lines.readline().strip().split(",")
    return {name: pl.Int64 if name == "id" else pl.Float64 for name in names}


def row_groups(file: Path, number: int, count: int) -> "Iterator[Chunk]":
    """The ``number``-th of ``count`` shares of one file, a row group at a time."""
    import polars as pl
    import pyarrow.parquet as pq

    content = pq.ParquetFile(file)
    sizes = [content.metadata.row_group(group).num_rows for group in range(content.num_row_groups)]
    for group in range(len(sizes) * number // count, len(sizes) * (number + 1) // count):
        yield sum(sizes[:group]), file.name, pl.from_arrow(content.read_row_group(group, use_threads=False))


def join(parts: list[Path], out: Path) -> None:
    with out.open("wb") as joined:
        for part in parts:
            with part.open("rb") as rows:
                while os.copy_file_range(rows.fileno(), joined.fileno(), 1 << 30):
                    pass
            part.unlink()


if __name__ == "__main__":
    main()
