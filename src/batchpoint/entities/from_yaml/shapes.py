"""Older shapes that move values, not only keys: 2021's ``paths`` and ``traffic``, and the maps of an invocation.

Each function yields (key of the noun, value, steps below the written key); it raises NotSupported with a sentence.
"""

from collections.abc import Callable, Iterator

from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.noun import Noun
from batchpoint.errors import NotSupported

Moves = Iterator[tuple[str, object, tuple[str | int, ...]]]
Shape = Callable[[object], Moves]

_DATA_TYPES = ("uri_file", "uri_folder")


def _paths(value: object) -> Moves:
    """``paths: [{folder: uri}]`` of the 2021 dataset."""
    one = value[0] if isinstance(value, list) and len(value) == 1 else None
    if not isinstance(one, dict) or len(one) != 1 or next(iter(one)) not in ("file", "folder"):
        raise NotSupported("write exactly one entry, - folder: <folder or URI> or - file: <file or URI>; or use path")
    kind, path = next(iter(one.items()))
    yield "path", path, (0, kind)
    yield "type", f"uri_{kind}", (0, kind)


def _traffic(value: object) -> Moves:
    """``traffic: {name: 100}`` of the first preview."""
    if not isinstance(value, dict) or len(value) != 1 or str(next(iter(value.values()))) != "100":
        raise NotSupported("a batch endpoint sends every job to one deployment; write defaults: {deployment_name: …}")
    yield "defaults.deployment_name", next(iter(value)), ()


def _inputs(value: object) -> Moves:
    """``inputs: {any name: {type, path}}``, or a reference in place of the block."""
    name, one = _only(value, "input")
    if not isinstance(one, dict):
        if not isinstance(one, str) or not one.strip():
            raise NotSupported("a model deployment takes data, not a literal; write path: and type: below the name")
        yield "input", {"path": one}, (name,)
        return
    kind = one.get("type")
    if kind is not None and str(kind).lower() not in _DATA_TYPES:
        raise NotSupported(f'type "{kind}" is not offered as input of a model deployment; use uri_file or uri_folder')
    # Modes, defaults and limits mean nothing to a model deployment.
    yield (
        "input",
        {key: one[key] for key in ("path", "type", "include", "exclude") if one.get(key) is not None},
        (name,),
    )


def _outputs(value: object) -> Moves:
    """``outputs: {any name: {type, path}}``."""
    name, one = _only(value, "output")
    path = one.get("path") if isinstance(one, dict) else one
    if not isinstance(path, str) or not path.strip():
        raise NotSupported("the output needs a place; write path: azureml://datastores/<datastore>/paths/<folder>")
    if isinstance(one, dict) and str(one.get("type", "")).lower() == "uri_file":
        folder, slash, file = path.rpartition("/")
        if slash and file:
            yield "output_path", folder + "/", (name, "path")
            yield "output_file_name", file, (name, "path")
            return
    yield "output_path", path, (name, "path") if isinstance(one, dict) else (name,)


def _output_dataset(value: object) -> Moves:
    """``output_dataset: {datastore_id, path}`` of 2021's ``--set``."""
    parts = value if isinstance(value, dict) else {}
    is_plain = not any(isinstance(one, dict | list) for one in parts.values())
    if not parts or not is_plain or set(parts) - {"datastore_id", "path"}:
        raise NotSupported("write output_dataset.datastore_id and output_dataset.path, or --output-path")
    store = str(parts.get("datastore_id") or "azureml:workspaceblobstore").rstrip("/").rpartition("/")[2]
    path = str(parts.get("path") or "").strip("/")
    yield "output_path", f"azureml://datastores/{store.removeprefix('azureml:')}/paths/{path}", ()


def _only(value: object, what: str) -> tuple[str, object]:
    if not isinstance(value, dict) or len(value) != 1:
        raise NotSupported(f"a model deployment has exactly one {what}; write one name with path and type below it")
    return next(iter(value.items()))


#: Noun and written key → the noun's key that it gives in the first place, and how.
SHAPES: dict[tuple[type[Noun], str], tuple[str, Shape]] = {
    (DataAsset, "paths"): ("path", _paths),
    (Endpoint, "traffic"): ("defaults", _traffic),
    (Invocation, "inputs"): ("input", _inputs),
    (Invocation, "outputs"): ("output_path", _outputs),
    (Invocation, "output_dataset"): ("output_path", _output_dataset),
}

#: Those of ``SHAPES`` that nobody writes today.
DATED_SHAPES: frozenset[tuple[type[Noun], str]] = frozenset({(DataAsset, "paths"), (Endpoint, "traffic")})
