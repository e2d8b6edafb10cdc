"""The environment that a model folder asks for, as a conda document that is built like any other.

Creation and ``score`` call it. It reads the folder's files and builds nothing.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from batchpoint.entities.assets import Environment
from batchpoint.entities.from_yaml.document import read_document, typed
from batchpoint.errors import Problem, ValidationFailed
from batchpoint.mlmodel.model import MLModel
from batchpoint.mlmodel.requirements import PipLines, name_of, read_lines

#: Property of an environment that was made from a model: with another model in its deployment it is made anew.
OF_MODEL = "batchpoint.of_model"
_CONDA_NAME = re.compile(r"^(?:[^\s:]+::)?(?P<name>[A-Za-z0-9_.\-]+)(?P<rest>.*)$", re.DOTALL)
#: Before that version there is no mlflow-skinny, and before 3.8 no pyarrow that MLflow of that time bears.
_FIRST_SKINNY = Version("1.13")
_FIRST_ARROW = (3, 8)


@dataclass(frozen=True)
class ModelEnvironment:
    """What a model wants to run in."""

    environment: Environment
    #: Name of the file in the model's folder that said so.
    source: str
    #: Sentences about what was added.
    notes: tuple[str, ...] = ()


@dataclass
class _Wanted:
    """A conda document in the making."""

    source: Path
    channels: list[object] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def names(self) -> set[str]:
        """What is listed, by conda or pip."""
        return {_conda_name(item) for item in self.conda} | {name_of(line) for line in self.pip}

    def document(self) -> dict[str, object]:
        dependencies: list[object] = [*self.conda]
        # Without it conda warns, and so do its users.
        dependencies += [] if "pip" in {_conda_name(item) for item in self.conda} else ["pip"]
        dependencies += [{"pip": self.pip}] if self.pip else []
        return {"name": "mlflow-env", "channels": self.channels or ["conda-forge"], "dependencies": dependencies}


def environment_of(model: MLModel, *, without_script: bool = True) -> ModelEnvironment:
    """The environment of a model, with what scoring needs ``without_script`` where the model does not list it.

    Raises ValidationFailed when the folder has no file that says, or one that cannot be read.
    """
    wanted = _wanted(model)
    if "python" not in wanted.names() and model.python_version:
        wanted.conda.insert(0, f"python={model.python_version}")
        wanted.notes.append(f"Python {model.python_version} is taken, with which the model was saved.")
    if without_script:
        _add_what_scoring_needs(wanted, model)
    environment = Environment(conda_file=wanted.document(), properties={OF_MODEL: "true"})
    return ModelEnvironment(environment, wanted.source.name, tuple(wanted.notes))


def _wanted(model: MLModel) -> _Wanted:
    there = model.documents
    if there.conda:
        return _of_conda(there.conda, model.folder)
    if there.python_env:
        return _of_python_env(there.python_env, model.folder)
    if there.requirements:
        lines = PipLines(model.folder)
        for line in read_lines(there.requirements):
            lines.add(line, there.requirements)
        return _Wanted(there.requirements, pip=lines.limited(), notes=lines.notes)
    message = (
        "the model's folder has none of conda.yaml, python_env.yaml and requirements.txt, so nothing says what the "
        "model runs in; save the model again with one, or give the deployment an environment"
    )
    raise ValidationFailed("model", (Problem("environment", message),), source=str(model.folder))


def _of_conda(path: Path, folder: Path) -> _Wanted:
    tree = _tree(path)
    wanted, lines = _Wanted(path), PipLines(folder)
    wanted.channels = _list(tree, "channels", path)
    for item in _list(tree, "dependencies", path):
        if isinstance(item, str):
            wanted.conda.append(item.strip())
        elif isinstance(item, dict) and set(item) == {"pip"} and isinstance(item["pip"], list | None):
            for line in item["pip"] or []:
                lines.add(str(line), path)
        else:
            raise _wrong(path, "dependencies", f"{item!r} cannot be read; write text, or pip: with a list")
    wanted.pip, wanted.notes = lines.limited(), lines.notes
    return wanted


def _of_python_env(path: Path, folder: Path) -> _Wanted:
    tree = _tree(path)
    wanted, lines = _Wanted(path), PipLines(folder)
    if python := tree.get("python"):
        wanted.conda.append(f"python={python}")
    for key in ("build_dependencies", "dependencies"):
        for line in _list(tree, key, path):
            lines.add(str(line), path)
    # Every environment has it, in the version that its Python brings.
    wanted.pip = [line for line in lines.limited() if name_of(line) != "pip"]
    wanted.notes = lines.notes
    return wanted


def _tree(path: Path) -> dict[str, object]:
    document = read_document(path)
    if document.problems:
        raise ValidationFailed("model", tuple(document.problems), source=str(path))
    # A version such as 3.10 is text and no number.
    return {key: value if key == "python" else typed(value) for key, value in document.tree.items()}


def _list(tree: dict[str, object], key: str, path: Path) -> list[object]:
    found = tree.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _wrong(path, key, "it has to be a list")
    return found


def _wrong(path: Path, key: str, message: str) -> ValidationFailed:
    return ValidationFailed("model", (Problem(key, message),), source=str(path))


def _conda_name(item: str) -> str:
    match = _CONDA_NAME.match(item)
    return canonicalize_name(match["name"]) if match else ""


def _add_what_scoring_needs(wanted: _Wanted, model: MLModel) -> None:
    listed = wanted.names()
    additions = []
    if not {"mlflow", "mlflow-skinny"} & listed:
        additions.append((_skinny(model.mlflow_version), "which loads the model"))
    if "pandas" not in listed:
        additions.append(("pandas", "which models are handed tables in"))
    if "pyarrow" not in listed and _python(wanted, model) >= _FIRST_ARROW:
        additions.append(("pyarrow", "which reads and writes tables"))
    inputs = model.signature.inputs if model.signature else None
    if "pillow" not in listed and (inputs is None or inputs.is_tensor):
        additions.append(("pillow", "which reads images"))
    for requirement, purpose in additions:
        wanted.pip.append(requirement)
        wanted.notes.append(f"{requirement} is added to what {wanted.source.name} lists, {purpose}.")


def _skinny(version: str | None) -> str:
    """The version that the model was saved with or a later one, of which the next major one may read it no more."""
    try:
        saved = Version(version or "")
    except ValueError:
        # Also for a number of thousands of digits.
        return "mlflow-skinny"
    if saved < _FIRST_SKINNY or saved.is_prerelease:
        return "mlflow-skinny"
    return f"mlflow-skinny>={saved.base_version},<{saved.major + 1}"


def _python(wanted: _Wanted, model: MLModel) -> tuple[int, int]:
    """Where nothing is said it is new enough."""
    said = next((item for item in wanted.conda if _conda_name(item) == "python"), model.python_version or "")
    number = re.search(r"(\d{1,9})\.(\d{1,9})", said)
    return (int(number[1]), int(number[2])) if number else _FIRST_ARROW
