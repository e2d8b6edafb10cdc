"""What holds between keys, and what a value means on this machine: one rule per noun, run before validation.

``build`` calls them with the values under today's keys; a rule reports problems and puts the final value in place.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from batchpoint.entities.assets import Environment, EnvironmentBuild, Model
from batchpoint.entities.data import DataAsset, Input
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.from_yaml import local_files
from batchpoint.entities.from_yaml.changes import KeyPath
from batchpoint.entities.from_yaml.reading import Reading
from batchpoint.entities.from_yaml.sentences import shown
from batchpoint.entities.naming import reference
from batchpoint.entities.noun import Noun
from batchpoint.entities.tables.golden_rows import GoldenRows
from batchpoint.errors import ReferenceInvalid

Values = dict[str, object]
Rule = Callable[[Values, KeyPath, Reading], None]

#: None: the server finds out what it is.
_NEEDS_NO_SCRIPT = ("mlflow_model", None)
_NO_SCRIPT = (
    "this key is required for a model that is no MLflow model; add code_configuration with code: <folder> and"
    " scoring_script: <script>, or name a folder with a file MLmodel as the model"
)


def _text(values: Values, key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _deployment(values: Values, at: KeyPath, reading: Reading) -> None:
    model, environment, compute = (_text(values, key) for key in ("model", "environment", "compute"))
    if model is not None and not reading.is_kept((*at, "model")):
        _model_reference(model, (*at, "model"), reading)
    if environment is not None and not reading.is_kept((*at, "environment")):
        values["environment"] = _environment_text(environment, (*at, "environment"), reading)
    if compute is not None and f"compute={compute.lower()}" not in Deployment.refusals:
        values["compute"] = _compute(compute, (*at, "compute"), reading)
    _note_variables(values, at, reading)
    if reading.is_kept((*at, "output_file_name")) and str(values.get("output_action")).lower() == "summary_only":
        # A deployment always has a name for its file; an update that does away with the file does not mean it.
        values.pop("output_file_name", None)
    inline = values.get("model")
    if values.get("code_configuration") is None and isinstance(inline, Model) and inline.type not in _NEEDS_NO_SCRIPT:
        reading.problem((*at, "code_configuration"), _NO_SCRIPT)


def _note_variables(values: Values, at: KeyPath, reading: Reading) -> None:
    """Today's own client loses variables at the root of a ``type: model`` file; its users should know."""
    variables = values.get("environment_variables")
    if str(values.get("type", "")).lower() != "model" or not isinstance(variables, dict):
        return
    origins = [reading.origin((*at, "environment_variables", name)) for name in variables]
    if any(origin.source == "file" and "settings" not in origin.path for origin in origins):
        reading.note(
            reading.origin((*at, "environment_variables")),
            "read here, but Azure's clients lose it in a file with type: model; settings.environment_variables is safe",
        )


def _model_reference(text: str, at: KeyPath, reading: Reading) -> None:
    if reference.is_reference(text):
        _check_reference(text, "model", at, reading)
        return
    if text.strip().lower().startswith(("models:/", "runs:/")):
        return  # a registry knows whether there is one
    if text.startswith((".", "~", "/", "file:")):
        reading.problem(at, f"a file or folder is named in a block; write model: {{path: {text}}}")
        return
    block = f"path: {text}" if reference.is_local(text) or "://" in text else "path: <file or folder>"
    reading.problem(
        at,
        f"{shown(text)} names no model; write azureml:<name>:<version> for a registered one,"
        " azureml://registries/<registry>/models/<name>/versions/<version> or models:/<name>/<version> for one of a"
        " registry,"
        f" or a block below model: with {block}",
    )


def _environment_text(text: str, at: KeyPath, reading: Reading) -> str:
    if reference.is_reference(text):
        _check_reference(text, "environment", at, reading)
    elif reference.is_local(text) and (text.startswith((".", "~", "file:")) or "/" in text):
        return _interpreter(text, at, reading)
    else:
        reading.problem(
            at,
            f"{shown(text)} names no environment; write azureml:<name>:<version> for a registered one, the path of"
            " an interpreter or environment folder such as ./venv, or a block with image and conda_file",
        )
    return text


def _interpreter(text: str, at: KeyPath, reading: Reading) -> str:
    """An absolute path is the server's; a relative one can only mean this machine, so it is looked for."""
    if text.startswith("/"):
        return text
    return str(local_files.existing(text, at, reading, "interpreter or folder") or text)


def _compute(text: str, at: KeyPath, reading: Reading) -> str:
    _check_reference(text, "compute", at, reading)
    return text if reference.is_reference(text) else f"azureml:{text}"


def _check_reference(text: str, kind: str, at: KeyPath, reading: Reading) -> None:
    try:
        reference.parse(text, kind)
    except ReferenceInvalid as error:
        reading.problem(at, error.message)


def _code(values: Values, at: KeyPath, reading: Reading) -> None:
    code, script = _text(values, "code"), _text(values, "scoring_script")
    if code is None or reading.is_kept((*at, "code")):
        return
    if reference.is_reference(code):
        _check_reference(code, "code", (*at, "code"), reading)
    elif not code.strip():
        reading.problem((*at, "code"), "the code folder has no name; write . for the folder of this file")
    elif reference.is_local(code):
        folder = local_files.existing(code, (*at, "code"), reading, "folder")
        values["code"] = str(folder or code)
        if folder and script:
            local_files.check_script(folder, script, (*at, "scoring_script"), reading)
    if script is not None and not script.strip():
        reading.problem((*at, "scoring_script"), "the script has no name; write its path relative to the code folder")


def _model(values: Values, at: KeyPath, reading: Reading) -> None:
    path = _local(values, at, reading)
    kind = _text(values, "type")
    if path is None or (kind is None and values.get("type") is not None):
        return
    is_mlflow = (path / "MLmodel").is_file()
    if kind is None:
        values["type"] = "mlflow_model" if is_mlflow else "custom_model"
    elif kind.lower() in ("mlflow", "mlflow_model") and not is_mlflow:
        reading.problem((*at, "type"), f"{shown(kind)} needs a folder with a file MLmodel in it; {path} has none")


def _local(
    values: Values, at: KeyPath, reading: Reading, wanted: str = "file or folder", key: str = "path"
) -> Path | None:
    """The local path in ``key``, made absolute; None when it is remote, missing or no text."""
    text, here = _text(values, key), (*at, key)
    if text is None or reading.is_kept(here):
        return None
    if not text.strip():
        reading.problem(here, f"the path is empty; name a {wanted}")
        return None
    if not reference.is_local(text):
        return None
    path = local_files.existing(text, here, reading, wanted)
    values[key] = str(path or text)
    return path


def _golden_rows(values: Values, at: KeyPath, reading: Reading) -> None:
    _local(values, at, reading, key="input")
    _local(values, at, reading, "file", key="expected")


def _build_context(values: Values, at: KeyPath, reading: Reading) -> None:
    _local(values, at, reading, "folder")


def _environment(values: Values, at: KeyPath, reading: Reading) -> None:
    python = _text(values, "python")
    if python is not None and not reading.is_kept((*at, "python")):
        values["python"] = _interpreter(python, (*at, "python"), reading)
    given = [key for key in ("image", "build", "conda_file") if values.get(key) is not None]
    if python is not None and given:
        reading.problem(
            (*at, "python"),
            f"python names an interpreter as it is, and {' and '.join(given)} would build one; keep one of them",
        )
    elif "image" in given and "build" in given:
        reading.problem((*at, "build"), "image and build stand both here; keep one of them")
    elif python is None and not {"image", "build"} & set(given):
        reading.problem(
            at,
            "an environment needs image or build; write image: <name>, with conda_file: conda.yml beside it,"
            " or python: <interpreter or environment folder> for one that exists",
        )
    _conda(values, (*at, "conda_file"), reading)


def _conda(values: Values, at: KeyPath, reading: Reading) -> None:
    conda = values.get("conda_file")
    if isinstance(conda, str):
        if reference.is_local(conda):
            values["conda_file"] = local_files.conda_file(conda, at, reading)
        else:
            reading.problem(at, f"{shown(conda)} is no local file; download it and name the file")
            values["conda_file"] = None
    elif isinstance(conda, dict) and not reading.is_kept(at):
        wrong = local_files.conda_problem(conda)
        if wrong:
            reading.problem(at, wrong)


def _data(values: Values, at: KeyPath, reading: Reading) -> None:
    """A data asset or a job's input: ``folder:`` and ``file:`` in front decide the type, else the disk does."""
    text, marked = _text(values, "path"), None
    if text is not None:
        marker, colon, rest = text.partition(":")
        if colon and marker.lower() == "file" and rest.startswith("///"):
            # A URL says nothing of what is there.
            values["path"] = unquote(rest[2:], errors="surrogateescape")
        elif colon and marker.lower() in ("folder", "file"):
            marked = f"uri_{marker.lower()}"
            values["path"] = rest.removeprefix("//") if rest.startswith("///") else rest
    path = _local(values, at, reading)
    kind = _text(values, "type") or marked
    if path is not None:
        found = "uri_folder" if path.is_dir() else "uri_file"
        if kind is not None and kind.lower() in ("uri_file", "uri_folder") and kind.lower() != found:
            is_a = "folder" if path.is_dir() else "file"
            reading.problem((*at, "path"), f"{path} is a {is_a}, but the type is {kind}; write type: {found}")
        kind = kind or found
    if kind is not None and (values.get("type") is None or _text(values, "type") is not None):
        values["type"] = kind


def _input(values: Values, at: KeyPath, reading: Reading) -> None:
    text = _text(values, "path") or ""
    is_marked = text.lower().startswith(("folder:", "file:"))
    # name:version and name@label are asset references here too, unless a file is called so.
    if not is_marked and ("@" in text or ":" in text) and not local_files.is_there(text, (*at, "path"), reading):
        return
    _data(values, at, reading)


def _datastore(values: Values, at: KeyPath, reading: Reading) -> None:
    text = _text(values, "path")
    if text and not reading.is_kept((*at, "path")):
        values["path"] = str(local_files.resolved(text, (*at, "path"), reading))


RULES: dict[type[Noun], Rule] = {
    Deployment: _deployment,
    CodeConfiguration: _code,
    Model: _model,
    Environment: _environment,
    EnvironmentBuild: _build_context,
    GoldenRows: _golden_rows,
    DataAsset: _data,
    Input: _input,
    Datastore: _datastore,
}
