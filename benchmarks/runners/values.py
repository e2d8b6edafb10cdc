"""Digest of the predictions in an output folder, in the order of the input: `python -m benchmarks.runners.values OUT`.

Runners write them in different shapes; this is how they are known to be equal.
"""

import hashlib
import json
import sys
from pathlib import Path


def main() -> None:
    import numpy as np
    import polars as pl

    out = Path(sys.argv[1])
    if (out / "predictions.json").exists():
        found = json.loads((out / "predictions.json").read_bytes())["predictions"]
    else:
        rows = pl.read_csv(out / "predictions.csv", has_header=False)
        # With ids the order may be another one; without, there are row, prediction and file.
        found = (rows.sort(rows.columns[0]) if rows.width == 2 else rows).to_series(1)
    print(hashlib.sha256(np.asarray(found, dtype="int8").tobytes()).hexdigest())


if __name__ == "__main__":
    main()
