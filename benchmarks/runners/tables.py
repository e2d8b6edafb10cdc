"""Makes the tables and the model of the tabular benchmark: `python -m benchmarks.runners.tables FOLDER KIND COUNT`.

KIND is ``model``; ``files``: COUNT CSV files of 5,000 rows; ``csv`` and ``parquet``: one file of COUNT rows. Each row
has an id and 20 features; the same COUNT gives the same numbers in both formats.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

FEATURES = [f"f{number:02}" for number in range(20)]
ROWS_OF_A_FILE = 5_000
#: Rows that are made at once, and rows of a row group.
AT_ONCE = 100_000


def rows(first: int, count: int) -> pl.DataFrame:
    """``count`` rows from id ``first`` on; ``first`` decides the numbers."""
    numbers = np.random.default_rng([7, first]).normal(size=(count, len(FEATURES))).round(6)
    table = pl.DataFrame(numbers, schema=FEATURES, orient="row")
    return table.insert_column(0, pl.Series("id", np.arange(first, first + count)))


def make_files(folder: Path, count: int) -> None:
    for number in range(count):
        rows(number * ROWS_OF_A_FILE, ROWS_OF_A_FILE).write_csv(folder / f"table-{number:04}.csv", float_precision=6)


def make_csv(folder: Path, count: int) -> None:
    with (folder / "table.csv").open("wb") as file:
        for first in range(0, count, AT_ONCE):
            part = rows(first, min(AT_ONCE, count - first))
            part.write_csv(file, float_precision=6, include_header=first == 0)


def make_parquet(folder: Path, count: int) -> None:
    import pyarrow.parquet as pq

    parts = (rows(first, min(AT_ONCE, count - first)).to_arrow() for first in range(0, count, AT_ONCE))
    head = next(parts)
    with pq.ParquetWriter(folder / "table.parquet", head.schema) as file:
        for part in (head, *parts):
            file.write_table(part, row_group_size=AT_ONCE)


def make_model(folder: Path, _: int) -> None:
    """A logistic regression as MLflow saves it, with a signature; and the bare estimator beside it."""
    import joblib
    import mlflow
    from sklearn.linear_model import LogisticRegression

    table = rows(0, 20_000).select(FEATURES).to_pandas()
    weights = np.random.default_rng(8).normal(size=len(FEATURES))
    fitted = LogisticRegression(max_iter=200).fit(table, (table.to_numpy() @ weights > 0).astype("int64"))
    signature = mlflow.models.infer_signature(table, fitted.predict(table))
    mlflow.sklearn.save_model(fitted, str(folder / "model"), signature=signature)
    joblib.dump(fitted, folder / "bare.joblib")


if __name__ == "__main__":
    _, into, kind, count = sys.argv
    make = {"model": make_model, "files": make_files, "csv": make_csv, "parquet": make_parquet}[kind]
    Path(into).mkdir(parents=True, exist_ok=True)
    make(Path(into), int(count))
