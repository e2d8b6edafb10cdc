"""Every way to name an input and an output, resolved against a home with datastores, assets and a job."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.arm.envelope import ids
from batchpoint.entities.data import DataAsset, Input
from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.entities.from_yaml import load
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import BatchpointError
from batchpoint.server.identity.caller import OWNER
from batchpoint.server.identity.links import Links
from batchpoint.server.intake.creation import create_asset
from batchpoint.server.intake.data_places import frozen_input, frozen_output
from batchpoint.server.intake.datastores import create_datastore
from batchpoint.server.lookup import ControlPlane, Desk
from batchpoint.settings import Settings
from batchpoint.storage.datastores import default_datastore
from batchpoint.storage.uri import LocalPath, parse_uri
from batchpoint.store.store import open_store

WS = Workspace("sub", "group", "ws")
LONG = "azureml://subscriptions/sub/resourcegroups/GROUP/workspaces/ws"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("places")


@pytest.fixture(scope="module")
def desk(root: Path) -> Iterator[Desk]:
    """Datastores ``blobs``, ``lake``, ``objects`` (from ``team/`` on) and ``mine``, a folder; jobs that wrote there."""
    (root / "mine" / "in").mkdir(parents=True)
    (root / "mine" / "in" / "a.csv").write_text("a")
    with open_store(root / "home") as store:
        desk = Desk(ControlPlane(store, Settings(home=root / "home"), lambda: None, Links("k")), WS, "", OWNER)
        for datastore in (
            Datastore(name="blobs", type="azure_blob", account_name="acct", container_name="box"),
            Datastore(name="lake", type="azure_data_lake_gen2", account_name="acct", filesystem="files"),
            Datastore(name="objects", type="s3", bucket="bucket", prefix="team/"),
            Datastore(name="mine", type="local_folder", path=str(root / "mine")),
        ):
            create_datastore(desk, datastore, skip_validation=True)
        for name, path, kind in (
            ("far", "azureml://datastores/blobs/paths/in/", "uri_folder"),
            ("file", "https://h/x.csv", "uri_file"),
        ):
            create_asset(desk, DataAsset.model_validate({"name": name, "version": "3", "path": path, "type": kind}))
        _job(desk, "here", str(root / "mine" / "out"), None)
        _job(desk, "there", "out/deep", store.get_datastore(WS.key, "blobs"))
        yield desk


def _job(desk: Desk, name: str, folder: str, store: Datastore | None) -> None:
    Path(folder).mkdir(exist_ok=True) if store is None else None
    settings = JobSettings(
        code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder=folder, output_store=store
    )
    desk.store.create_job(WS.key, Job(name=name, endpoint_name="e", deployment_name="d", settings=settings))


BLOBS = "azureml://datastores/blobs/paths"


@pytest.mark.parametrize(
    ("text", "path", "store"),
    [
        (f"{BLOBS}/in/", f"{BLOBS}/in/", "blobs"),
        (f"{BLOBS}/in", f"{BLOBS}/in", "blobs"),
        (f"{BLOBS}/", f"{BLOBS}/", "blobs"),
        (f"folder:{BLOBS}/in/", f"{BLOBS}/in/", "blobs"),
        (f"{LONG}/datastores/blobs/paths/in/", f"{BLOBS}/in/", "blobs"),
        (f"{ids.datastore_id(WS, 'blobs')}/paths/in/", f"{BLOBS}/in/", "blobs"),
        (f"azureml:{ids.datastore_id(WS, 'blobs')}/paths/in/", f"{BLOBS}/in/", "blobs"),
        ("azureml://datastores/blobs/in/without-paths", f"{BLOBS}/in/without-paths", "blobs"),
        ("wasbs://box@acct.blob.core.windows.net/in/", f"{BLOBS}/in/", "blobs"),
        ("WASB://box@acct.blob.core.windows.net/in a%20b", f"{BLOBS}/in a%20b", "blobs"),
        ("abfss://files@acct.dfs.core.windows.net/in/", "azureml://datastores/lake/paths/in/", "lake"),
        ("s3://bucket/team", "azureml://datastores/objects/paths/", "objects"),
        ("s3://bucket/team/", "azureml://datastores/objects/paths/", "objects"),
        ("s3://bucket/team/in/", "azureml://datastores/objects/paths/in/", "objects"),
        ("s3a://bucket/team/in/x.csv", "azureml://datastores/objects/paths/in/x.csv", "objects"),
        ("azureml://jobs/there/outputs/score/paths/x.csv", f"{BLOBS}/out/deep/x.csv", "blobs"),
        ("azureml://jobs/there/outputs/score", f"{BLOBS}/out/deep/", "blobs"),
        ("azureml:far:3", f"{BLOBS}/in/", "blobs"),
        ("azureml:far@latest", f"{BLOBS}/in/", "blobs"),
        (ids.asset_id(WS, "data", "far", "3"), f"{BLOBS}/in/", "blobs"),
        (f"{LONG}/data/far/versions/3", f"{BLOBS}/in/", "blobs"),
        ("azureml://data/far/versions/3", f"{BLOBS}/in/", "blobs"),
        ("azureml://locations/local/workspaces/ws/data/far/versions/3", f"{BLOBS}/in/", "blobs"),
        ("azureml://locations/local/workspaces/ws/data/far/versions/labels/latest", f"{BLOBS}/in/", "blobs"),
        ("https://host/box/in", "https://host/box/in", ""),
        ("azureml:file:3", "https://h/x.csv", ""),
    ],
)
def test_a_place_elsewhere_is_frozen_with_its_datastore(desk: Desk, text: str, path: str, store: str) -> None:
    found = frozen_input(desk, Input(path=text))
    assert found.input.path == path
    assert (found.store.name if found.store else "") == store
    assert found.store is None or (found.store.credentials is None and found.store.id)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("azureml://datastores/mine/paths/in/", "in"),
        (f"{LONG}/datastores/mine/paths/in/a.csv", "in/a.csv"),
        ("azureml://jobs/here/outputs/score/paths/", "out"),
        ("azureml://jobs/here/outputs/artifacts", "out"),
    ],
)
def test_a_place_of_a_second_local_datastore_is_a_path(desk: Desk, root: Path, text: str, inside: str) -> None:
    found = frozen_input(desk, Input(path=text))
    assert (found.input.path, found.store) == (str(root / "mine" / inside), None)
    assert found.input.type == ("uri_file" if inside.endswith(".csv") else "uri_folder")


@pytest.mark.parametrize(
    ("text", "folder", "store"),
    [
        (f"{BLOBS}/out/deep", "out/deep", "blobs"),
        (f"folder:{BLOBS}/out/", "out", "blobs"),
        (f"{BLOBS}/", "", "blobs"),
        (f"{ids.datastore_id(WS, 'blobs')}/paths/out", "out", "blobs"),
        ("s3://bucket/team/out", "out", "objects"),
        ("s3://bucket/team", "", "objects"),
        ("azureml://datastores/mine/paths/out", "{mine}/out", ""),
        (None, "{blobs}/azureml/j/score", ""),
    ],
)
def test_an_output_goes_to_any_datastore(desk: Desk, root: Path, text: str | None, folder: str, store: str) -> None:
    found = frozen_output(desk, "j", text)
    assert found.folder == folder.format(mine=root / "mine", blobs=default_datastore(root / "home", WS).path)
    assert (found.store.name if found.store else "") == store
    assert found.uri.startswith("azureml://datastores/")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("azureml://datastores/nowhere/paths/x", "There is no datastore nowhere"),
        (f"{BLOBS}/../x", "without '..' segments"),
        ("wasbs://other@acct.blob.core.windows.net/x", "type: azure_blob, account_name: acct, container_name: other"),
        ("abfss://box@elsewhere.dfs.core.windows.net/x", "account_name: elsewhere, container_name: box"),
        ("s3://bucket/other/x", "type: s3, bucket: bucket"),
        ("s3://bucket/../x", "without '..' segments"),
        ("wasbs://acct.blob.core.windows.net/x", "wasbs://<container>@<account>"),
        ("gs://bucket/x", "gs:// is not known"),
        ("file::s3://bucket/x", "relative path"),
        ("azureml:far:9", "far with version 9"),
        ("azureml:nothing:1", "no data asset nothing"),
        ("azureml:far", "neither a version nor a label"),
        ("azureml://registries/r/data/far/versions/1", "shared registry"),
        ("azureml://jobs/none/outputs/score", "no job none"),
        ("runs:/abc/x", "only models are fetched"),
        ("models:/abc/1", "only models are fetched"),
        ("relative/path", "relative path"),
        ("/no/such/folder", "no folder or file at /no/such/folder"),
        ("https:///x", "names no host"),
    ],
)
def test_a_place_that_cannot_be_used_is_answered_with_what_to_do(desk: Desk, text: str, told: str) -> None:
    with pytest.raises(BatchpointError) as raised:
        frozen_input(desk, Input(path=text))
    assert told in raised.value.message


def test_of_two_datastores_for_one_place_the_one_with_credentials_is_meant(desk: Desk) -> None:
    keys = Credentials.model_validate({"access_key": "a", "secret_key": "b"})
    for name, credentials in (("a-open", None), ("b-keys", keys), ("c-keys", keys)):
        datastore = Datastore(name=name, type="s3", bucket="shared", credentials=credentials)
        create_datastore(desk, datastore, skip_validation=True)
    found = frozen_input(desk, Input(path="s3://shared/in/"))
    assert found.store is not None
    assert found.store.name == "b-keys"


@pytest.mark.parametrize("text", ["https://host/x/", "azureml:far:3", "relative", "s3://unknown/x"])
def test_an_output_that_is_no_folder_of_a_datastore_is_refused(desk: Desk, text: str) -> None:
    with pytest.raises(BatchpointError) as raised:
        frozen_output(desk, "j", text)
    assert raised.value.message


GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "data.md"


def test_every_input_that_the_guide_shows_is_read(desk: Desk) -> None:
    shown = re.findall(r"`--input ([^` ]+)", GUIDE.read_text())
    assert len(shown) >= 12
    for text in shown:
        found = parse_uri(text.replace("<datastore>", "blobs"))
        assert not isinstance(found, LocalPath) or ":" not in text, text


def test_the_datastore_that_the_guide_shows_can_be_loaded(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(name: photos.*?)```", GUIDE.read_text(), re.S)
    (tmp_path / "photos.yml").write_text(block)
    assert load(Datastore, tmp_path / "photos.yml").place == "https://contosophotos.blob.core.windows.net/originals"
