"""MLflow models deployed without a script: four lines of YAML, the environment that the model asks for, and what a
model that cannot do so is told.
"""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.acceptance.command_line import Az

FLAVOURS = next(iter(sorted(Path(__file__).parents[2].glob(".cache/flavours-*/bin/python"))), None)
needs_flavours = pytest.mark.skipif(FLAVOURS is None, reason="make flavours installs MLflow's flavours")

#: As it was written in 2021.
FOUR_LINES = """\
name: mlflowdp
endpoint_name: hearts
model: {name: heart, version: 1, local_path: ./heart}
compute: azureml:cluster
"""
INLINE = "{name: heart, version: 1, local_path: ./heart}"
MLMODEL = """\
flavors:
  python_function:
    loader_module: doubling
    code: code
    data: data
    env: {conda: nowhere.yaml, virtualenv: python_env.yaml}
    python_version: 3.11.7
mlflow_version: 2.9.2
signature:
  inputs: '[{"name": "x", "type": "long"}]'
  outputs: '[{"name": "twice", "type": "long"}]'
"""
DOUBLING = """\
class Doubling:
    def predict(self, table):
        return table.assign(twice=table.x * 2)[["twice"]]

def _load_pyfunc(path):
    return Doubling()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of scikit-learn and XGBoost, files for it, and what it predicts for them."""
    folder = tmp_path_factory.mktemp("heart")
    subprocess.run([str(FLAVOURS), str(Path(__file__).with_name("heart_model.py")), str(folder)], check=True)
    return folder


@pytest.fixture
def hearts(az: Az) -> Az:
    """A compute of two instances, an endpoint, and a folder ``heart`` with a small model written by hand."""
    model = Path("heart")
    (model / "code").mkdir(parents=True)
    (model / "data").mkdir()
    (model / "data" / "nothing").touch()
    (model / "MLmodel").write_text(MLMODEL)
    (model / "code" / "doubling.py").write_text(DOUBLING)
    (model / "python_env.yaml").write_text(
        "python: '3.11'\nbuild_dependencies: [pip, setuptools<81]\ndependencies: [-r requirements.txt]\n"
    )
    (model / "requirements.txt").write_text(
        "# what it was trained with\nmlflow-skinny>=3,<4 \\\n  ; python_version>'3'\n"
    )
    Path("mlflow.yml").write_text(FOUR_LINES)
    az("compute create -n cluster --type amlcompute --min-instances 0 --max-instances 2 -o none")
    az("batch-endpoint create -n hearts -o none")
    return az


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines()))


def scored(az: Az, flags: str) -> str:
    """The name of a job that has completed."""
    return az(f"batch-endpoint invoke -n hearts {flags} --wait --query name -o tsv").out.strip()


def gathered(az: Az, job: str) -> str:
    az(f"job download -n {job} --output-name score --download-path out")
    return next(Path("out").rglob("predictions.*")).read_text()


@needs_flavours
def test_four_lines_deploy_a_pipeline_whose_rows_are_its_own_predictions(hearts: Az, trained: Path) -> None:
    shutil.rmtree("heart")
    shutil.copytree(trained / "model", "heart")
    hearts(
        "batch-deployment create -f mlflow.yml --set-default -o none --set mini_batch_size=2 resources.instance_count=2"
        f" max_concurrency_per_instance=2 environment={FLAVOURS}"
    )
    job = scored(hearts, f"--input {trained / 'data'}")
    found: dict[str, list[int]] = {}
    for row, prediction, name in rows_of(gathered(hearts, job)):
        assert int(row) == len(found.setdefault(name, []))
        found[name].append(int(prediction))
    assert found == json.loads((trained / "direct.json").read_text())
    shown = hearts(f"job show -n {job}").json["properties"]
    assert shown["batchpoint.mini_batches"] == "2"
    assert shown["batchpoint.items_succeeded"] == "4"


def test_the_models_own_environment_is_built_and_scores(hearts: Az) -> None:
    created = hearts(
        "batch-deployment create -f mlflow.yml --set-default --set prediction_columns=signature"
        " 'passthrough_columns=[\"x\"]'"
    )
    generated = created.json["generated"]
    assert generated["conda_file"]["dependencies"][0] == "python=3.11"
    pip = generated["conda_file"]["dependencies"][-1]["pip"]
    assert pip == ["setuptools<81", "mlflow-skinny>=3,<4 ; python_version>'3'", "pandas", "pyarrow"]
    assert [note.split()[0] for note in generated["notes"]] == ["pandas", "pyarrow"]
    assert "pandas is added to what python_env.yaml lists" in created.err
    Path("data/a.csv").write_text("x,y\n1,a\n-5,b\n")
    job = scored(hearts, "--input data/a.csv --set output_format=csv")
    assert gathered(hearts, job).splitlines() == ["x,row,twice,file_name", "1,0,2,a.csv", "-5,1,-10,a.csv"]


def test_what_is_shown_is_a_script_that_deploys_and_a_file_that_deploys_again(hearts: Az) -> None:
    hearts("batch-deployment create -f mlflow.yml --set-default -o none")
    shown = hearts("batch-deployment show -n mlflowdp -e hearts").json
    Path("again.yml").write_text(yaml.safe_dump(shown))
    again = hearts("batch-deployment create -f again.yml").json
    assert {**again, "creation_context": None} == {**shown, "creation_context": None}
    Path("code/mine.py").write_text(shown["generated"]["scoring_script"])
    Path("mine.yml").write_text(
        f"{FOUR_LINES.replace('mlflowdp', 'mine')}code_configuration: {{code: code, scoring_script: mine.py}}\n"
    )
    mine = hearts("batch-deployment create -f mine.yml").json
    assert "generated" not in mine
    conda = hearts(
        f"environment show -n {mine['environment'].split('/')[-3]} -v {mine['environment'].split('/')[-1]}"
    ).json
    assert (
        conda["conda_file"]["dependencies"][-1]["pip"]
        == shown["generated"]["conda_file"]["dependencies"][-1]["pip"][:2]
    )


def test_another_model_brings_its_own_environment(hearts: Az) -> None:
    before = hearts("batch-deployment create -f mlflow.yml").json
    Path("heart/requirements.txt").write_text("mlflow-skinny==3.4.0\n")
    changed = hearts(
        'batch-deployment update -n mlflowdp -e hearts --set \'model={"name":"heart","version":"2","path":"./heart"}\''
    ).json
    assert changed["environment"] != before["environment"]
    assert "mlflow-skinny==3.4.0" in changed["generated"]["conda_file"]["dependencies"][-1]["pip"]
    named = hearts("batch-deployment update -n mlflowdp -e hearts --set environment=/usr/bin/python3").json
    assert "conda_file" not in named["generated"]


@pytest.mark.parametrize(
    ("swap", "told"),
    [
        ({"MLmodel": "flavors: {sklearn: {x: 1}, onnx: {}}\n"}, ["no flavour python_function", "sklearn, onnx"]),
        ({"MLmodel": "a: [\n"}, ["heart/MLmodel line 2", "not YAML"]),
        ({"MLmodel": "name: x\n"}, ["heart/MLmodel", "flavors", "save the model again"]),
        (
            {"MLmodel": MLMODEL.replace('"long"}]', '"lang"}]', 1)},
            ["heart/MLmodel line 10", "signature.inputs", "inputs[0] has the type 'lang'"],
        ),
        (
            {"python_env.yaml": None, "requirements.txt": None},
            ["none of conda.yaml", "give the deployment an environment"],
        ),
        ({"requirements.txt": "-r ../../x\n"}, ["heart/requirements.txt", "'-r ../../x'", "not in the model's folder"]),
        ({"python_env.yaml": "python: [3.11\n"}, ["heart/python_env.yaml line 2", "not YAML"]),
    ],
)
def test_a_model_that_cannot_score_by_itself_is_refused_with_what_was_found(
    hearts: Az, swap: dict[str, str | None], told: list[str]
) -> None:
    for name, text in swap.items():
        path = Path("heart") / name
        path.unlink() if text is None else path.write_text(text)
    answer = hearts("batch-deployment create -f mlflow.yml", code=1)
    for words in told:
        assert words in answer.err


def test_a_folder_without_an_mlmodel_file_is_no_mlflow_model_whatever_its_type_says(hearts: Az) -> None:
    Path("heart/MLmodel").rename("heart/code/MLmodel")
    answer = hearts("batch-deployment create -f mlflow.yml", code=1)
    assert "code_configuration: this key is required for a model that is no MLflow model" in answer.err
    hearts("model create -n told -v 1 -p heart -o none")
    Path("mlflow.yml").write_text(FOUR_LINES.replace(INLINE, "azureml:told:1"))
    assert "told:1 is a custom_model" in hearts("batch-deployment create -f mlflow.yml", code=1).err
    found = hearts("model show -n told -v 1").json
    body = json.dumps({"properties": {"modelUri": found["path"], "modelType": "mlflow_model"}})
    url = found["id"].removeprefix("azureml:").replace("/told/", "/said/")
    hearts(f"rest --method put --url {url}?api-version=2023-10-01 --body '{body}'")
    Path("mlflow.yml").write_text(FOUR_LINES.replace(INLINE, "azureml:said:1"))
    answer = hearts("batch-deployment create -f mlflow.yml", code=1)
    assert "heart/MLmodel: there is no file MLmodel, but there is one in code; name that folder" in answer.err


def test_a_custom_model_needs_a_script_although_it_has_an_mlmodel_file(hearts: Az) -> None:
    hearts("model create -n heart -v 1 -p heart --type custom_model -o none")
    Path("mlflow.yml").write_text(FOUR_LINES.replace(INLINE, "azureml:heart:1"))
    answer = hearts("batch-deployment create -f mlflow.yml", code=1)
    assert "heart:1 is a custom_model" in answer.err
    assert "type: mlflow_model" in answer.err


def test_what_only_scripts_or_only_models_have_is_refused_for_the_other(hearts: Az) -> None:
    summary = hearts("batch-deployment create -f mlflow.yml --set output_action=summary_only", code=1)
    assert "without a script nothing writes an output" in summary.err
    script = hearts(
        "batch-deployment create -f deployment.yml --set 'passthrough_columns=[\"a\"]' endpoint_name=hearts", code=1
    )
    assert "passthrough_columns: is for an MLflow model without a script" in script.err


def test_a_model_without_a_signature_is_taken_with_a_note(hearts: Az) -> None:
    Path("heart/MLmodel").write_text(MLMODEL.partition("signature")[0])
    created = hearts("batch-deployment create -f mlflow.yml")
    assert "The model has no signature" in created.err
    assert "pillow" in created.json["generated"]["conda_file"]["dependencies"][-1]["pip"]


@needs_flavours
def test_score_needs_no_script_for_a_model_and_no_endpoint(hearts: Az) -> None:
    Path("data/a.csv").write_text("x,y\n1,a\n-5,b\n")
    hearts(
        f"score --model heart --input data/a.csv --out scored --python {FLAVOURS} --workers 1 --output-format jsonl"
        " --passthrough-columns y --prediction-columns signature"
    )
    found = [json.loads(line) for line in Path("scored/predictions.jsonl").read_text().splitlines()]
    assert found == [
        {"y": "a", "row": 0, "twice": 2, "file_name": "a.csv"},
        {"y": "b", "row": 1, "twice": -10, "file_name": "a.csv"},
    ]
    Path("heart/MLmodel").write_text("flavors: {sklearn: {}}")
    assert "its flavours: sklearn" in hearts("score --model heart --input data --out scored", code=1).err
    assert "--code or --model is needed" in hearts("score --input data --out scored", code=2).err
