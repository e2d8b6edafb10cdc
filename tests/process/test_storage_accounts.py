"""Datastores, storage accounts and pending uploads are what clients of the field take them for, in each workspace."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from batchpoint.entities.workspace import PROVIDER
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.storage.content import content_hash
from batchpoint.upkeep import prune
from batchpoint.upkeep.rules import Limits
from tests.process.servers import SPACE
from tests.process.storage_account import StorageAccount, storage_account

GROUP = f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/default"
OTHER = f"{GROUP}/providers/{PROVIDER}/workspaces/other"
STORE = "azureml-blobstore"
SDK = {"User-Agent": "azure-ai-ml/1.35.2 azsdk-python-mgmt-machinelearningservices/0.1.0"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("accounts") / "home") as account:
        account.folder(STORE).mkdir(parents=True)
        yield account


@pytest.fixture(scope="module")
def http(account: StorageAccount) -> Iterator[httpx.Client]:
    with account.owner() as http:
        http.put(OTHER, json={"location": "here"}).raise_for_status()
        yield http


def got(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def test_a_folder_is_a_container_to_clients_of_the_field(account: StorageAccount, http: httpx.Client) -> None:
    found = got(http.get(f"{SPACE}/datastores?isDefault=true"))["value"]
    properties = found[0]["properties"]
    host = account.server.url.partition("://")[2]
    assert len(found) == 1
    assert (properties["datastoreType"], properties["isDefault"]) == ("AzureBlob", True)
    assert (properties["accountName"], properties["containerName"]) == ("batchpoint", STORE)
    assert (properties["endpoint"], properties["protocol"]) == (host, "http")
    assert properties["credentials"] == {"credentialsType": "Sas"}
    assert properties["batchpoint"]["path"] == str(account.folder(STORE))
    artifacts = got(http.get(f"{SPACE}/datastores/workspaceartifactstore"))["properties"]
    assert (artifacts["containerName"], artifacts["isDefault"]) == ("azureml", False)


def test_the_sdk_finds_the_account_without_any_name_service(account: StorageAccount, http: httpx.Client) -> None:
    properties = got(http.get(f"{SPACE}/datastores/workspaceblobstore", headers=SDK))["properties"]
    host = account.server.url.partition("://")[2]
    assert properties["accountName"] == f"{host}/batchpoint#"


def test_what_is_elsewhere_is_told_as_what_it_is(http: httpx.Client) -> None:
    credentials = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "c2VjcmV0"}}
    sent = {"datastoreType": "AzureBlob", "accountName": "acct", "containerName": "box", "credentials": credentials}
    http.put(f"{SPACE}/datastores/far?skipValidation=true", json={"properties": sent}).raise_for_status()
    found = http.get(f"{SPACE}/datastores/far", headers=SDK)
    properties = got(found)["properties"]
    assert (properties["accountName"], properties["credentials"]) == ("acct", {"credentialsType": "AccountKey"})
    assert "batchpoint" not in properties
    assert "c2VjcmV0" not in found.text
    assert got(http.post(f"{SPACE}/datastores/far/listSecrets"))["key"] == "c2VjcmV0"


def test_each_workspace_has_an_account_of_its_own(account: StorageAccount, http: httpx.Client) -> None:
    listed = got(http.get(f"{GROUP}/providers/Microsoft.Storage/storageAccounts"))["value"]
    names = {one["tags"]["workspace"]: one["name"] for one in listed}
    assert names["default"] == "batchpoint"
    assert names["other"].startswith("bp")
    theirs = got(http.get(f"{OTHER}/datastores/workspaceblobstore"))["properties"]
    assert theirs["accountName"] == names["other"]
    Path(theirs["batchpoint"]["path"], "theirs").write_text("1")
    ours = got(http.post(f"{SPACE}/datastores/workspaceblobstore/listSecrets"))["sasToken"]
    with account.http() as nobody:
        assert nobody.get(f"/{names['other']}/{STORE}/theirs?{ours}").status_code == 403
        token = got(http.post(f"{OTHER}/datastores/workspaceblobstore/listSecrets"))["sasToken"]
        assert nobody.get(f"/{names['other']}/{STORE}/theirs?{token}").content == b"1"


def test_a_command_line_makes_a_connection_of_keys_and_endpoint(account: StorageAccount, http: httpx.Client) -> None:
    path = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/batchpoint"
    shown = got(http.get(path.replace("resourceGroups", "resourcegroups")))
    assert shown["properties"]["primaryEndpoints"]["blob"] == f"{account.url}/"
    keys = got(http.post(f"{path}/listKeys"))["keys"]
    assert [one["keyName"] for one in keys] == ["key1", "key2"]
    assert keys[0]["value"] == account.key
    everywhere = f"/subscriptions/{DEFAULT_SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts"
    assert {one["name"] for one in got(http.get(everywhere))["value"]} >= {"batchpoint"}
    assert http.get(f"{path}x").status_code == 404


def sent(nobody: httpx.Client, signed_url: str, name: str, content: bytes) -> None:
    address, _, query = signed_url.partition("?")
    put = nobody.put(f"{address}/{name}?{query}", content=content, headers={"x-ms-blob-type": "BlockBlob"})
    assert put.status_code == 201, put.text


@pytest.mark.parametrize(("segment", "key"), [("codes", "codeUri"), ("models", "modelUri")])
def test_what_was_sent_first_is_registered_by_its_address(
    account: StorageAccount, http: httpx.Client, tmp_path: Path, segment: str, key: str
) -> None:
    version = f"{SPACE}/{segment}/pending/versions/1"
    upload = {"pendingUploadType": "TemporaryBlobReference"}
    reference = got(http.post(f"{version}/startPendingUpload", json=upload))["blobReferenceForConsumption"]
    assert reference["credential"]["credentialType"] == "SAS"
    with account.http() as nobody:
        sent(nobody, reference["credential"]["sasUri"], "src/score.py", b"def run(batch): ...\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_bytes(b"def run(batch): ...\n")
    made = got(http.put(version, json={"properties": {key: f"{reference['blobUri']}/src"}}))
    copy = f"LocalUpload/{content_hash(tmp_path / 'src')}/src"
    assert made["properties"][key].rstrip("/").endswith(copy)
    assert (account.folder(STORE) / copy / "score.py").is_file()


@pytest.mark.parametrize("form", ["{url}/{store}/{path}", "https://{host}/batchpoint#.blob.{host}/{store}/{path}"])
def test_an_address_of_ours_is_read_where_it_lies(account: StorageAccount, http: httpx.Client, form: str) -> None:
    folder = account.folder(STORE) / "LocalUpload" / "0" / "m"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text("w")
    host = account.server.url.partition("://")[2]
    address = form.format(url=account.url, host=host, store=STORE, path="LocalUpload/0/m")
    version = f"{SPACE}/models/addressed{len(form)}/versions/1"
    made = got(http.put(version, json={"properties": {"modelUri": address}}))
    assert made["properties"]["modelUri"].endswith("workspaceblobstore/paths/LocalUpload/0/m/")
    missing = http.put(version.replace("/1", "/2"), json={"properties": {"modelUri": f"{address}/none"}})
    assert missing.status_code == 404


def test_a_signature_in_an_address_is_not_kept(account: StorageAccount, http: httpx.Client) -> None:
    (account.folder(STORE) / "LocalUpload" / "s" / "m").mkdir(parents=True)
    (account.folder(STORE) / "LocalUpload" / "s" / "m" / "weights").write_text("w")
    address = f"{account.url}/{STORE}/LocalUpload/s/m?{account.signature(STORE)}"
    made = http.put(f"{SPACE}/models/signed/versions/1", json={"properties": {"modelUri": address}})
    assert "sig=" not in made.raise_for_status().text


def test_a_token_opens_what_its_role_allows_where_it_was_given(account: StorageAccount, http: httpx.Client) -> None:
    (account.folder(STORE) / "read-me").write_text("1")
    program = got(http.post("/batchpoint/v1/principals", json={"name": "reporter"}))
    given = {"principal": "reporter", "role": "Reader", "scope": SPACE}
    http.post("/batchpoint/v1/assignments", json=given).raise_for_status()
    form = {"grant_type": "client_credentials", "client_id": program["clientId"], "client_secret": program["password"]}

    def token(resource: str) -> str:
        asked = http.post(f"/{program['tenant']}/oauth2/v2.0/token", data={**form, "scope": f"{resource}/.default"})
        return str(got(asked)["access_token"])

    elsewhere = got(http.get(f"{OTHER}/datastores/workspaceblobstore"))["properties"]["accountName"]
    with account.http(token("https://storage.azure.com")) as reader:
        assert reader.get(f"/batchpoint/{STORE}/read-me").content == b"1"
        assert reader.get(f"/batchpoint/{STORE}?restype=container&comp=list").status_code == 200
        block = {"x-ms-blob-type": "BlockBlob"}
        for refused in (
            reader.put(f"/batchpoint/{STORE}/read-me", content=b"2", headers=block),
            reader.delete(f"/batchpoint/{STORE}/read-me"),
            reader.put("/batchpoint/another?restype=container"),
            reader.get(f"/{elsewhere}/azureml/x"),
        ):
            assert refused.status_code == 403, refused.text
    with account.http(token("https://management.azure.com")) as manager:
        assert manager.get(f"/batchpoint/{STORE}/read-me").headers["x-ms-error-code"] == "InvalidAuthenticationInfo"
        assert got(manager.get(f"{SPACE}/datastores/workspaceblobstore"))["name"] == "workspaceblobstore"
        assert manager.post(f"{SPACE}/datastores/workspaceblobstore/listSecrets").status_code == 403
        keys = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/batchpoint/listKeys"
        assert manager.post(keys).status_code == 403


def test_an_account_is_also_the_first_word_of_a_host(account: StorageAccount, http: httpx.Client) -> None:
    (account.folder(STORE) / "hosted").write_text("1")
    query = account.signature(STORE)
    with account.http() as nobody:
        for host, status in (
            ("batchpoint.blob.localhost", 200),
            ("batchpoint.blob.core.windows.net:443", 200),
            ("other.blob.localhost", 401),
            ("bp0123456789abcdef.blob.localhost", 401),
        ):
            answer = nobody.get(f"/{STORE}/hosted?{query}", headers={"Host": host})
            assert answer.status_code == status, host
        there = {"Host": "batchpoint.blob.localhost"}
        assert nobody.get(f"/{STORE}/hosted", headers=there).headers["x-ms-error-code"] == "NoAuthenticationInformation"


def test_what_is_registered_never_changes(account: StorageAccount, http: httpx.Client) -> None:
    place = f"{STORE}/LocalUpload/{'5a' * 32}/m"
    client = account.client()
    blob = client.get_blob_client(STORE, f"LocalUpload/{'5a' * 32}/m/score.py")
    blob.upload_blob(b"first")
    blob.upload_blob(b"second", overwrite=True)
    http.put(f"{SPACE}/models/fixed/versions/1", json={"properties": {"modelUri": f"{account.url}/{place}"}})
    beside = client.get_blob_client(STORE, f"LocalUpload/{'5a' * 32}/m/json.py")
    for change in (
        lambda: blob.upload_blob(b"third", overwrite=True),
        lambda: blob.delete_blob(),
        lambda: beside.upload_blob(b"new"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            change()
        assert refused.value.status_code == 409
        assert "never changes" in str(refused.value)
    blob.upload_blob(b"second", overwrite=True)
    blob.set_blob_metadata({"upload_status": "completed"})
    assert blob.download_blob().readall() == b"second"


def test_uploads_that_nobody_registered_are_pruned(account: StorageAccount, http: httpx.Client) -> None:
    began = got(http.post(f"{SPACE}/codes/never/versions/1/startPendingUpload", json={}))
    container = began["pendingUploadId"]
    with account.http() as nobody:
        sent(nobody, began["blobReferenceForConsumption"]["credential"]["sasUri"], "a.py", b"1")
    place = account.folder(container)
    old = time.time() - 90 * 86400
    for path in (*place.rglob("*"), place):
        os.utime(path, (old, old))
    home = account.server.home
    prune.remove(home, prune.look(home, Limits()))
    assert not place.exists()
