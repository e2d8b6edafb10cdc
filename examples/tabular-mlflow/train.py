"""Makes what this example scores: an MLflow model, and four CSV files of patients that it never saw.

    model/              a scikit-learn pipeline as `mlflow.sklearn.save_model` writes it, with signature and packages
    patients/ward-1.csv ...   cases of the breast cancer data that comes with scikit-learn, 30 measurements each
    labels.csv          what each of them really was, by file and row; the model never sees it

The model is kept in this folder, so this runs only to make another one: with the packages of PACKAGES installed.
"""

import shutil
import sys
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
MODEL, PATIENTS, LABELS = HERE / "model", HERE / "patients", HERE / "labels.csv"

#: All that the model needs where it is scored; MLflow's small distribution is enough.
PACKAGES = [
    "mlflow-skinny==3.17.2",
    "scikit-learn==1.9.1",
    "pandas==3.1.1",
    "numpy==2.4.6",
    "pyarrow==25.0.1",
    "skops==0.16.0",
]
WARDS = 4


def main() -> None:
    cases = load_breast_cancer(as_frame=True)
    seen, held_out, truth, hidden = train_test_split(cases.data, cases.target, test_size=0.4, random_state=7)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, truth)
    save(pipeline, seen)
    write_wards(held_out, hidden)
    print(f"fitted on {len(seen)} cases; {len(held_out)} that it never saw in patients/")


def save(pipeline, seen: pd.DataFrame) -> None:
    shutil.rmtree(MODEL, ignore_errors=True)
    environment = {"channels": ["conda-forge"], "dependencies": ["python>=3.11", "pip", {"pip": PACKAGES}]}
    signature = mlflow.models.infer_signature(seen, pipeline.predict(seen))
    mlflow.sklearn.save_model(pipeline, str(MODEL), signature=signature, conda_env=environment)


def write_wards(cases: pd.DataFrame, labels: pd.Series) -> None:
    PATIENTS.mkdir(exist_ok=True)
    size = -(-len(cases) // WARDS)
    truth = []
    for ward in range(WARDS):
        rows = slice(ward * size, (ward + 1) * size)
        file = PATIENTS / f"ward-{ward + 1}.csv"
        cases[rows].to_csv(file, index=False)
        truth += [(file.name, row, label) for row, label in enumerate(labels[rows])]
    pd.DataFrame(truth, columns=["file", "row", "benign"]).to_csv(LABELS, index=False)


if __name__ == "__main__":
    sys.exit(main())
