"""Models, data, environments and code: every verb changes something, and another verb reads it back."""

import os
import sys
from pathlib import Path

import pytest

from batchpoint.errors import ReferenceInvalid
from batchpoint.local import connect
from batchpoint.settings import Settings
from tests.acceptance.command_line import Az, with_deployment

GROUPS = {
    "model": "--path model",
    "data": "--path data",
    "dataset": "--paths folder:data",
    "environment": f"--python {sys.executable}",
}
EVERY = pytest.mark.parametrize("group", GROUPS)
#: ``dataset`` is ``data`` by another word.
EACH = pytest.mark.parametrize("group", ["model", "data", "environment"])


def create(az: Az, group: str, version: str, flags: str = "") -> None:
    az(f"{group} create --name thing --version {version} {GROUPS[group]} {flags} -o none")


def versions(az: Az, group: str, flags: str = "") -> list[str]:
    return sorted(az(f"{group} list --name thing {flags} --query [].version -o tsv").out.split())


def names(az: Az, group: str, flags: str = "") -> list[str]:
    return az(f"{group} list {flags} --query [].name -o tsv").out.split()


@EACH
def test_an_archived_version_is_hidden_from_lists_and_still_shown(group: str, az: Az) -> None:
    create(az, group, "1")
    create(az, group, "2")
    assert az(f"{group} archive --name thing --version 2").out == ""
    assert versions(az, group) == ["1"]
    assert versions(az, group, "--archived-only") == ["2"]
    assert versions(az, group, "--include-archived") == ["1", "2"]
    assert az(f"{group} list --query [].latest_version -o tsv").out == "1\n"
    assert az(f"{group} show --name thing --version 2 --query version -o tsv").out == "2\n"
    az(f"{group} restore --name thing --version 2")
    assert versions(az, group) == ["1", "2"]
    az(f"{group} archive --name thing --label latest")
    assert versions(az, group) == ["1"]


@EACH
def test_an_archived_name_hides_all_versions_and_is_restored_as_a_whole(group: str, az: Az) -> None:
    create(az, group, "1")
    az(f"{group} archive --name thing")
    create(az, group, "2")
    assert (names(az, group), versions(az, group)) == ([], [])
    assert names(az, group, "--archived-only") == ["thing"]
    assert names(az, group, "--include-archived") == ["thing"]
    refused = az(f"{group} restore --name thing --version 1", code=1)
    assert "All versions of the" in refused.err
    assert "restore --name thing" in refused.err
    az(f"{group} restore --name thing")
    assert versions(az, group) == ["1", "2"]


@EACH
def test_what_may_change_of_a_version_changes_and_its_content_stays(group: str, az: Az) -> None:
    create(az, group, "1", "--tags a=b c=d")
    made = az(f"{group} show --name thing --version 1").json
    edits = "--set description=New tags.e=f properties.owner=me --remove tags.a --add tags g=h"
    changed = az(f"{group} update --name thing --version 1 {edits}").json
    assert changed["tags"] == {"c": "d", "e": "f", "g": "h"}
    assert (changed["description"], changed["properties"]) == ("New", {"owner": "me"})
    assert az(f"{group} show --name thing --label latest").json == changed
    assert {**changed, **{key: made[key] for key in made}}.keys() == changed.keys() | made.keys()
    assert changed["creation_context"]["created_at"] == made["creation_context"]["created_at"]
    again = az(f"{group} update --name thing --label latest --description Other --tags only=this").json
    assert (again["description"], again["tags"]) == ("Other", {"only": "this"})
    forced = az(f"{group} update --name thing --version 1 --set tags.n=null --force-string").json
    assert forced["tags"]["n"] == "null"


@pytest.mark.parametrize(
    ("group", "change"),
    [
        ("model", "path=data"),
        ("model", "type=triton_model"),
        ("data", "type=uri_file"),
        ("environment", "os_type=windows"),
    ],
)
def test_an_update_of_content_names_what_can_be_changed(group: str, change: str, az: Az) -> None:
    create(az, group, "1")
    before = az(f"{group} show --name thing --version 1").out
    key = change.partition("=")[0]
    refused = az(f"{group} update --name thing --version 1 --set {change}", code=1)
    assert f"The {key} of a" in refused.err
    assert "description, tags, properties" in refused.err
    assert az(f"{group} show --name thing --version 1").out == before


def test_an_update_keeps_name_and_version(az: Az) -> None:
    create(az, "model", "1")
    assert "names stay" in az("model update --name thing --version 1 --set version=2", code=1).err
    assert "names stay" in az("model update --name thing --version 1 --set name=other", code=1).err
    assert (names(az, "model"), versions(az, "model")) == (["thing"], ["1"])


def test_a_version_that_exists_with_other_content_names_what_can_be_changed(az: Az) -> None:
    create(az, "data", "1")
    refused = az("data create --name thing --version 1 --path model", code=1)
    assert "(what can be changed of one: description, tags, properties)" in refused.err


@EVERY
def test_a_deleted_version_is_gone_and_its_number_is_free(group: str, az: Az) -> None:
    create(az, group, "1")
    create(az, group, "2")
    assert "Add --yes" in az(f"{group} delete --name thing --version 2", code=1).err
    assert az(f"{group} delete --name thing --version 2 --yes").out == ""
    assert versions(az, group) == ["1"]
    assert az(f"{group} show --name thing --version 2", code=3).out == ""
    assert "Nothing to delete" in az(f"{group} delete --name thing --version 2 --yes").err
    create(az, group, "2")
    az(f"{group} delete --name thing --yes")
    assert names(az, group, "--include-archived") == []
    create(az, group, "1", "--description Again")
    assert versions(az, group) == ["1"]


@pytest.mark.parametrize("which", [{"version": ""}, {"label": ""}])
def test_an_empty_version_never_stands_for_all(which: dict[str, str], az: Az) -> None:
    az("model create -n svc -p model -o none")
    with connect(Settings.load()) as client:
        for act in (client.models.delete, client.models.archive):
            with pytest.raises(ReferenceInvalid):
                act("svc", **which)
    assert az("model list -n svc --query [].version").json == ["1"]


def test_an_asset_that_a_deployment_uses_is_not_deleted_but_can_be_archived(az: Az) -> None:
    with_deployment(az)
    shown = az("batch-deployment show -n blue -e digits").json
    model, code = shown["model"].split("/"), shown["code_configuration"]["code"].split("/")
    refused = az(f"model delete --name {model[-3]} --version {model[-1]} --yes", code=1)
    assert "Deployment blue of endpoint digits uses the model" in refused.err
    assert "batch-deployment update --name blue --endpoint-name digits --set model=" in refused.err
    assert "blue" in az(f"model delete --name {model[-3]} --yes", code=1).err
    az(f"model archive --name {model[-3]}")
    assert az("model list").json == []
    az("batch-deployment update -n blue -e digits --set mini_batch_size=3 -o none")
    assert az(f"code list --name {code[-3]} --query [].version -o tsv").out == "1\n"
    az("batch-deployment create -f deployment.yml --name green -o none")
    az("batch-deployment delete -n green -e digits --yes")
    az("batch-endpoint delete -n digits --yes")
    az(f"model delete --name {model[-3]} --version {model[-1]} --yes")
    assert az("model list --include-archived").json == []


def test_code_is_shown_and_listed(az: Az) -> None:
    with_deployment(az)
    name = az("batch-deployment show -n blue -e digits").json["code_configuration"]["code"].split("/")[-3]
    assert az("code list --query [].name -o tsv").out == f"{name}\n"
    shown = az(f"code show --name {name} --version 1").json
    assert shown["path"].startswith("azureml://datastores/workspaceblobstore/paths/LocalUpload/")
    assert az(f"code show --name {name} --label latest").json == shown


def test_a_model_comes_back_in_a_folder_named_after_it(az: Az) -> None:
    Path("model/deep").mkdir()
    Path("model/deep/weights.bin").write_bytes(bytes(range(256)) * 10)
    create(az, "model", "1")
    assert az("model download --name thing --version 1 --download-path got").out == ""
    assert Path("got/thing/offset.txt").read_text() == "100"
    assert Path("got/thing/deep/weights.bin").read_bytes() == bytes(range(256)) * 10
    assert os.listdir("got") == ["thing"]


def test_a_model_of_one_file_keeps_its_name(az: Az) -> None:
    az("model create --name single --path model/offset.txt -o none")
    Path("single").mkdir()
    az("model download --name single --label latest")
    assert Path("single/offset.txt").read_text() == "100"


def test_a_download_leaves_what_is_there_alone(az: Az) -> None:
    create(az, "model", "1")
    Path("thing").mkdir()
    Path("thing/mine.txt").write_text("mine")
    refused = az("model download --name thing --version 1", code=1)
    assert "is there already" in refused.err
    assert "--download-path" in refused.err
    assert os.listdir("thing") == ["mine.txt"]


def test_a_download_below_a_file_says_which(az: Az) -> None:
    az("model create -n svc -p model -o none")
    refused = az("model download -n svc -v 1 -p endpoint.yml/models", code=1)
    assert "endpoint.yml is a file" in refused.err and "--download-path" in refused.err


def test_a_download_that_breaks_off_leaves_nothing(az: Az, home: Path) -> None:
    Path("model/second.txt").write_text("2")
    create(az, "model", "1")
    stored = next((home / "datastores").rglob("second.txt"))
    stored.unlink()
    stored.symlink_to("/nowhere")
    az("model download --name thing --version 1 --download-path got", code=1)
    assert not Path("got").exists() or os.listdir("got") == []


def test_models_are_listed_by_stage(az: Az) -> None:
    create(az, "model", "1", "--stage Production")
    az("model create --name other --path model --stage Development -o none")
    assert names(az, "model", "--stage Production") == ["thing"]
    az("model update --name thing --version 1 --stage Archived -o none")
    assert names(az, "model", "--stage Production") == []


@pytest.mark.parametrize("count", ["0", "-3", "many", "1.5"])
def test_a_count_that_is_none_is_a_usage_error(count: str, az: Az) -> None:
    for group in (*GROUPS, "code", "job"):
        assert "--max-results" in az(f"{group} list --max-results={count}", code=2).err


def test_an_update_of_an_environment_is_refused_with_its_article(az: Az) -> None:
    az("environment create -n sk --image any --conda-file conda.yml -o none")
    assert "The image of an environment" in az("environment update -n sk -v 1 --set image=other", code=1).err


@pytest.mark.parametrize(("tags", "said"), [("a=", "--tags a: a tag needs a value"), ("=b", "--tags =b: the name")])
def test_a_tag_has_a_name_and_a_value(tags: str, said: str, az: Az) -> None:
    assert said in az(f"model create -n svc -p model --tags {tags}", code=2 if tags == "=b" else 1).err
    assert az("model list").json == []


def test_another_datastore_for_an_upload_is_said_to_be_left_out(az: Az) -> None:
    told = az("model create -n svc -p model --datastore elsewhere --query path -o tsv")
    assert told.out.startswith("azureml://datastores/workspaceblobstore/paths/")
    assert "--datastore elsewhere" in told.err and "workspaceblobstore" in told.err
    assert az("model create -n svc -p model --datastore workspaceblobstore -o none").err == ""


def test_data_is_described_by_one_letter(az: Az) -> None:
    az("data create -n thing -v 1 -p data -t uri_folder -d Mine -o none")
    assert az("data show -n thing -v 1 --query description -o tsv").out == "Mine\n"


def test_a_cut_list_says_so(az: Az) -> None:
    for version in "123":
        create(az, "data", version)
    cut = az("data list --name thing --max-results 2 --query [].version -o tsv")
    assert (cut.out.split(), "only the first 2 of 3" in cut.err) == (["3", "2"], True)
    assert "exclude each other" in az("data list --archived-only --include-archived", code=2).err


@EACH
def test_one_version_is_named_by_number_or_by_label(group: str, az: Az) -> None:
    create(az, group, "1")
    for verb in ("show", "update"):
        assert "exactly one of --version and --label" in az(f"{group} {verb} --name thing", code=2).err
    for verb in ("archive", "restore", "delete"):
        both = az(f"{group} {verb} --name thing --version 1 --label latest", code=2)
        assert "--version and --label" in both.err
    assert az(f"{group} archive --name nothing", code=1).err.startswith("(ResourceNotFound)")
    assert az(f"{group} archive --name nothing --version 1", code=1).err.startswith("(ResourceNotFound)")


NOT_OFFERED = (
    ("component create --file component.yml", "batch-deployment create"),
    ("component list -o table", "batch-deployment create"),
    ("model share --name m --version 1 --registry-name r", "model download"),
    ("model package -n m -v 1 --file p.yml", "batch-deployment create"),
    ("data import --name d --path p", "data create"),
    ("data mount azureml:d:1 --mount-point /mnt", "invoke --input"),
    ("data share --name d", "data create"),
    ("data list-materialization-status --name d", "invoke --input"),
    ("model list --registry-name azureml", "Leave out --registry-name"),
)


def test_what_is_not_offered_says_what_is(az: Az) -> None:
    for line, instead in NOT_OFFERED:
        refused = az(line, code=1)
        assert refused.err.startswith("(NotSupported) "), line
        assert instead in refused.err, line
        assert refused.out == "", line


def test_the_version_of_an_environment_may_be_a_sha256(az: Az) -> None:
    version = "0123456789abcdef" * 4
    az(f"environment create --name thing --version {version} --python {sys.executable} -o none")
    assert versions(az, "environment") == [version]
    assert "1 to 64" in az(f"environment create --name thing --version {version}0 --python x", code=1).err
