"""Reads a model folder's MLmodel file: untrusted YAML of MLflow 1 to 3, of bounded size.

Creation, preflight and ``score`` call it. It opens no other file, and asks of the environment's files only whether they
are there.
"""

from pathlib import Path

from batchpoint.entities.from_yaml.document import Document, read_document
from batchpoint.errors import Problem, ValidationFailed
from batchpoint.mlmodel.folder import file_inside
from batchpoint.mlmodel.model import MLMODEL, EnvironmentDocuments, MLModel
from batchpoint.mlmodel.signature import Signature, read_signature

_PYFUNC = "python_function"
_KNOWN = {
    "conda": ("conda.yaml", "conda.yml"),
    "python_env": ("python_env.yaml", "python_env.yml"),
    "requirements": ("requirements.txt",),
}


def read_mlmodel(folder: Path) -> MLModel:
    """What the model in ``folder`` says about itself.

    Raises ValidationFailed, with file and line, where there is no MLmodel file or it cannot be read.
    """
    path = folder / MLMODEL
    if not path.is_file():
        raise ValidationFailed("model", (Problem("", _what_is_there(folder)),), source=str(path))
    document = read_document(path)
    # What is odd elsewhere in the file is no matter of ours.
    if not document.readable:
        raise ValidationFailed("model", tuple(document.problems), source=str(path))
    flavors = document.tree.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise _wrong(path, document, ("flavors",), "it has to name the flavours of the model; save the model again")
    pyfunc = flavors.get(_PYFUNC)
    told = pyfunc if isinstance(pyfunc, dict) else {}
    return MLModel(
        folder=folder,
        flavors=tuple(flavors),
        loader_module=_text(told.get("loader_module")) or "",
        signature=_signature(path, document),
        python_version=_text(told.get("python_version")),
        mlflow_version=_text(document.tree.get("mlflow_version")),
        documents=_documents(folder, told.get("env")),
    )


def _what_is_there(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no file MLmodel: {folder.name} is a file, and an MLflow model is a folder"
    below = sorted(str(found.relative_to(folder).parent) for found in folder.glob("*/MLmodel"))
    if below:
        return f"there is no file MLmodel, but there is one in {below[0]}; name that folder as the model"
    names = sorted(found.name for found in folder.iterdir())
    held = ", ".join(names[:5]) + (" …" if len(names) > 5 else "") if names else "nothing"
    return f"there is no file MLmodel; the folder holds {held}"


def _signature(path: Path, document: Document) -> Signature | None:
    said = document.tree.get("signature")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise _wrong(path, document, ("signature",), "it has to be a block with inputs and outputs")
    try:
        return read_signature(said)
    except ValueError as error:
        key = str(error).partition("[")[0].partition(" ")[0]
        raise _wrong(path, document, ("signature", key), f"{error}; save the model again") from None


def _wrong(path: Path, document: Document, at: tuple[str, ...], message: str) -> ValidationFailed:
    line = next((document.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in document.lines), None)
    return ValidationFailed("model", (Problem(".".join(at), message, line),), source=str(path))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _documents(folder: Path, hint: object) -> EnvironmentDocuments:
    """Any known file serves; what the MLmodel file calls it is looked for first."""
    hints = {"conda": hint, "python_env": None}
    if isinstance(hint, dict):
        hints = {"conda": hint.get("conda"), "python_env": hint.get("virtualenv")}
    hints = {what: name for what, name in hints.items() if str(name).lower().endswith((".yaml", ".yml"))}
    found = {
        what: next((at for name in (hints.get(what), *known) if (at := _found(folder, name))), None)
        for what, known in _KNOWN.items()
    }
    return EnvironmentDocuments(**found)


def _found(folder: Path, name: object) -> Path | None:
    """The file of that name in the folder; a name that leads out of it counts for nothing."""
    return file_inside(folder, name) if isinstance(name, str) and name else None
