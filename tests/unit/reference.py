"""The generator of the reference, imported for the tests, and a folder with every file that its examples name."""

import importlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from batchpoint.entities.from_yaml import load
from batchpoint.entities.noun import Noun
from batchpoint.entities.schemas import text_of
from batchpoint.errors import Problem, ValidationFailed

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "docs"))
json_schemas = importlib.import_module("generating.json_schemas")
keys = importlib.import_module("generating.keys")
yaml_pages = importlib.import_module("generating.yaml_pages")
sys.path.remove(str(ROOT / "docs"))

FILES = {
    "model/weights": "x",
    "heart/MLmodel": "x",
    "code/score.py": "def init(): pass\ndef run(m): return m\n",
    "second/stars.py": "def init(): pass\ndef run(m): return m\n",
    "venv/bin/python": "",
    "conda.yml": "dependencies: [python=3.11]\n",
    "images/0.png": "x",
    "scans/0.png": "x",
}


def files_for_examples(folder: Path) -> Path:
    """``folder``, with everything that examples name."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class _Plain(yaml.SafeLoader):
    """YAML as editors read it: dates are text."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def tree_of(text: str) -> Any:
    return yaml.load(text, Loader=_Plain)


@cache
def checker(schema: str) -> jsonschema.Draft7Validator:
    content = json.loads(text_of(schema))
    jsonschema.Draft7Validator.check_schema(content)
    return jsonschema.Draft7Validator(content)


def refusals(schema: str, text: str) -> list[str]:
    """What the shipped schema finds wrong with a document."""
    return [f"{error.json_path}: {error.message}" for error in checker(schema).iter_errors(tree_of(text))]


def problems(noun: type[Noun], path: Path) -> tuple[Problem, ...]:
    """What the loader finds wrong with a file."""
    try:
        load(noun, path)
    except ValidationFailed as error:
        return error.problems
    return ()


def schema_for(noun: type[Noun], text: str) -> str:
    """The schema that a file of this kind is checked with: the one for its ``type`` where there are several."""
    kinds = [kind for kind in json_schemas.KINDS if kind.noun is noun]
    said = tree_of(text)
    written = str(said.get("type") or noun.model_fields["type"].default) if kinds[0].type else ""
    wanted = {"local": "local_folder"}.get(written.lower(), written.lower())
    return str(next(kind.name for kind in kinds if kind.type == wanted))
