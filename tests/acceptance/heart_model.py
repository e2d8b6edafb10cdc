"""``PYTHON heart_model.py FOLDER``: trains a model on made-up patients in a user's interpreter, as a notebook would.

Writes ``model``, ``data`` with four small files, and ``direct.json``: what the pipeline itself predicts for each file.
Tests run it; it imports nothing of ours.
"""

import json
import os
import sys
import warnings

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
warnings.simplefilter("ignore")

import mlflow.sklearn  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.pipeline import Pipeline  # noqa: E402
from sklearn.preprocessing import OrdinalEncoder, StandardScaler  # noqa: E402
from xgboost import XGBClassifier  # noqa: E402

NUMBERS = ["age", "trestbps", "chol", "thalach", "oldpeak"]
WORDS = ["sex", "cp", "thal"]


def patients(rows, seed):
    random = np.random.RandomState(seed)
    return pd.DataFrame(
        {
            "age": random.randint(29, 78, rows),
            "sex": random.choice(["female", "male"], rows),
            "cp": random.choice(["typical", "atypical", "none, as far as known"], rows),
            "trestbps": random.randint(94, 200, rows),
            "chol": random.randint(126, 564, rows),
            "thalach": random.randint(71, 202, rows),
            "oldpeak": random.uniform(0, 6.2, rows).round(1),
            "thal": random.choice(["normal", "fixed", "reversible"], rows),
        }
    )


def main(folder):
    known = patients(300, 1)
    ill = ((known.age > 55) ^ (known.thal == "reversible")).astype("int64")
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), NUMBERS), ("words", OrdinalEncoder(), WORDS)], remainder="drop"
    )
    pipeline = Pipeline([("columns", columns), ("trees", XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1))])
    pipeline.fit(known, ill)
    mlflow.sklearn.save_model(
        pipeline,
        os.path.join(folder, "model"),
        signature=infer_signature(known, pipeline.predict(known)),
        serialization_format="cloudpickle",
        pip_requirements=["mlflow", "scikit-learn", "xgboost-cpu"],
    )
    direct = {}
    os.mkdir(os.path.join(folder, "data"))
    for number in range(4):
        name = f"heart-unlabeled-{number}.csv"
        unlabeled = patients(20 + number, 10 + number)
        unlabeled.to_csv(os.path.join(folder, "data", name), index=False)
        direct[name] = pipeline.predict(unlabeled).tolist()
    with open(os.path.join(folder, "direct.json"), "w") as file:
        json.dump(direct, file)


if __name__ == "__main__":
    main(sys.argv[1])
