"""The scoring script: Batchpoint imports it in every worker process, calls init() once, then run() again and again."""

import os
from pathlib import Path

import joblib
import numpy as np
from PIL import Image

model = None


def init():
    """Load what all mini-batches share. Called once in each worker, before the first run()."""
    global model
    # AZUREML_MODEL_DIR holds the model folder under its own name: the deployment says `local_path: ./model/`.
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "digits.joblib")


def run(mini_batch):
    """Score the files of one mini-batch: a list of paths in, a list with one element for each scored file out."""
    pixels = np.stack([np.asarray(Image.open(path)).ravel() / 15 for path in mini_batch])
    # With `output_action: append_row` each element becomes one line of the output file.
    return [f"{Path(path).name}: {digit}" for path, digit in zip(mini_batch, model.predict(pixels))]
