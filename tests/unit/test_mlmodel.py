"""What a model folder says about itself: MLmodel files of MLflow 1 to 3, and the environments that they come to."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from batchpoint.environments.spec import read_spec
from batchpoint.errors import ValidationFailed
from batchpoint.mlmodel import read_mlmodel
from batchpoint.mlmodel.environment import OF_MODEL, ModelEnvironment, environment_of
from batchpoint.mlmodel.registry import without_credentials
from batchpoint.mlmodel.script import script_of
from batchpoint.mlmodel.signature import Column, ColumnType, Param, Schema, Signature, Tensor, read_signature

#: As MLflow 1.8 wrote it.
OF_2020 = """\
artifact_path: model
flavors:
  python_function:
    data: model.pkl
    env: conda.yaml
    loader_module: mlflow.sklearn
    python_version: 3.6.9
  sklearn:
    pickled_model: model.pkl
    sklearn_version: 0.22.2.post1
run_id: 6e9a3a4b
utc_time_created: '2020-05-04 10:00:00.000000'
"""
DOUBLE, LONG = ColumnType("double"), ColumnType("long")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "taxi").mkdir()
    return tmp_path / "taxi"


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def asked(folder: Path, **files: str) -> ModelEnvironment:
    return environment_of(read_mlmodel(written(folder, **files)))


def pip_of(found: ModelEnvironment) -> list[str]:
    assert found.environment.conda_file is not None
    listed = found.environment.conda_file["dependencies"][-1]["pip"]
    assert isinstance(listed, list)
    return listed


def problems(folder: Path) -> str:
    with pytest.raises(ValidationFailed) as raised:
        read_mlmodel(folder)
    return raised.value.message


def test_a_file_of_2020_is_read(folder: Path) -> None:
    found = read_mlmodel(written(folder, MLmodel=OF_2020, conda__yaml="dependencies: []"))
    assert (found.flavors, found.is_pyfunc) == (("python_function", "sklearn"), True)
    assert (found.signature, found.python_version, found.mlflow_version) == (None, "3.6.9", None)
    assert found.documents.conda == folder / "conda.yaml"


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("nested.yaml", "env: nested.yaml", "conda"),
        ("conda.yml", "env: {conda: gone.yaml}", "conda"),
        ("venv.yaml", "env: {virtualenv: venv.yaml, conda: 7}", "python_env"),
        ("requirements.txt", "env: ../../etc/passwd", "requirements"),
        ("requirements.txt", "env: [1]", "requirements"),
        ("requirements.txt", "env: requirements.txt", "requirements"),
    ],
)
def test_what_the_file_calls_an_environment_is_a_hint(folder: Path, name: str, text: str, kept: str) -> None:
    (folder / name).write_text("x")
    found = read_mlmodel(written(folder, MLmodel=f"flavors: {{python_function: {{{text}}}}}"))
    assert {key for key in ("conda", "python_env", "requirements") if getattr(found.documents, key)} == {kept}


def test_columns_arrays_objects_maps_and_parameters_are_read() -> None:
    inputs = [
        {"name": "a", "type": "double"},
        {"name": "b", "type": "long", "optional": True},
        {"name": "c", "type": "array", "items": {"type": "array", "items": "long"}, "required": False},
        {
            "name": "d",
            "type": "object",
            "properties": {"x": {"type": "double"}, "y": {"type": "any", "required": False}},
        },
        {"name": "e", "type": "map", "values": {"type": "long"}},
        {"name": "f", "type": "sparkml vector"},
    ]
    params = [
        {"name": "t", "type": "double", "default": 0.5, "shape": None},
        {"name": "old", "dtype": "long", "default": [1], "shape": [-1]},
    ]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]
    said: dict[str, Any] = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": json.dumps(params)}
    nested = ColumnType("array", ColumnType("array", LONG))
    parts = (Column("x", DOUBLE), Column("y", ColumnType("any"), required=False))
    assert read_signature(said) == Signature(
        Schema(
            columns=(
                Column("a", DOUBLE),
                Column("b", LONG, required=False),
                Column("c", nested, required=False),
                Column("d", ColumnType("object", properties=parts)),
                Column("e", ColumnType("map", LONG)),
                Column("f", ColumnType("array", DOUBLE)),
            )
        ),
        Schema(tensors=(Tensor(None, "float32", (-1, 3)),)),
        (Param("t", DOUBLE, 0.5), Param("old", LONG, [1], (-1,))),
    )
    assert str(nested) == "array(array(long))"
    assert read_signature({"inputs": None, "outputs": "[]"}) is None


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ("[", "inputs is no JSON: Expecting value at character 2"),
        ("{}", "inputs is no list"),
        ("[7]", "inputs[0] is no block"),
        ('[{"type": "tensor", "tensor-spec": {"shape": ["x"]}}]', "inputs[0].tensor-spec.shape is no list of whole"),
        ('[{"type": "long"}, {"type": "tensor"}]', "inputs mixes tensors with columns"),
        ('[{"type": "array"}]', "inputs[0].items is no block"),
        ("[" * 100_000, "inputs is no JSON: it is nested too deeply"),
        (json.dumps([json.loads('{"type":"array","items":' * 60 + '{"type":"long"}' + "}" * 60)]), "nested too deeply"),
    ],
)
def test_a_signature_that_cannot_be_read_is_told_by_its_place(inputs: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        read_signature({"inputs": inputs})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flavors: {python_function: !!python/object/apply:os.system [exit]}\nflavors: 7", None),
        ("flavors:\n  - sklearn\n", "line 1: flavors: it has to name the flavours"),
        ("x: &a [*a]\nflavors: {}", "contains itself"),
        ("x: 1\n" * 2 + "\tflavors: 1", "line 3"),
        ("a: " + "9" * (1 << 20), "larger than 1 MiB"),
        ("flavors: {python_function: {}}\nsignature: text\n", "line 2: signature: it has to be a block"),
        ("flavors: {python_function: {}}\nsignature:\n  outputs: '['\n", "line 3: signature.outputs"),
    ],
)
def test_an_mlmodel_file_that_cannot_be_read_is_told_by_file_and_line(
    folder: Path, text: str, told: str | None
) -> None:
    written(folder, MLmodel=text)
    if told is None:
        # A tag runs nothing; the rest counts.
        assert read_mlmodel(folder).flavors == ("python_function",)
    else:
        assert told in problems(folder)
        assert str(folder / "MLmodel") in problems(folder)


def test_a_folder_without_the_file_is_told_with_what_it_holds(folder: Path) -> None:
    assert "the folder holds nothing" in problems(folder)
    for number in range(7):
        (folder / f"{number}.bin").touch()
    assert "the folder holds 0.bin, 1.bin, 2.bin, 3.bin, 4.bin …" in problems(folder)
    (folder / "inner").mkdir()
    (folder / "inner" / "MLmodel").touch()
    assert "there is one in inner; name that folder" in problems(folder)
    assert "taxi.pkl is a file" in problems(folder.with_name("taxi.pkl"))


def test_what_is_not_listed_is_added_with_a_note(folder: Path) -> None:
    found = asked(
        folder,
        MLmodel=OF_2020,
        conda__yaml="channels: [defaults]\ndependencies:\n- python=3.6.9\n- scikit-learn=0.22.2.post1\n- pip:\n"
        "  - cloudpickle==1.4.0\n",
    )
    assert found.environment.conda_file == {
        "name": "mlflow-env",
        "channels": ["defaults"],
        "dependencies": [
            "python=3.6.9",
            "scikit-learn=0.22.2.post1",
            "pip",
            {"pip": ["cloudpickle==1.4.0", "mlflow-skinny", "pandas", "pillow"]},
        ],
    }
    assert [note.split(" is added")[0] for note in found.notes] == ["mlflow-skinny", "pandas", "pillow"]
    assert (found.source, OF_MODEL in found.environment.properties) == ("conda.yaml", True)


@pytest.mark.parametrize(
    ("listed", "added"),
    [
        ("mlflow==2.9.2\npandas\npyarrow\nPillow", []),
        ("MLflow[gateway]\npandas<3", ["pyarrow"]),
        ("mlflow_skinny>=2\nPandas", ["pyarrow"]),
        ("scikit-learn", ["mlflow-skinny>=2.9.2,<3", "pandas", "pyarrow"]),
    ],
)
def test_what_is_listed_in_any_spelling_is_not_added(folder: Path, listed: str, added: list[str]) -> None:
    mlmodel = "flavors: {python_function: {python_version: 3.10.4}}\nmlflow_version: 2.9.2\n"
    mlmodel += 'signature: {inputs: \'[{"type": "long"}]\'}\n'
    found = asked(folder, MLmodel=mlmodel, requirements__txt=listed)
    assert pip_of(found) == [*listed.splitlines(), *added]
    assert found.environment.conda_file is not None
    assert found.environment.conda_file["dependencies"][0] == "python=3.10.4"
    assert "Python 3.10.4 is taken" in found.notes[0]
    assert read_spec(found.environment).python_version == "3.10"


def test_a_wheel_in_the_folder_is_asked_for_by_name(folder: Path) -> None:
    listed = "mlflow\nwheels/my_lib-1.2.0-py3-none-any.whl\nhttps://host/other-1-py3-none-any.whl\nodd.whl\n"
    found = asked(folder, MLmodel="flavors: {python_function: {}}", requirements__txt=listed)
    assert pip_of(found)[1:4] == ["my-lib==1.2.0", "https://host/other-1-py3-none-any.whl", "odd.whl"]
    assert "wheels/my_lib-1.2.0-py3-none-any.whl of the model's folder is installed as my-lib==1.2.0" in found.notes[0]


def test_a_tensor_signature_wants_pillow(folder: Path) -> None:
    spec = '[{"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, 8, 8]}}]'
    mlmodel = f"flavors: {{python_function: {{}}}}\nsignature: {{inputs: '{spec}'}}\n"
    assert "pillow" in pip_of(asked(folder, MLmodel=mlmodel, requirements__txt="mlflow\n"))


def test_a_python_env_is_a_conda_document_too(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "inner.txt").write_text("scipy\n")
    found = asked(
        folder,
        MLmodel="flavors: {python_function: {}}",
        python_env__yaml="python: 3.10\nbuild_dependencies: [pip, setuptools==65]\ndependencies: [-r requirements.txt]",
        requirements__txt="mlflow==2.9.2 \\\n  --hash=sha256:00 \n-c constraints.txt\n# a comment\nnumpy  # and one\n"
        "-r more/inner.txt\n\n",
        constraints__txt="numpy<2\nnothing-else==1\nnot a line\n",
    )
    assert found.environment.conda_file is not None
    assert found.environment.conda_file["dependencies"][0] == "python=3.10"
    assert pip_of(found)[:4] == ["setuptools==65", "mlflow==2.9.2", "numpy<2", "scipy"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "none of conda.yaml, python_env.yaml and requirements.txt"),
        ({"requirements__txt": "-r /etc/hosts\n"}, "names a file that is not in the model's folder"),
        ({"requirements__txt": "-r requirements.txt\n"}, "leads through more than 8 files"),
        ({"requirements__txt": "-c gone.txt\n"}, "names a file that is not in the model's folder"),
        ({"conda__yaml": "dependencies: text"}, "dependencies: it has to be a list"),
        ({"conda__yaml": "dependencies: [{pip: 7}]"}, "write text, or pip: with a list"),
        ({"conda__yaml": "dependencies: [\n"}, "line 2"),
        ({"python_env__yaml": "[]"}, "the file is a list"),
    ],
)
def test_an_environment_that_cannot_be_read_is_told_by_its_file(folder: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationFailed) as raised:
        asked(folder, MLmodel="flavors: {python_function: {}}", **files)
    assert told in raised.value.message
    assert next(iter(files), "taxi").replace("__", ".") in raised.value.message


def test_the_script_that_is_shown_is_python_whatever_the_names_are() -> None:
    name = 'he """ said "\'\\n\u00e9'
    text = script_of(name, ["a b", '"'], "signature")
    spaces: dict[str, Any] = {}
    exec(compile(text, "shown", "exec"), spaces)
    assert spaces["init"].__code__.co_consts.count(name) == 1
    assert "names_by_signature = True" in text


def test_credentials_of_a_tracking_server_are_not_repeated() -> None:
    assert without_credentials("at https://me:secret@host/x failed") == "at https://host/x failed"
