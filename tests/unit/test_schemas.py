"""The shipped JSON Schemas and the loader say the same of a file, as far as a schema can know."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.noun import Noun
from batchpoint.entities.schemas import names, text_of
from tests.unit.reference import (
    ROOT,
    files_for_examples,
    json_schemas,
    problems,
    refusals,
    schema_for,
    tree_of,
)

YAML = Path(__file__).parent / "yaml"
ARTICLE = ROOT / "tests/acceptance/article/endpoints/batch"
DIGITS = ROOT / "examples/digits"
GOOD = """\
name: dep-one
endpoint_name: myep
model: {path: model}
code_configuration: {code: code, scoring_script: score.py}
environment: azureml:env:1
compute: azureml:pool
"""

#: Files of the repository with the schema that they are written for.
FILES = [
    *((path, "batchDeployment") for path in sorted(YAML.glob("deployment-*.yml"))),
    *((path, "modelBatchDeployment") for path in sorted(YAML.glob("deployment-*.yml"))),
    *((path, "batchDeployment") for path in sorted(ARTICLE.glob("*deployment*.yml"))),
    *((path, "batchEndpoint") for path in sorted(ARTICLE.glob("endpoint*.yml"))),
    (DIGITS / "deployment.yml", "batchDeployment"),
    (DIGITS / "endpoint.yml", "batchEndpoint"),
]

#: One wrong thing each, which a schema can see: the noun, the document, and the schema's key.
WRONG: list[tuple[type[Noun], str]] = [
    (Endpoint, "name: digits\nauthmode: aad_token\n"),
    (Endpoint, "description: nameless\n"),
    (Endpoint, "name:\n"),
    (Endpoint, "name: d\n"),
    (Endpoint, "name: 5digits\n"),
    (Endpoint, "name: digits\nauth_mode: key\n"),
    (Endpoint, "name: digits\nauth_mode: amlToken\n"),
    (Endpoint, "name: digits\ntype: online\n"),
    (Endpoint, "name: digits\ntags: [a]\n"),
    (Endpoint, "name: digits\ntags: {a: ''}\n"),
    (Endpoint, "name: digits\ntags: {a: }\n"),
    (Endpoint, "name: digits\ndefaults: {deployment: svc}\n"),
    (Endpoint, "name: digits\ndefaults: svc\n"),
    (Endpoint, "name: digits\ndeployments: [{name: svc}]\n"),
    (Endpoint, "name: digits\ntraffic: {svc: 50, other: 50}\n"),
    (Endpoint, "name: digits\ntraffic:\n"),
    (Model, "name: m\n"),
    (Model, "name: m\npath: model\ntype: openai\n"),
    (Model, "name: m\npath: ''\n"),
    (Model, "name: m\npath: [model]\n"),
    (Model, "name: m\npath: model\ntype: []\n"),
    (Model, "name: m\npath: model\nformat: custom\n"),
    (Model, "name: m\npath: model\nversion: a b\n"),
    (Environment, "name: e\n"),
    (Environment, "name: e\nimage: x\nbuild: {path: code}\n"),
    (Environment, "name: e\nimage: x\npython: ./venv\n"),
    (Environment, "name: e\nconda_file: conda.yml\n"),
    (Environment, "name: e\nimage: x\nconda_file: {name: x}\n"),
    (Environment, "name: e\nimage: x\nconda_file: {dependencies: a}\n"),
    (Environment, "name: e\nimage: x\nconda_file: {dependencies: [], pip: []}\n"),
    (Environment, "name: e\nimage: x\ndependencies: []\n"),
    (Environment, "name: e\nimage: x\nos_type: macos\n"),
    (Environment, "name: e\nbuild: {dockerfile_path: Dockerfile}\n"),
    (DataAsset, "name: d\npath: azureml://datastores/d/paths/p\ntype: mltable\n"),
    (DataAsset, "name: d\npath: images\ntype: {}\n"),
    (DataAsset, "name: d\n"),
    (DataAsset, "name: d\npaths: [{folder: a}, {folder: b}]\n"),
    (DataAsset, "name: d\npaths: [{path: images}]\n"),
    (DataAsset, "name: d\npaths: images\n"),
    (Datastore, "name: d\ntype: azure_blob\naccount_name: a\n"),
    (Datastore, "name: d\ntype: s3\nbucket: b\ncontainer_name: c\n"),
    (Datastore, "name: d\ntype: azure_blob\naccount_name: a\ncontainer_name: c\ncredentials: {password: x}\n"),
    (Datastore, "name: d\ntype: azure_blob\naccount_name: a\ncontainer_name: c\nprotocol: ftp\n"),
    (Compute, "name: c\nmin_instances: -1\n"),
    (Compute, "name: c\nmax_instances: many\n"),
    (Compute, "name: c\ntier: spot\n"),
    (Compute, "name: c\nenable_node_public_ip: perhaps\n"),
    (Compute, "name: c\nssh_settings: none\n"),
    (Compute, "name: c\ntype: ray\n"),
    (Compute, "name: c\ntype: ray\naddress: auto\nsize: STANDARD_NV6\n"),
    (Compute, "name: c\naddress: auto\n"),
    (Compute, "name: c\ntype: ray\naddress: auto\ncpus_per_instance: many\n"),
    (Invocation, "inputs: {}\n"),
    (Invocation, "inputs: {a: images, b: images}\n"),
    (Invocation, "inputs: {a: {type: uri_folder}}\n"),
    (Invocation, "outputs: {o: {type: uri_file}}\n"),
    (Invocation, "input: {path: images, mode: download}\n"),
    (Invocation, "output_dataset: {datastore: a}\n"),
    (Invocation, "settings: {batch_size: 3}\n"),
    (Invocation, "timeout: 0\n"),
]


@pytest.mark.parametrize("name", names())
def test_a_schema_is_one_and_explains_every_key(name: str) -> None:
    content = json.loads(text_of(name))
    assert refusals(name, "nonsense: 1\n")
    assert list(_unexplained(content)) == []
    assert content["title"]


def _unexplained(schema: dict[str, Any], at: str = "") -> list[str]:
    found = []
    for key, value in schema.get("properties", {}).items():
        # Blocks below `not` and `allOf` only repeat, and the parts of a conda file are not ours to explain.
        if "description" not in value and at.rpartition(".")[2] != "conda_file":
            found.append(f"{at}.{key}")
        for one in [value, *value.get("anyOf", [])]:
            found += _unexplained(one, f"{at}.{key}") if "additionalProperties" in one else []
    return found


@pytest.mark.parametrize(("path", "schema"), FILES, ids=lambda value: getattr(value, "name", value))
def test_every_file_of_this_repository_passes_its_schema(path: Path, schema: str) -> None:
    assert refusals(schema, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("noun", "text"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_what_a_schema_can_see_is_refused_by_it_and_by_the_loader(noun: type[Noun], text: str, tmp_path: Path) -> None:
    path = files_for_examples(tmp_path) / "doc.yml"
    path.write_text(text)
    assert problems(noun, path)
    assert refusals(schema_for(noun, text), text)


def _wrong_deployments() -> list[Any]:
    return yaml.safe_load((YAML / "deployment_problems.yml").read_text(encoding="utf-8"))


#: Words in problems that only somebody who can look at files, or knows what other keys say, can tell.
BEYOND_A_SCHEMA = (
    *("there is no", "no folder", "no file", "no script", "holds no files", "is a folder, and", "is a file, and"),
    *("a file MLmodel", "outside the code folder", "code/", "null bytes", "tabbed.yml", "listed.yml", "twice.yml"),
    *("bare.yml", "for the same setting", "on line", "neither a version nor a label", "a version and a label"),
    *("has no versions", "no local file", "no interpreter"),
)


@pytest.mark.parametrize("case", _wrong_deployments(), ids=lambda case: f"{case['key']}: {case['words'][0]}")
def test_a_wrong_deployment_is_refused_wherever_a_schema_can_see_why(case: dict[str, Any]) -> None:
    blocks = {line.partition(":")[0]: line + "\n" for line in GOOD.splitlines()}
    changed = blocks | {key: text and text + "\n" for key, text in case["change"].items()}
    said = "".join(case["words"])
    if any(words in said for words in BEYOND_A_SCHEMA) and "cannot stand together" not in said:
        return
    assert refusals("batchDeployment", "".join(changed.values()))


# ---- any document ---------------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        *(1, 0, -1, 7, 1.5, True, None, "", "7", "abc", "append_row", "SUMMARY_ONLY", "Info", "model", "code"),
        *("conda.yml", "azureml:a:1", "azureml:pool", "aadToken", "uri_file"),
        *([], ["x"], {}, {"a": "b"}, {"path": "model"}),
    ]
)
_PLACES = st.sampled_from(
    [
        *("name", "description", "tags", "properties", "type", "model", "environment", "compute", "resources"),
        *("settings", "retry_settings", "mini_batch_size", "output_action", "output_file_name", "logging_level"),
        *("error_threshold", "partition_keys", "settings.mini_batch_size", "settings.output_action"),
        *(
            "settings.output_file_name",
            "settings.instance_count",
            "settings.retry_settings.timeout",
            "settings.unknown",
        ),
        *("resources.instance_count", "resources.properties", "model.path", "model.local_path", "model.version"),
        *("model.model_format", "compute.target", "compute.instance_count", "environment.image", "environment.path"),
        *("environment.docker.image", "environment.conda_file", "environment.python", "environment.build.local_path"),
        *("code_configuration.code.local_path", "code_configuration.scoring_script", "unknown", "id", "$schema"),
    ]
)


def _with(tree: dict[str, Any], place: str, value: object) -> None:
    *blocks, last = place.split(".")
    for step in blocks:
        if not isinstance(tree.get(step), dict):
            tree[step] = {}
        tree = tree[step]
    tree[last] = deepcopy(value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(_PLACES, _WORDS), min_size=1, max_size=3))
def test_a_schema_refuses_no_deployment_that_loads(changes: list[tuple[str, object]], tmp_path: Path) -> None:
    tree = tree_of(GOOD)
    for place, value in changes:
        _with(tree, place, value)
    path = files_for_examples(tmp_path) / "doc.yml"
    text = yaml.safe_dump(tree)
    path.write_text(text)
    if not problems(Deployment, path):
        assert refusals("batchDeployment", text) == []


#: The smallest document of each kind; what a line of the page says may be changed in it.
SMALLEST: dict[str, str] = {
    "batchEndpoint": "name: digits\n",
    "model": "name: m\npath: model\n",
    "environment": "name: e\nimage: x\n",
    "data": "name: d\npath: images\n",
    "amlCompute": "name: c\n",
    "rayCompute": "name: c\ntype: ray\naddress: auto\n",
    "localFolder": "name: d\npath: scans\n",
    "azureBlob": "name: d\ntype: azure_blob\naccount_name: a\ncontainer_name: c\n",
    "s3": "name: d\ntype: s3\nbucket: b\n",
    "workspace": "name: w12\n",
    "batchInvocation": "mini_batch_size: 3\n",
}


def _places(schema: dict[str, Any], at: str = "") -> list[str]:
    """Every dotted key that a schema has, and one that it has not."""
    found = [f"{at}unheard_of"]
    for key, value in schema.get("properties", {}).items():
        found.append(at + key)
        for one in [value, *value.get("anyOf", [])]:
            found += _places(one, f"{at}{key}.") if "additionalProperties" in one and "properties" in one else []
    return found


@pytest.mark.parametrize("name", SMALLEST)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_schema_refuses_nothing_that_loads(name: str, tmp_path: Path, data: st.DataObject) -> None:
    kind = next(kind for kind in json_schemas.KINDS if kind.name == name)
    places = st.sampled_from(sorted({*_places(json.loads(text_of(name)))} - {"type"}))
    tree = tree_of(SMALLEST[name])
    for place, value in data.draw(st.lists(st.tuples(places, _WORDS), min_size=1, max_size=3)):
        _with(tree, place, value)
    # Together they are one input in two halves.
    assume(not {"input", "inputs"} <= set(tree))
    path = files_for_examples(tmp_path) / "doc.yml"
    text = yaml.safe_dump(tree)
    path.write_text(text)
    if not problems(kind.noun, path):
        assert refusals(name, text) == []


@pytest.mark.parametrize("name", SMALLEST)
def test_a_schema_refuses_a_key_that_is_not_known_in_whatever_block(name: str) -> None:
    blocks = [place for place in _places(json.loads(text_of(name))) if place.endswith("unheard_of")]
    taken = []
    for place in blocks:
        tree = tree_of(SMALLEST[name])
        _with(tree, place, 1)
        if not refusals(name, yaml.safe_dump(tree)):
            taken.append(place)
    assert blocks
    assert not taken
