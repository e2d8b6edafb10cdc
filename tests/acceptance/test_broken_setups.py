"""What a new user gets wrong: each answer names the place and the remedy, and leaves everything as it was."""

import io
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchpoint.cli.__main__ import main
from tests.acceptance.typed import DEPLOYMENT, fill

SRC = str(Path(__file__).parents[2] / "src" / "batchpoint")
MODEL_ID = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/models/m/versions/1"
)
CREATE = "batch-deployment create --file broken.yml --name green"
INVOKE = "batch-endpoint invoke --name digits"


@dataclass(frozen=True)
class Broken:
    """One broken set-up, and what its answer has to say."""

    name: str
    line: str
    #: The file with its line, the key, the flag or the item that is wrong.
    place: tuple[str, ...]
    #: What to do next.
    remedy: str
    code: int = 1
    #: What broken.yml holds, if the line reads it.
    yaml: str = ""


def deployment(name: str, place: str, remedy: str, *, add: str = "", swap: tuple[str, str] = ("", "")) -> Broken:
    """A deployment's file that is good but for one thing, said with its place in the file."""
    text = DEPLOYMENT.replace(*swap) + (f"{add}\n" if add else "")
    assert text != DEPLOYMENT, name
    return Broken(name, CREATE, ("broken.yml", place), remedy, yaml=text)


def typo(name: str, line: str, place: str, remedy: str, code: int = 1) -> Broken:
    return Broken(name, line, (place,), remedy, code)


NAMES = [
    typo("digit_first", "batch-endpoint create --name 9lives", '--name: "9lives"', "beginning with a letter"),
    typo("too_short", "batch-endpoint create --name ab", '--name: "ab" is 2 long', "3 to 32 characters"),
    typo("underscore", "batch-endpoint create --name my_digits", '--name: "my_digits"', "letters, digits and dashes"),
    typo("no_name", "batch-endpoint create", "--name: this is required", "write --name <value>"),
    typo("bad_asset_name", "model create --name 'a b' --path model", '--name: "a b"', "use only letters"),
    typo("bad_job_name", f"{INVOKE} --input data --job-name 'a b'", '--job-name: "a b"', "use only letters"),
    typo("renamed", "batch-endpoint update -n digits --set name=other", "--set name", "create another one"),
    typo("no_such_endpoint", "batch-endpoint show --name nope", "no endpoint nope", "batch-endpoint create", 3),
    typo("no_such_deployment", f"{INVOKE} --input data -d green", "green", "deployments of digits: blue"),
    typo("no_such_job", "job stream --name nope", "no job nope", "job list"),
    typo("no_such_model", "model show --name nope --version 1", "no model nope", "model list", 3),
]

REFERENCES = [
    deployment(
        "model_without_prefix", "line 3: model", "write azureml:<name>:<version>", swap=("\n  path: ./model", " mnist")
    ),
    deployment(
        "model_without_version",
        "line 3: model",
        "azureml:<model name>@latest",
        swap=("\n  path: ./model", " azureml:mnist"),
    ),
    Broken(
        "model_missing",
        CREATE,
        ("no model mnist with version 1",),
        "model list",
        yaml=DEPLOYMENT.replace("\n  path: ./model", " azureml:mnist:1"),
    ),
    Broken(
        "model_version_missing",
        CREATE,
        ("no model offsets with version 9",),
        "its versions: 1",
        yaml=DEPLOYMENT.replace("\n  path: ./model", " azureml:offsets:9"),
    ),
    typo(
        "data_without_version", f"{INVOKE} --input azureml:nothing", '"azureml:nothing"', "azureml:<data name>@latest"
    ),
    typo("data_missing", f"{INVOKE} --input azureml:nothing@latest", "no data asset nothing", "data list"),
    typo("no_such_label", f"{INVOKE} --input azureml:nothing@newest", "no label newest", "the one label is latest"),
    typo(
        "a_models_id",
        f"{INVOKE} --input {MODEL_ID}",
        "models/m/versions/1",
        "data asset is wanted",
    ),
    typo(
        "a_registry",
        f"{INVOKE} --input azureml://registries/r/data/d/versions/1",
        "azureml://registries/r",
        "Register a copy",
    ),
    typo("version_and_label", "model show -n offsets -v 1 -l latest", "--version and --label", "exactly one", 2),
]

YAML = [
    deployment("unknown_key", "line 11: mini_batch_sise", 'did you mean "mini_batch_size"?', add="mini_batch_sise: 10"),
    deployment("not_a_number", "line 9: mini_batch_size", "whole number", swap=("size: 2", "size: many")),
    deployment("out_of_range", "line 9: mini_batch_size", "at least 1", swap=("size: 2", "size: 0")),
    deployment(
        "wrong_choice", "line 11: output_action", "Allowed: append_row, summary_only", add="output_action: append"
    ),
    deployment("wrong_level", "line 11: logging_level", "Allowed: warning, info, debug", add="logging_level: loud"),
    deployment("key_twice", "line 11: compute", "first on line 8; keep one", add="compute: azureml:other"),
    deployment("said_twice", "line 11: settings.mini_batch_size", "keep one", add="settings: {mini_batch_size: 5}"),
    deployment(
        "key_missing",
        "compute: this key is required",
        "add compute: azureml:<compute name>",
        swap=("compute: azureml:cluster\n", ""),
    ),
    deployment("a_tab", "line 12: a tab", "indent with spaces", add="retry_settings:\n\ttimeout: 5"),
    deployment("not_yaml", "line 12: not YAML", "expected", add="tags: [a: b\nx: 1"),
    deployment("a_pipeline", "line 11: type", "a deployment with type: model", add="type: pipeline"),
    Broken("a_list", CREATE, ("broken.yml", "line 1"), "keys with values", yaml="- a\n- b\n"),
    Broken("empty_file", CREATE, ("broken.yml", "the file is empty"), "such as name: my-name", yaml="# nothing\n"),
    typo("no_such_file", "batch-deployment create --file nope.yml", "nope.yml", "looked for"),
    typo("a_folder_as_file", "batch-deployment create --file data", "data", "name the YAML file in it"),
    typo(
        "set_without_value",
        "batch-endpoint update -n digits --set description",
        "--set description",
        "--set <key>=<value>",
    ),
    typo(
        "set_unknown_key", "batch-endpoint update -n digits --set colour=red", "--set colour", "Allowed here: auth_mode"
    ),
    typo("empty_tag", "batch-endpoint update -n digits --set tags.a=", "--set tags.a", "write one or remove the tag"),
    typo("auth_by_key", "batch-endpoint update -n digits --set auth_mode=key", "--set auth_mode", "aad_token"),
]

COMPUTES = [
    Broken(
        "compute_missing",
        CREATE,
        ("no compute nowhere",),
        "compute create --type amlcompute --name nowhere",
        yaml=DEPLOYMENT.replace("azureml:cluster", "azureml:nowhere"),
    ),
    deployment(
        "compute_local", "line 8: compute", "compute create --name batch-cluster", swap=("azureml:cluster", "local")
    ),
    deployment(
        "compute_with_version",
        "line 8: compute",
        "a compute has no versions",
        swap=("azureml:cluster", "azureml:cluster:3"),
    ),
    typo(
        "min_above_max",
        "compute create -n c1 --min-instances 5 --max-instances 2",
        "--min-instances: 5",
        "max_instances, which is 2",
    ),
    typo("unknown_type", "compute create -n c1 --type kubernetes", "--type", "write type: amlcompute"),
    typo("unknown_tier", "compute create -n c1 --tier cheap", "--tier", "Allowed: dedicated, low_priority"),
    typo("too_many_instances", f"{INVOKE} --input data -c 3", "cluster has at most 2", "--max-instances 3"),
]

INPUTS = [
    typo("no_such_folder", f"{INVOKE} --input no/such", '--input: there is no file or folder "no/such"', "looked for"),
    typo("empty_path", f"{INVOKE} --input ''", "--input: the path is empty", "name a file or folder"),
    typo("no_input", INVOKE, "Say what to score", "(--input)"),
    typo("empty_folder", f"{INVOKE} --input empty", '--input: the folder "empty"', "holds no files"),
    typo("two_inputs", f"{INVOKE} --input data --input-path folder:data", "--input and --input-path", "keep one", 2),
    typo("folder_as_file", f"{INVOKE} --input data --input-type uri_file", "--input:", "uri_folder"),
    typo(
        "unknown_input_type",
        f"{INVOKE} --input data --input-type mltable",
        "--input-type",
        "'uri_folder', 'uri_file'",
        2,
    ),
    typo(
        "no_such_datastore",
        f"{INVOKE} --input azureml://datastores/nostore/paths/x/",
        "no datastore nostore",
        "workspaceblobstore",
    ),
    typo("unknown_scheme", f"{INVOKE} --input ftp://h/x", "ftp://h/x", "Give a local path"),
    typo("two_named_inputs", f"{INVOKE} --inputs a.path=data b.path=data", "inputs", "exactly one input"),
    typo(
        "a_literal_input", f"{INVOKE} --inputs a.type=string a.default=3", 'type "string"', "use uri_file or uri_folder"
    ),
    typo("broken_json", INVOKE + " --inputs '{x'", "--inputs {x is no JSON", "single quotes", 2),
    Broken(
        "unknown_key_in_invocation",
        "batch-endpoint invoke --file broken.yml",
        ("broken.yml", "line 2: deploymnt"),
        'did you mean "deployment"?',
        yaml="endpoint: digits\ndeploymnt: blue\n",
    ),
]

ENVIRONMENTS = [
    deployment(
        "conda_file_missing",
        "line 11: environment.conda_file",
        "looked for",
        add="environment: {image: i, conda_file: no.yml}",
    ),
    deployment(
        "a_conda_file_itself",
        "line 11: environment.channels",
        "conda_file: conda.yml",
        add="environment: {channels: [x], dependencies: [y]}",
    ),
    deployment("bare_word", "line 11: environment", "azureml:<name>:<version>", add="environment: sklearn"),
    Broken(
        "image_alone",
        CREATE,
        ("the image 'some/image'",),
        "add a conda_file",
        yaml=f"{DEPLOYMENT}environment: {{image: some/image}}\n",
    ),
    Broken(
        "old_python",
        CREATE,
        ("wants Python 2.7",),
        "Raise the version",
        yaml=f"{DEPLOYMENT}environment: {{image: i, conda_file: {{dependencies: [python=2.7]}}}}\n",
    ),
    typo("nothing_in_it", "environment create --name e", "an environment needs image or build", "conda_file"),
    typo(
        "image_and_build", "environment create --name e --image i --build-context code", "--build-context", "keep one"
    ),
]

SCRIPTS = [
    deployment(
        "script_missing",
        "line 7: code_configuration.scoring_script",
        "it has score.py",
        swap=("script: score.py", "script: missing.py"),
    ),
    deployment(
        "script_with_a_syntax_error",
        "syntax.py, line 3",
        "--skip-script-validation",
        swap=("script: score.py", "script: syntax.py"),
    ),
    deployment(
        "script_outside",
        "line 7: code_configuration.scoring_script",
        "relative to",
        swap=("script: score.py", "script: ../score.py"),
    ),
    deployment(
        "code_missing", "line 6: code_configuration.code", "looked for", swap=("code: ./code", "code: ./nocode")
    ),
    deployment(
        "code_without_script",
        "line 5: code_configuration.scoring_script",
        "add scoring_script",
        swap=("  scoring_script: score.py\n", ""),
    ),
    deployment("model_path_missing", "line 4: model.path", "looked for", swap=("./model", "./modle")),
    typo(
        "which_script",
        "score --code code --input data --out out",
        "Which script of",
        "--scoring-script; there are: score.py",
    ),
]

OUTPUTS = [
    typo(
        "not_a_datastore",
        f"{INVOKE} --input data --output-path https://h/x",
        "--output-path https://h/x",
        "azureml://datastores/NAME/paths/FOLDER",
    ),
    typo(
        "a_path_as_file_name",
        f"{INVOKE} --input data --set output_file_name=a/b.csv",
        "'a/b.csv'",
        "give a plain file name",
    ),
    deployment(
        "name_for_no_file",
        "line 12: output_file_name",
        "remove this key",
        add="output_action: summary_only\noutput_file_name: x.csv",
    ),
    typo("fetch_onto_files", f"{INVOKE} --input data --output-dir data", "--output-dir", "new or empty"),
    typo(
        "score_into_its_input",
        "score --code code/score.py --input data --out data/out",
        "lies in the input folder",
        "beside it",
    ),
]

FLAGS = [
    typo("no_such_command", "endpoint list", "no command 'endpoint'", "Did you mean batch-endpoint?", 2),
    typo("no_such_verb", "batch-endpoint invok --name digits", "'invok'", "Did you mean invoke?", 2),
    typo("no_such_flag", f"{INVOKE} --inptu data", "--inptu", "Did you mean --input?", 2),
    typo("flag_missing", "batch-endpoint show", "needs --name", "batch-endpoint show --help", 2),
    typo("word_alone", "batch-endpoint show digits", "'digits' stands alone", "flags only", 2),
    typo("flag_first", "--debug batch-endpoint list", "--debug stands before it", "flags come after the command", 2),
    typo("no_number", f"{INVOKE} --input data -m ten", "--mini-batch-size", "'ten' is no whole number", 2),
    typo("no_such_format", "batch-endpoint list -o xml", "--output", "'json', 'jsonc', 'table'", 2),
    typo("no_such_query", "batch-endpoint list --query '[?'", "--query", "no JMESPath expression", 2),
    typo("tag_without_value", "data create --name d --path data --tags a", "--tags a", "write --tags a=VALUE", 2),
    typo("nobody_to_ask", "batch-endpoint delete --name digits", "stdin is no terminal", "--yes"),
    typo(
        "the_default_deployment",
        "batch-deployment delete -n blue -e digits --yes",
        "blue is the default",
        "create another and make it the default",
    ),
    typo("wait_and_not", f"{INVOKE} --input data --wait --no-wait", "--wait", "leave out --no-wait", 2),
    typo(
        "no_server_there", "batch-endpoint list --server http://127.0.0.1:9", "http://127.0.0.1:9", "batchpoint serve"
    ),
    typo("no_such_default", "configure --defaults workspce=x", "'workspce'", "defaults are: group"),
]

#: Where the store keeps what people name.
TABLES = ("endpoints", "deployments", "computes", "datastores", "jobs", "output_reservations")

ALL = [*NAMES, *REFERENCES, *YAML, *COMPUTES, *INPUTS, *ENVIRONMENTS, *SCRIPTS, *OUTPUTS, *FLAGS]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a good endpoint, and a folder with good files; no set-up may change either."""
    root = tmp_path_factory.mktemp("broken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATCHPOINT_HOME", str(root / "home"))
        fill(root / "work")
        (root / "work" / "empty").mkdir()
        (root / "work" / "code" / "syntax.py").write_text("def init():\n    pass\ndef run(mini_batch)\n    return 1\n")
        patch.chdir(root / "work")
        for line in (
            "compute create -n cluster --type amlcompute --max-instances 2",
            "batch-endpoint create -n digits",
            "batch-deployment create -f deployment.yml --set-default",
            "model create -n offsets --path model",
        ):
            assert main([*line.split(), "-o", "none"]) == 0
        yield root


def everything(root: Path) -> tuple[list[object], list[str]]:
    """What people would find: every noun that has a name of theirs, every job, and every file of the folder."""
    with closing(sqlite3.connect(root / "home" / "batchpoint.db")) as store:
        rows = [row for table in TABLES for row in store.execute(f"SELECT * FROM {table}")]
        # What was sent before the refusal stands under its hash, and is taken when it is sent again.
        rows += store.execute(
            "SELECT name FROM asset_names WHERE name IN ('m', 'd', 'e', 'offsets') AND kind <> 'Code'"
        )
    return rows, sorted(str(path) for path in (root / "work").rglob("*"))


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.name)
def test_a_broken_set_up_is_answered_with_its_place_and_the_remedy_and_changes_nothing(
    broken: Broken, ground: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (ground / "work" / "broken.yml").write_text(broken.yaml)
    before = everything(ground)
    code = main(shlex.split(broken.line))
    said = capsys.readouterr()
    assert (code, said.out) == (broken.code, ""), said.out + said.err
    missing = [words for words in (*broken.place, broken.remedy) if words not in said.err]
    assert not missing, said.err
    assert SRC not in said.err, f"a stack trace of ours:\n{said.err}"
    assert "Traceback" not in said.err
    assert everything(ground) == before


def test_there_are_forty_broken_set_ups_and_no_two_alike() -> None:
    assert len({broken.name for broken in ALL}) == len(ALL) == len({(b.line, b.yaml) for b in ALL})
    assert len(ALL) >= 40
