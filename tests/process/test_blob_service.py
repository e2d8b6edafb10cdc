"""The official client of blob storage, unmodified, works with the folders of a workspace."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient, ContentSettings

from batchpoint.entities.datastore import Datastore
from batchpoint.storage.accounts.blocks import blocks_of
from batchpoint.storage.atomic import is_aside
from batchpoint.storage.lock import is_locked
from tests.process.homes import eventually
from tests.process.servers import SPACE
from tests.process.storage_account import StorageAccount, storage_account

STORE = "azureml-blobstore"
MB = 1 << 20


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageAccount]:
    home = tmp_path_factory.mktemp("blobs") / "home"
    with storage_account(home) as account:
        yield account
    assert not is_locked(home / "server.lock")


@pytest.fixture(scope="module")
def client(account: StorageAccount) -> BlobServiceClient:
    return account.client()


@pytest.fixture
def box(client: BlobServiceClient, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A container of the test's own."""
    container = client.create_container(f"box-{abs(hash(request.node.name)) % 10**9}")
    yield container
    with contextlib.suppress(ResourceNotFoundError):
        container.delete_container()


def code_of(error: pytest.ExceptionInfo[HttpResponseError]) -> str:
    code = getattr(error.value, "error_code", "")
    return str(getattr(code, "value", code))


def unfinished(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if is_aside(path.name)]


def test_a_blob_comes_back_with_all_that_was_said_of_it(account: StorageAccount, box: ContainerClient) -> None:
    said = ContentSettings(
        content_type="text/csv", content_language="de", cache_control="no-store", content_disposition="inline"
    )
    blob = box.get_blob_client("deep/er/zwei Wörter & <a>.csv")
    blob.upload_blob(b"a,b\n", content_settings=said, metadata={"b_a": "1", "ba": "2", "b1": "three words"})
    assert blob.download_blob().readall() == b"a,b\n"
    found = blob.get_blob_properties()
    assert found.metadata == {"b_a": "1", "ba": "2", "b1": "three words"}
    shown = found.content_settings
    assert (shown.content_type, shown.content_language, shown.cache_control) == ("text/csv", "de", "no-store")
    assert (found.size, found.blob_type, shown.content_disposition) == (4, "BlockBlob", "inline")
    assert (account.folder(box.container_name) / "deep/er/zwei Wörter & <a>.csv").read_bytes() == b"a,b\n"
    (listed,) = box.list_blobs(include=["metadata"])
    assert (listed.name, listed.metadata, listed.etag) == (found.name, found.metadata, found.etag.strip('"'))


def test_what_is_known_of_a_blob_changes_without_its_bytes(box: ContainerClient) -> None:
    blob = box.get_blob_client("a")
    before = blob.upload_blob(b"1", metadata={"a": "1"})
    changed = blob.set_blob_metadata({"upload_status": "completed"})
    assert blob.get_blob_properties().metadata == {"upload_status": "completed"}
    assert changed["etag"] != before["etag"]
    blob.set_http_headers(ContentSettings(content_type="text/plain"))
    found = blob.get_blob_properties()
    assert (found.content_settings.content_type, found.metadata) == ("text/plain", {"upload_status": "completed"})
    assert found.etag == blob.get_blob_properties().etag
    assert blob.download_blob().readall() == b"1"
    blob.upload_blob(b"2", overwrite=True)
    assert blob.get_blob_properties().metadata == {}


def test_a_large_blob_travels_in_blocks_and_comes_back_in_ranges(account: StorageAccount, box: ContainerClient) -> None:
    content = os.urandom(5 * MB + 77)
    client = account.client(block_bytes=MB, single_bytes=MB)
    blob = client.get_blob_client(box.container_name, "large")
    blob.upload_blob(content, max_concurrency=4)
    assert blob.download_blob(max_concurrency=4).readall() == content
    assert blob.download_blob(offset=MB - 1, length=3).readall() == content[MB - 1 : MB + 2]
    assert blob.download_blob(offset=5 * MB, length=MB).readall() == content[5 * MB :]
    assert [block.size for block in blob.get_block_list("all")[0]] == [MB] * 5 + [77]
    assert unfinished(account.account.folder) == []


def test_blocks_are_taken_from_what_was_sent_and_from_the_blob_that_is_there(box: ContainerClient) -> None:
    blob = box.get_blob_client("blocks")
    for name, content in (("one", b"1"), ("two", b"22"), ("three", b"333")):
        blob.stage_block(name, content)
    assert [block.size for block in blob.get_block_list("uncommitted")[1]] == [1, 3, 2]
    assert not blob.exists()
    blob.commit_block_list([BlobBlock("three"), BlobBlock("one"), BlobBlock("three")])
    assert blob.download_blob().readall() == b"3331333"
    assert blob.get_block_list("uncommitted")[1] == []
    blob.stage_block("one", b"x")
    blob.commit_block_list([BlobBlock("one"), BlobBlock("three")])
    assert blob.download_blob().readall() == b"x333"
    with pytest.raises(HttpResponseError) as refused:
        blob.commit_block_list([BlobBlock("two")])
    assert code_of(refused) == "InvalidBlockList"
    assert blob.download_blob().readall() == b"x333"


def test_an_empty_blob_is_one(box: ContainerClient) -> None:
    blob = box.get_blob_client("empty")
    blob.upload_blob(b"")
    assert blob.download_blob().readall() == b""


def test_conditions_are_kept(box: ContainerClient) -> None:
    blob = box.get_blob_client("a")
    first = blob.upload_blob(b"1")
    with pytest.raises(ResourceExistsError) as there:
        blob.upload_blob(b"2")
    assert code_of(there) == "BlobAlreadyExists"
    same = MatchConditions.IfNotModified
    second = blob.upload_blob(b"2", overwrite=True, etag=first["etag"], match_condition=same)
    for late in (
        lambda: blob.upload_blob(b"3", overwrite=True, etag=first["etag"], match_condition=same),
        lambda: blob.delete_blob(etag=first["etag"], match_condition=same),
        lambda: blob.download_blob(etag=first["etag"], match_condition=same),
    ):
        with pytest.raises(HttpResponseError) as refused:
            late()
        assert code_of(refused) == "ConditionNotMet"
    assert blob.download_blob(etag=second["etag"], match_condition=same).readall() == b"2"


def test_names_are_listed_in_the_order_of_bytes_page_by_page(box: ContainerClient) -> None:
    names = ["Z", "a", "a-b", "a.b", "aa/b", "aa/c/d", "aa0", "b/ü", "b/é/x", "ä"]
    for name in names:
        box.upload_blob(name, b"")
    in_order = sorted(names, key=str.encode)
    assert [one.name for one in box.list_blobs()] == in_order
    pages = list(box.list_blobs(results_per_page=3).by_page())
    assert [one.name for page in pages for one in page] == in_order
    assert [one.name for one in box.list_blobs(name_starts_with="aa")] == ["aa/b", "aa/c/d", "aa0"]
    assert [one.name for one in box.list_blobs(name_starts_with="b/é")] == ["b/é/x"]
    # Of each page, the client tells the folders first.
    level = sorted(one.name for one in box.walk_blobs(results_per_page=2))
    assert level == ["Z", "a", "a-b", "a.b", "aa/", "aa0", "b/", "ä"]
    assert {one.name for one in box.walk_blobs(name_starts_with="aa/", delimiter="/")} == {"aa/b", "aa/c/"}


def test_a_deleted_blob_leaves_nothing(account: StorageAccount, box: ContainerClient) -> None:
    box.upload_blob("x/y/z", b"1", metadata={"a": "b"})
    box.delete_blob("x/y/z")
    assert list(account.folder(box.container_name).iterdir()) == []
    assert not [path for path in (account.account.about / box.container_name / "notes").rglob("*") if path.is_file()]
    with pytest.raises(ResourceNotFoundError) as gone:
        box.delete_blob("x/y/z")
    assert code_of(gone) == "BlobNotFound"
    box.upload_blob("x", b"now a blob")


def test_a_name_is_that_of_a_blob_or_of_a_folder(box: ContainerClient) -> None:
    box.upload_blob("a", b"1")
    box.upload_blob("f/g", b"1")
    for name in ("a/b", "a/b/c", "f"):
        with pytest.raises(HttpResponseError) as refused:
            box.upload_blob(name, b"2")
        assert refused.value.status_code == 409
        assert code_of(refused) == "BlobNameConflict"
        assert "either that of a blob or that of a folder" in str(refused.value)
    assert [one.name for one in box.list_blobs()] == ["a", "f/g"]


def test_containers_come_and_go(client: BlobServiceClient) -> None:
    made = client.create_container("mine", metadata={"owner": "me"})
    assert made.exists()
    assert made.get_container_properties().metadata == {"owner": "me"}
    assert made.get_container_access_policy()["public_access"] is None
    with pytest.raises(ResourceExistsError):
        client.create_container("mine")
    listed = [one.name for one in client.list_containers(results_per_page=1)]
    assert set(listed) >= {"azureml", STORE, "mine"}
    assert listed == sorted(listed)
    assert [one.name for one in client.list_containers(name_starts_with="mi")] == ["mine"]
    made.upload_blob("a/b", b"1")
    made.get_blob_client("later").stage_block("a", b"1")
    made.delete_container()
    assert not made.exists()
    client.create_container("mine")
    with pytest.raises(ResourceNotFoundError):
        made.get_blob_client("later").get_block_list("all")
    made.delete_container()
    with pytest.raises(HttpResponseError):
        client.create_container("open-to-all", public_access="blob")
    for own in ("azureml", STORE):
        with pytest.raises(HttpResponseError) as refused:
            client.delete_container(own)
        assert refused.value.status_code == 409
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_container_client("nowhere").upload_blob("a", b"")
    assert code_of(missing) == "ContainerNotFound"


def test_what_a_job_wrote_is_a_blob(account: StorageAccount, client: BlobServiceClient) -> None:
    folder = account.folder(STORE) / "azureml" / "job" / "score"
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_bytes(b"1 2\n")
    blob = client.get_blob_client(STORE, "azureml/job/score/predictions.csv")
    assert blob.download_blob().readall() == b"1 2\n"
    before = blob.get_blob_properties()
    assert before.etag == blob.get_blob_properties().etag
    blob.set_blob_metadata({"seen": "yes"})
    (folder / "predictions.csv").write_bytes(b"another\n")
    after = blob.get_blob_properties()
    assert (after.metadata, after.size) == ({}, 8)
    assert after.etag != before.etag


def test_links_lead_nowhere(account: StorageAccount, box: ContainerClient, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    root = account.folder(box.container_name)
    (root / "file").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(root / "pipe")
    box.upload_blob("real", b"1")
    assert [one.name for one in box.list_blobs()] == ["real"]
    assert [one.name for one in box.walk_blobs()] == ["real"]
    for name in ("file", "folder/secret", "pipe"):
        assert not box.get_blob_client(name).exists()
    with pytest.raises(HttpResponseError):
        box.upload_blob("folder/new", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_registered_folder_is_a_container(account: StorageAccount, client: BlobServiceClient, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1")
    with account.owner() as http:
        made = http.put(f"{SPACE}/datastores/mine", json={"properties": {"path": str(tmp_path)}}).raise_for_status()
    container = made.json()["properties"]["containerName"]
    assert made.json()["properties"]["datastoreType"] == "AzureBlob"
    client.get_blob_client(container, "b/c.txt").upload_blob(b"2")
    assert (tmp_path / "b" / "c.txt").read_bytes() == b"2"
    assert [one.name for one in client.get_container_client(container).list_blobs()] == ["a.txt", "b/c.txt"]
    assert Datastore(name="mine").is_local


def test_adlfs_works(account: StorageAccount) -> None:
    import adlfs

    files = adlfs.AzureBlobFileSystem(
        connection_string=f"DefaultEndpointsProtocol=http;AccountName=batchpoint;AccountKey={account.key};"
        f"BlobEndpoint={account.url};",
        skip_instance_cache=True,
    )
    with files.open(f"{STORE}/adlfs/a.bin", "wb") as file:
        file.write(b"x" * 3_000_000)
    assert files.ls(f"{STORE}/adlfs") == [f"{STORE}/adlfs/a.bin"]
    assert files.cat_file(f"{STORE}/adlfs/a.bin", start=2_999_999) == b"x"
    assert files.exists(f"{STORE}/adlfs")
    assert not files.exists(f"{STORE}/nothing")


def test_a_body_of_any_length_takes_no_memory(account: StorageAccount) -> None:
    address = f"/batchpoint/{STORE}/streamed?{account.signature(STORE, 'rcwd')}"
    length, piece = 320 * MB, b"\xa5" * MB

    def body() -> Iterator[bytes]:
        for _ in range(length // MB):
            yield piece

    before, received = peak_of(account), 0
    with account.http() as http:
        sent = http.put(address, content=body(), headers={"x-ms-blob-type": "BlockBlob", "Content-Length": str(length)})
        assert sent.status_code == 201, sent.text
        with http.stream("GET", address) as answer:
            for chunk in answer.iter_raw():
                received += len(chunk)
        http.delete(address).raise_for_status()
    assert received == length
    assert peak_of(account) - before < 150 * MB


def peak_of(account: StorageAccount) -> int:
    """Most memory that the server has had so far, in bytes."""
    status = Path(f"/proc/{account.server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_an_upload_that_breaks_off_leaves_nothing(account: StorageAccount) -> None:
    place = urlsplit(account.url)
    folder = account.folder(STORE)
    with socket.create_connection((place.hostname, place.port)) as raw:
        query = account.signature(STORE, "w")
        head = f"PUT /batchpoint/{STORE}/broken/off?{query} HTTP/1.1\r\nHost: localhost\r\n"
        raw.sendall(f"{head}x-ms-blob-type: BlockBlob\r\nContent-Length: {8 * MB}\r\n\r\n".encode() + b"x" * 3 * MB)
        eventually(lambda: unfinished(folder), "the beginning of the upload")
    eventually(lambda: not unfinished(folder), "the end of the upload")
    assert not (folder / "broken").exists()


def test_blocks_of_no_blob_yet_are_besides_the_container(account: StorageAccount, box: ContainerClient) -> None:
    box.get_blob_client("later").stage_block("a", b"1")
    assert list(account.folder(box.container_name).iterdir()) == []
    assert blocks_of(account.account.about / box.container_name / "blocks", "later").sizes()
    assert [one.name for one in box.list_blobs()] == []


def test_a_checksum_that_is_wrong_keeps_a_blob_out(account: StorageAccount) -> None:
    address = f"/batchpoint/{STORE}/checked?{account.signature(STORE, 'rcw')}"
    headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    with account.http() as http:
        refused = http.put(address, content=b"1", headers=headers)
        assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
        assert http.head(address).status_code == 404
        listed = f"{address}&comp=blocklist"
        refused = http.put(listed, content=b"<BlockList />", headers=headers)
        assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
        assert http.head(address).status_code == 404


def test_every_answer_carries_what_clients_look_for(account: StorageAccount) -> None:
    with account.owner() as http:
        headers = {"x-ms-version": "2023-11-03", "x-ms-client-request-id": "mine"}
        answer: httpx.Response = http.get(f"/batchpoint/{STORE}/none", headers=headers)
    assert answer.status_code == 404
    assert (answer.headers["x-ms-version"], answer.headers["x-ms-client-request-id"]) == ("2023-11-03", "mine")
    assert answer.headers["x-ms-request-id"] in answer.text
    assert "<Code>BlobNotFound</Code>" in answer.text
    assert answer.headers["content-security-policy"] == "sandbox"
