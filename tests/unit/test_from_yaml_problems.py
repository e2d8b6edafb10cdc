"""What is wrong with a document: each problem has the key as it was written, its line and the words that help."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.from_yaml import load
from batchpoint.entities.from_yaml.changes import Assign, parse_set
from batchpoint.entities.noun import Noun
from batchpoint.errors import Problem, ValidationFailed

#: A folder with everything that GOOD names.
GOOD = """\
name: dep-one
endpoint_name: myep
model:
  path: model
code_configuration:
  code: code
  scoring_script: score.py
environment: azureml:env:1
compute: azureml:pool
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "model/weights": "x",
        "taxi/MLmodel": "x",
        "code/score.py": "def init(): pass\ndef run(m): return m\n",
        "code/broken.py": "import os\ndef run(batch)\n    return batch\n",
        "code/old.py": "print 'hello'\n",
        "code/nul.py": "a\0b",
        "outside.py": "",
        "conda.yml": "dependencies: [python=3.11]\n",
        "tabbed.yml": "name: x\ndependencies:\n\t- python\n",
        "listed.yml": "- python\n",
        "twice.yml": "name: x\ndependencies: []\nname: y\n",
        "bare.yml": "name: x\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "hollow/inner").mkdir(parents=True)
    return tmp_path


def problems(kind: type[Noun], path: Path | None, **rest) -> tuple[Problem, ...]:
    with pytest.raises(ValidationFailed) as caught:
        load(kind, path, **rest)
    return caught.value.problems


def the_only(kind: type[Noun], folder: Path, text: str | bytes, **rest) -> Problem:
    path = folder / "doc.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (problem,) = problems(kind, path, **rest)
    assert "pydantic" not in problem.message.lower()
    return problem


def mended(**lines: str) -> str:
    """GOOD with the block that begins with a key replaced; a new key goes to the end, "" removes."""
    blocks: dict[str, str] = {}
    for line in GOOD.splitlines(keepends=True):
        if line[0] != " ":
            blocks[line.partition(":")[0]] = ""
        blocks[list(blocks)[-1]] += line
    return "".join((blocks | {key: value and value + "\n" for key, value in lines.items()}).values())


DEPLOYMENT_TABLE = yaml.safe_load((Path(__file__).parent / "yaml/deployment_problems.yml").read_text())


def test_the_document_that_the_tables_start_from_is_good(folder: Path) -> None:
    (folder / "doc.yml").write_text(mended())
    assert load(Deployment, folder / "doc.yml").name == "dep-one"


@pytest.mark.parametrize("row", DEPLOYMENT_TABLE, ids=[f"{row['key']}-{at}" for at, row in enumerate(DEPLOYMENT_TABLE)])
def test_one_wrong_thing_in_a_deployment_is_one_problem(folder: Path, row: dict) -> None:
    problem = the_only(Deployment, folder, mended(**row["change"]))
    assert (problem.key, problem.line) == (row["key"], row["line"])
    for word in row["words"]:
        assert word in problem.message


@pytest.mark.parametrize(
    ("kind", "text", "key", "line", "words"),
    [
        (Endpoint, "description: x", "name", None, ["required", "name: <endpoint name>"]),
        (Endpoint, "name: my ep", "name", 1, ["letters, digits and dashes"]),
        (Endpoint, "name: myep\nauth_mode: key", "auth_mode", 2, ["key is not offered", "auth_mode: aad_token"]),
        (Endpoint, "name: myep\nauth_mode: amlToken", "auth_mode", 2, ["aml_token is not offered"]),
        (
            Endpoint,
            "name: myep\nauth_mode: none",
            "auth_mode",
            2,
            ['"none" is not allowed', "aad_token, aml_token, key"],
        ),
        (
            Endpoint,
            "name: myep\ndefaults:\n  deployment: x",
            "defaults.deployment",
            3,
            ['did you mean "deployment_name"?'],
        ),
        (
            Endpoint,
            "name: myep\ndeployments: [{name: x}]\ntraffic: {x: 100}",
            "deployments",
            2,
            ["batch-deployment create --file"],
        ),
        (Endpoint, "name: myep\ntraffic: {x: 50, y: 50}", "traffic", 2, ["one deployment", "defaults"]),
        (
            Compute,
            "name: p\ntype: Kubernetes\nnamespace: x",
            "type",
            2,
            ["a kubernetes compute is not offered", "amlcompute"],
        ),
        (
            Compute,
            "name: p\nmin_instances: 5\nmax_instances: 2",
            "min_instances",
            2,
            ["5 is more than max_instances, which is 2"],
        ),
        (
            Compute,
            "name: p\nenable_node_public_ip: perhaps",
            "enable_node_public_ip",
            2,
            ['"perhaps" is not true or false'],
        ),
        (Model, "path: model", "name", None, ["required", "name: <model name>"]),
        (Model, "name: m", "path", None, ["required", "path: <model file or folder>"]),
        (Model, "name: m\nversion: 1@latest\npath: model", "version", 2, ['"1@latest" is not a version']),
        (Environment, "name: e", "", None, ["needs image or build", "python: <interpreter"]),
        (Environment, "channels: [x]\ndependencies: [y]", "channels", 1, ["a key of a conda file"]),
        (DataAsset, "name: d\npath: model\ntype: mltable", "type", 3, ["mltable", "type: uri_folder"]),
        (DataAsset, "name: d\npath: model\ntype: uri_file", "path", 2, ["is a folder", "write type: uri_folder"]),
        (DataAsset, "name: d\npath: outside.py\ntype: uri_folder", "path", 2, ["is a file", "write type: uri_file"]),
        (DataAsset, "name: d\npaths: [{file: a}, {file: b}]", "paths", 2, ["exactly one entry"]),
        (
            Datastore,
            "name: s\ntype: azure_file\naccount_name: a\nfile_share_name: f",
            "type",
            2,
            ["azure_file datastores are not served", "type: local"],
        ),
        (
            Datastore,
            "name: s\ntype: azure_blob\naccount_name: a",
            "container_name",
            None,
            ["needs this key", "add container_name: <container>"],
        ),
        (
            Datastore,
            "name: s\ntype: s3\nbucket: b\naccount_name: a",
            "account_name",
            4,
            ["has no such key", "bucket"],
        ),
        (
            Datastore,
            "name: s\ntype: s3\nbucket: b\ncredentials:\n  access_key: a",
            "credentials.secret_key",
            4,
            ["access_key credentials need access_key and secret_key"],
        ),
        (Invocation, "inputs: {a: {path: b}, c: {path: d}}", "inputs", 1, ["exactly one input"]),
        (
            Invocation,
            "inputs:\n  a: {type: mltable, path: b}",
            "inputs",
            1,
            ['type "mltable" is not offered', "uri_file or uri_folder"],
        ),
        (Invocation, "inputs:\n  a: {type: uri_folder, path: gone}", "inputs.a.path", 2, ['no file or folder "gone"']),
        (
            Invocation,
            "inputs:\n  a: {type: uri_folder}",
            "inputs.a.path",
            2,
            ["required", "path: <file, folder or URI>"],
        ),
        (Invocation, "outputs:\n  a: {type: uri_file}", "outputs", 1, ["needs a place"]),
        (Invocation, "output_action: x", "output_action", 1, ["unknown key", "output_file_name"]),
    ],
)
def test_one_wrong_thing_in_another_noun_is_one_problem(
    folder: Path, kind: type[Noun], text: str, key: str, line: int | None, words: list[str]
) -> None:
    problem = the_only(kind, folder, text)
    assert (problem.key, problem.line) == (key, line)
    for word in words:
        assert word in problem.message


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"", None, "the file is empty"),
        (b"# nothing\n", None, "the file is empty"),
        (b"- a\n- b\n", 1, "the file is a list"),
        (b"word", 1, "a single value"),
        (b"name: x\n\tb: c\n", 2, "a tab stands where"),
        (b"name: x\ndescription: a: b\n", 2, "a second colon"),
        (b"name: [a\n", 2, "not YAML"),
        (b"name: x\n---\nname: y\n", 2, "several documents"),
        (b"name: x\ndescription: caf\xe9\n", 2, "not UTF-8"),
        (b"name: x\nb: \x00\n", 2, "control character"),
        (b"name: &a [*a]\n", 1, "contains itself"),
        (b"a: " + b"[" * 5000, None, "nested too deeply"),
        (b"#" * (1 << 20) + b"#", None, "larger than 1 MiB"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 106)),
            None,
            "more than 20000 values",
        ),
    ],
)
def test_a_file_that_is_no_document_says_why(folder: Path, raw: bytes, line: int | None, words: str) -> None:
    problem = the_only(Endpoint, folder, raw)
    assert words in problem.message
    assert problem.line == line
    assert problem.key == ""


@pytest.mark.parametrize(
    ("text", "key", "line", "words"),
    [
        ("name: myep\ntags: {a: b, a: c}", "tags.a", 2, "stands twice, first on line 2"),
        ("name: myep\n? [a]\n: b", "", 2, "a key has to be text"),
        (
            "name: myep\ndescription: !!python/object/apply:os.getcwd []",
            "description",
            2,
            "the tag !!python/object/apply:os.getcwd is not",
        ),
        ("name: myep\ntags:\n  <<: word", "tags", 3, "<< has to name a block"),
    ],
)
def test_traps_of_yaml_are_refused(folder: Path, text: str, key: str, line: int, words: str) -> None:
    problem = the_only(Endpoint, folder, text)
    assert (problem.key, problem.line) == (key, line)
    assert words in problem.message


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    (gone,) = problems(Endpoint, tmp_path / "gone.yml")
    assert f"there is no such file; looked for {tmp_path}/gone.yml" in gone.message
    (folder,) = problems(Endpoint, tmp_path)
    assert "this is a folder" in folder.message


def test_every_problem_is_found_at_once_in_the_order_of_the_file(folder: Path) -> None:
    text = """\
name: d
endpoint_name: myep
model:
  local_path: nowhere
  vresion: 1
code_configuration:
  code: code
compute: local
mini_batch_size: ten
output_action: summary_only
output_file_name: x.csv
settings:
  logging_level: loud
  mini_batch_size: 10
tags: {a: }
enviroment: azureml:e:1
"""
    path = folder / "doc.yml"
    path.write_text(text)
    found = problems(Deployment, path)
    assert [(problem.line, problem.key) for problem in found] == [
        (1, "name"),
        (4, "model.local_path"),
        (5, "model.vresion"),
        (6, "code_configuration.scoring_script"),
        (8, "compute"),
        (9, "mini_batch_size"),
        (11, "output_file_name"),
        (13, "settings.logging_level"),
        (14, "settings.mini_batch_size"),
        (15, "tags.a"),
        (16, "enviroment"),
    ]


def test_the_message_names_file_line_and_key(folder: Path) -> None:
    path = folder / "doc.yml"
    path.write_text(mended(mini_batch_size="mini_batch_size: ten"))
    with pytest.raises(ValidationFailed) as caught:
        load(Deployment, path)
    assert caught.value.message == (
        f'1 problem in {path} (BatchDeploymentSchema):\n  line 10: mini_batch_size: "ten" is not a whole number'
    )


def test_a_problem_in_a_flag_names_the_flag(folder: Path) -> None:
    (folder / "doc.yml").write_text(GOOD)
    (problem,) = problems(Deployment, folder / "doc.yml", flags={"endpoint_name": "x"})
    assert (problem.key, problem.line) == ("--endpoint-name", None)
    (missing,) = problems(Compute, None, flags={"type": "amlcompute"})
    assert (missing.key, missing.line) == ("--name", None)
    (gone,) = problems(Invocation, None, flags={"input.path": "folder:no/such/folder"})
    assert (gone.key, gone.line) == ("--input", None)


def test_a_problem_in_a_change_names_it(folder: Path) -> None:
    (folder / "doc.yml").write_text(mended(model="model: azureml:m:1"))
    changes = parse_set(["model.name=x", "retry_settings.max_retires=1"])
    found = problems(Deployment, folder / "doc.yml", changes=changes)
    assert found[0].key == "--set model.name"
    assert 'model is the text "azureml:m:1"' in found[0].message
    changes = parse_set(["retry_settings.max_retires=1", "mini_batch_size=ten"])
    found = problems(Deployment, folder / "doc.yml", changes=changes)
    assert [problem.key for problem in found] == ["--set retry_settings.max_retires", "--set mini_batch_size"]


def test_the_script_check_can_be_skipped(folder: Path) -> None:
    (folder / "doc.yml").write_text(GOOD.replace("score.py", "broken.py"))
    assert load(Deployment, folder / "doc.yml", check_script=False).code_configuration


KINDS: list[type[Noun]] = [Endpoint, Deployment, Model, Environment, DataAsset, Datastore, Compute, Invocation]
_INNER = "paths traffic inputs outputs channels file folder timeout max_retries code $schema".split()
_FIELDS = {key for kind in KINDS for key in kind.model_fields}
_SPELLED = {part for kind in KINDS for path in kind.spellings for part in path.split(".")}
_KEYS = sorted(_FIELDS.union(_SPELLED, _INNER))
_WORDS = st.sampled_from(
    ["azureml:m:1", "azureml:/x@latest", "model", "code", "score.py", "pipeline", "local", "aad_token", "mltable"]
) | st.sampled_from(
    ["append_row", "summary_only", "uri_folder", "conda.yml", ".", "", "10", "-1", "../..", "file:model", "a@c", "a\0b"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=4),
    lambda below: (
        st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=12,
)
_TREES = st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(st.sampled_from(KINDS), _TREES, _TREES)
def test_any_mapping_becomes_a_noun_or_a_list_of_problems(
    folder: Path, kind: type[Noun], tree: dict[str, object], flags: dict[str, object]
) -> None:
    changes = [Assign((key,), value) for key, value in tree.items()]
    (folder / "any.yml").write_text("description: x\n")
    try:
        assert isinstance(load(kind, folder / "any.yml", changes=changes, flags=dict(list(flags.items())[:1])), kind)
    except ValidationFailed as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.sampled_from(KINDS),
    st.lists(
        st.sampled_from([*_KEYS, "- ", "  ", ": ", "\n", "{", "}", "[", "&a ", "*a", "<<", "1", "'", "!!int ", "\t"]),
        max_size=14,
    ),
)
def test_any_text_becomes_a_noun_or_a_list_of_problems(folder: Path, kind: type[Noun], words: list[str]) -> None:
    (folder / "any.yml").write_text("".join(words))
    try:
        assert isinstance(load(kind, folder / "any.yml"), kind)
    except ValidationFailed as error:
        assert error.problems
