"""YAML of every dialect, flags and ``--set`` become the same nouns; what is read but old is noted."""

from pathlib import Path

import pytest

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment, Resources
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.from_yaml import amended, load, load_with_notes
from batchpoint.entities.from_yaml.changes import parse_add, parse_remove, parse_set
from batchpoint.entities.noun import created_now
from batchpoint.errors import ValidationFailed

YAML = Path(__file__).parent / "yaml"
ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.fixture
def write(tmp_path: Path):
    """Writes a file, by default the document, and names it."""

    def written(text: str, name: str = "doc.yml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def the_deployment_of_2021() -> Deployment:
    return Deployment(
        name="nonmlflowdp",
        endpoint_name="mybatchedp",
        model=Model(path=str(YAML / "mnist/model"), type="custom_model"),
        code_configuration=CodeConfiguration(code=str(YAML / "mnist/code"), scoring_script="digit_identification.py"),
        environment=Environment(
            image="mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest",
            conda_file={
                "name": "mnist-env",
                "channels": ["conda-forge"],
                "dependencies": ["python=3.6.2", {"pip": ["tensorflow==1.15.2", "pillow"]}],
            },
        ),
        environment_variables={"THRESHOLD": "0.50"},
        compute="azureml:batch-cluster",
        resources=Resources(instance_count=1),
        max_concurrency_per_instance=2,
        output_file_name="predictions.csv",
    )


@pytest.mark.parametrize("era", ["preview", "2021", "2022", "today"])
def test_the_same_deployment_in_every_dialect_is_equal(era: str) -> None:
    assert load(Deployment, YAML / f"deployment-{era}.yml") == the_deployment_of_2021()


def test_relative_paths_mean_the_folder_of_the_file_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Deployment, YAML / "deployment-2021.yml") == the_deployment_of_2021()


def test_older_spellings_are_noted_with_file_and_line() -> None:
    path = YAML / "deployment-2021.yml"
    notes = load_with_notes(Deployment, path).notes
    assert notes == (
        f"{path} line 5: model.local_path: an older spelling, still read; today it is path",
        f"{path} line 8: code_configuration.code.local_path: an older spelling, still read; today it is code",
    )


@pytest.mark.parametrize("era", ["2022", "today"])
def test_todays_spellings_get_no_note(era: str) -> None:
    assert load_with_notes(Deployment, YAML / f"deployment-{era}.yml").notes == ()


def test_variables_at_the_root_of_a_model_file_are_kept_and_noted(write) -> None:
    text = (YAML / "deployment-today.yml").read_text().replace("mnist/", f"{YAML}/mnist/")
    loaded = load_with_notes(Deployment, write(text + "environment_variables:\n  PLACE: root\n"))
    assert loaded.noun.environment_variables == {"THRESHOLD": "0.50", "PLACE": "root"}
    assert [note for note in loaded.notes if "environment_variables" in note and "settings." in note]


def test_flags_win_over_the_file() -> None:
    noun = load(
        Deployment,
        YAML / "deployment-today.yml",
        flags={"name": "other-name", "endpoint_name": "Another-EP", "description": None, "mini_batch_size": 7},
    )
    assert (noun.name, noun.endpoint_name, noun.mini_batch_size) == ("other-name", "another-ep", 7)


@pytest.mark.parametrize("key", ["mini_batch_size", "settings.mini_batch_size"])
@pytest.mark.parametrize("era", ["2021", "today"])
def test_set_wins_in_either_spelling_and_is_coerced(era: str, key: str) -> None:
    noun = load(Deployment, YAML / f"deployment-{era}.yml", changes=parse_set([f"{key}=25"]))
    assert noun.mini_batch_size == 25


def test_set_reaches_inner_settings() -> None:
    changes = parse_set(["retry_settings.max_retries=1", "settings.environment_variables.KEY=1.0", "tags.v", "2.10"])
    noun = load(Deployment, YAML / "deployment-2021.yml", changes=changes)
    assert noun.retry_settings.max_retries == 1
    assert noun.retry_settings.timeout == 30
    assert noun.environment_variables == {"THRESHOLD": "0.50", "KEY": "1.0"}
    assert noun.tags == {"v": "2.10"}


def test_equal_values_in_both_spellings_are_one_setting() -> None:
    changes = parse_set(["mini_batch_size=10"])
    assert load(Deployment, YAML / "deployment-today.yml", changes=changes) == the_deployment_of_2021()


def test_what_show_prints_can_be_created_again(write) -> None:
    text = f"""
        id: {ARM}/batchEndpoints/e/deployments/d
        name: dep-one
        endpoint_name: myep
        provisioning_state: Succeeded
        resourceGroup: g
        creation_context: {{created_at: 2024-01-01T00:00:00+00:00}}
        model: azureml:{ARM.replace("resourceGroups", "resourcegroups")}/models/m/versions/1
        code_configuration: {{code: {ARM}/codes/c/versions/1, scoring_script: score.py}}
        environment: azureml:env@latest
        compute: azureml:{ARM}/computes/c
        logging_level: Info
        output_action: append_row
        """
    noun = load(Deployment, write(text))
    assert noun.name == "dep-one"
    assert noun.id is None
    assert noun.logging_level == "info"


def test_numbers_stay_as_they_were_written_where_text_is_wanted(write) -> None:
    text = (
        "name: a\nversion: 1.10\npath: azureml://datastores/d/paths/p/\ntags: {on: yes, port: 0800, when: 2021-01-02}\n"
    )
    noun = load(DataAsset, write(text))
    assert noun.version == "1.10"
    assert noun.tags == {"on": "yes", "port": "0800", "when": "2021-01-02"}


def test_an_endpoint_needs_a_name_alone() -> None:
    assert load(Endpoint, None, flags={"name": "MyEp"}) == Endpoint(name="myep")


def test_the_first_previews_endpoint_is_read(write) -> None:
    loaded = load_with_notes(
        Endpoint, write("name: myep\ntype: batch\ntraffic: {first-dp: 100}\nauth_mode: aadToken\n")
    )
    assert loaded.noun == Endpoint(name="myep", defaults={"deployment_name": "first-dp"})
    assert len(loaded.notes) == 1


def test_a_compute_is_read_from_file_and_flags(write) -> None:
    path = write("name: batch-cluster\ntype: AmlCompute\nmax_instances: 5\nenable_node_public_ip: no\n")
    expected = Compute(name="batch-cluster", max_instances=5, min_instances=1, enable_node_public_ip=False)
    assert load(Compute, path, flags={"min_instances": 1}) == expected


def test_the_dataset_of_2021_becomes_a_data_asset(write, tmp_path: Path) -> None:
    file = write("x", "in/a.txt")
    folder = load(DataAsset, write("name: d\npaths:\n  - folder: in\n"))
    assert (folder.path, folder.type) == (str(tmp_path / "in"), "uri_folder")
    one = load(DataAsset, write("name: d\nlocal_path: ./in/a.txt\n"))
    assert (one.path, one.type) == (str(file), "uri_file")
    address = Path(folder.path).as_uri()
    assert load(DataAsset, write(f"name: d\npath: {address}\n")).type == "uri_folder"
    flags = {"name": "d", "path": "folder:azureml://datastores/x/paths/y/"}
    assert load(DataAsset, None, flags=flags).path == "azureml://datastores/x/paths/y/"


def test_an_mlflow_folder_is_known_by_its_file(write, tmp_path: Path) -> None:
    write("flavors: {}", "taxi/MLmodel")
    assert load(Model, write("name: m\nlocal_path: taxi\n")).type == "mlflow_model"
    assert load(Model, write("name: m\npath: taxi\ntype: custom_model\n")).type == "custom_model"
    assert load(Model, write("name: m\npath: taxi\nmodel_format: MLFlow\n")).type == "mlflow_model"
    assert load(Model, write("name: m\npath: runs:/abc/model\n")).type is None


def test_paths_in_flags_mean_the_current_folder(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("x", "here/model.pkl")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = write("name: m\npath: ../missing\n", "there/model.yml")
    assert load(Model, path, flags={"path": "model.pkl"}).path == str(tmp_path / "here/model.pkl")


def test_a_link_keeps_its_own_name(write, tmp_path: Path) -> None:
    write("x", "model_v2/weights")
    (tmp_path / "model").symlink_to("model_v2")
    assert load(Model, write("name: m\npath: ./model/\n")).path == str(tmp_path / "model")


def test_an_environment_may_name_an_interpreter(write, tmp_path: Path) -> None:
    python = write("", "venv/bin/python")
    assert load(Environment, write("name: e\npython: venv/bin/python\n")).python == str(python)
    text = (YAML / "deployment-today.yml").read_text().replace("mnist/", f"{YAML}/mnist/")
    start, end = text.index("environment:"), text.index("compute:")
    noun = load(Deployment, write(text[:start] + "environment: ./venv\n" + text[end:]))
    assert noun.environment == str(tmp_path / "venv")


def test_blocks_can_be_shared_through_anchors(write) -> None:
    text = "name: myep\ntags: &tags {a: b, c: d}\nproperties:\n  <<: *tags\n  c: own\n"
    noun = load(Endpoint, write(text))
    assert noun.properties == {"a": "b", "c": "own"}


def test_keys_without_a_value_count_as_not_written(write) -> None:
    loaded = load_with_notes(Endpoint, write("name: myep\ndescription:\ntags:\n"))
    assert loaded.noun == Endpoint(name="myep")
    assert [note.partition(": ")[2] for note in loaded.notes] == [
        "description: this key has no value; it counts as not written",
        "tags: this key has no value; it counts as not written",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["max_retries=1", "timeout=60"], {"max_retries": 1, "timeout_s": 60}),
        (["retry_settings.max_retries=1", "retry_settings.timeout=60"], {"max_retries": 1, "timeout_s": 60}),
        (["compute.instance_count=3", "mini_batch_size=20"], {"instance_count": 3, "mini_batch_size": 20}),
        (["output_file_name=a.csv", "error_threshold=5"], {"output_file_name": "a.csv", "error_threshold": 5}),
        (
            ["settings.isolate_failures=false", "max_mini_batches_per_worker=9", "settings.provenance=true"],
            {"isolate_failures": False, "max_mini_batches_per_worker": 9, "provenance": True},
        ),
        (["logging_level=DEBUG", "properties.team=x"], {"logging_level": "debug", "properties": {"team": "x"}}),
        (
            ["output_dataset.datastore_id=azureml:ds", "output_dataset.path=a/b"],
            {"output_path": "azureml://datastores/ds/paths/a/b"},
        ),
        (
            ["inputs.any.type", "uri_file", "inputs.any.path", "https://host/a?b=c"],
            {"input": {"type": "uri_file", "path": "https://host/a?b=c"}},
        ),
        (
            ["outputs.score.path=azureml://datastores/ds/paths/a/p.csv", "outputs.score.type=uri_file"],
            {"output_path": "azureml://datastores/ds/paths/a/", "output_file_name": "p.csv"},
        ),
    ],
)
def test_an_invocation_reads_the_overrides_of_set(words: list[str], expected: dict[str, object]) -> None:
    assert load(Invocation, None, changes=parse_set(words)) == Invocation.model_validate(expected)


def test_an_invocation_file_names_endpoint_deployment_and_data(write) -> None:
    text = "endpoint: myep\ndeployment: dep-one\ninputs:\n  data: azureml:/mnist@latest\noutputs:\n  o: {path: azureml://datastores/d/paths/p}\n"
    assert load(Invocation, write(text)) == Invocation(
        endpoint_name="myep",
        deployment_name="dep-one",
        input={"path": "azureml:/mnist@latest"},
        output_path="azureml://datastores/d/paths/p",
    )


def test_amending_keeps_what_the_server_set_and_does_not_look_for_files() -> None:
    stored = Deployment(
        name="dep-one",
        endpoint_name="myep",
        model=f"{ARM}/models/m/versions/1",
        code_configuration=CodeConfiguration(code=f"{ARM}/codes/c/versions/1", scoring_script="gone.py"),
        compute=f"{ARM}/computes/c",
        tags={"old": "1", "gone": "2"},
        partition_keys=("a", "b"),
        id=f"{ARM}/batchEndpoints/myep/deployments/dep-one",
        provisioning_state="Succeeded",
        creation_context=created_now("ana"),
    )
    changes = [
        *parse_set(["settings.mini_batch_size=4", "settings.instance_count=2", "tags.new=x"]),
        *parse_remove(["tags.gone"]),
        *parse_add(["partition_keys", "c"]),
        *parse_remove(["partition_keys", "0"]),
    ]
    expected = stored.model_copy(
        update={
            "mini_batch_size": 4,
            "resources": Resources(instance_count=2),
            "tags": {"old": "1", "new": "x"},
            "partition_keys": ("b", "c"),
            "description": "d",
        }
    )
    assert amended(stored, changes=changes, flags={"description": "d"}) == expected


def test_amending_refuses_what_a_file_may_not_say_either() -> None:
    with pytest.raises(ValidationFailed) as caught:
        amended(Endpoint(name="myep"), changes=parse_set(["auth_mode=key", "scoring=1"]))
    assert [problem.key for problem in caught.value.problems] == ["--set scoring", "--set auth_mode"]
    with pytest.raises(ValidationFailed) as caught:
        amended(Endpoint(name="myep"), changes=[*parse_add(["scoring", "a=b"]), *parse_set(["auth_mode=key"])])
    assert [problem.key for problem in caught.value.problems] == ["--add scoring", "--set auth_mode"]
