"""Tables through a model with Dask: `python -m benchmarks.runners.dask_frame MODELS INPUT OUT WORKERS`.

A local cluster of processes with one thread each, as its documentation proposes for Python code; ranges of 16 MB or
row groups. The rows of the output have id and prediction.
"""

import os
import sys
from functools import cache
from pathlib import Path

import dask
import dask.dataframe as dd
import pandas as pd
from dask.distributed import Client, LocalCluster

from benchmarks.runners.limit import join


def main() -> None:
    models, source, out, workers = sys.argv[1:]
    Path(out).mkdir(parents=True)
    dask.config.set({"distributed.admin.tick.limit": "1h", "distributed.comm.timeouts.connect": "60s"})
    with (
        LocalCluster(n_workers=int(workers), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        if list(Path(source).glob("*.parquet")):
            table = dd.read_parquet(source, split_row_groups=True)
        else:
            table = dd.read_csv(f"{source}/table*.csv", blocksize="16MB")
        scored = table.map_partitions(predict, f"{models}/model", meta={"id": "int64", "prediction": "int64"})
        scored.to_csv(f"{out}/part-*.csv", index=False, header=False, name_function=lambda number: f"{number:06}")
    join(sorted(Path(out).glob("part-*.csv")), Path(out, "predictions.csv"))


def predict(table: pd.DataFrame, model: str) -> pd.DataFrame:
    return pd.DataFrame({"id": table["id"], "prediction": load(model).predict(table.drop(columns="id"))})


@cache
def load(model: str):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(model)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
