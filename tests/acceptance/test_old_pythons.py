"""The deployment file of 2021, as it stands, on the Python that its conda file asks for."""

import re
import shutil
from pathlib import Path

import pytest

from tests.acceptance.typed import Type
from tests.process.worker_process import interpreter

ARTICLE = Path(__file__).parent / "article" / "endpoints" / "batch"
#: What the conda file of the time asks for, without what is large.
CONDA = """\
name: mnist-env
channels:
  - conda-forge
dependencies:
  - python={python}
  - pip
  - pip:
      - azureml-core
      - azureml-dataset-runtime[pandas,fuse]
"""


@pytest.mark.parametrize("python", ["3.6.2", "3.7", "3.11", "3.13"])
def test_the_deployment_of_2021_runs_on_the_python_that_it_asks_for(
    python: str, typed: Type, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minor = ".".join(python.split(".")[:2])
    if interpreter(minor) is None:
        pytest.skip(f"there is no Python {minor} on this machine")
    shutil.copytree(ARTICLE, tmp_path / "batch")
    (tmp_path / "batch" / "mnist" / "environment" / "conda.yml").write_text(CONDA.format(python=python))
    (tmp_path / "mnist").mkdir()
    for number in range(12):
        (tmp_path / "mnist" / f"{number:02}.png").write_text(str(number))
    monkeypatch.chdir(tmp_path / "batch")
    typed("compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5")
    typed("batch-endpoint create --name mybatchedp")
    typed("batch-deployment create --file nonmlflow-deployment.yml --endpoint-name mybatchedp --set-default")
    job = typed(
        f"batch-endpoint invoke --name mybatchedp --input-path folder:{tmp_path}/mnist --query name -o tsv"
    ).out.strip()
    streamed = typed(f"job stream -n {job}").out
    typed(f"job download -n {job} --download-path {tmp_path}/out")
    rows = (tmp_path / "out" / "predictions.csv").read_text()
    assert rows == "".join(f"{number:02}.png: {100 + number}\n" for number in range(12))
    logs = home / "jobs" / job / "logs" / "sys" / "node" / "0"
    # One of the two workers may have scored everything before the other one was up.
    found = re.search(r"Python (\d+\.\d+\.\d+)", "".join(path.read_text() for path in logs.iterdir()))
    assert found and found[1].startswith(f"{minor}.")
    assert "azureml-core is not installed: what scripts use of it comes with the worker" in streamed
    if python not in (minor, found[1]):
        assert f"Python {python} is not on this machine: {found[1]} is used instead." in streamed
