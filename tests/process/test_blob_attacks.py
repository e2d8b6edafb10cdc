"""What the blob service must not be talked into: other places, other names, other rights, and answers in its name."""

import base64
import hmac
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from batchpoint.entities.workspace import Workspace
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.storage.accounts.account import opened
from batchpoint.storage.accounts.keys import keys_of
from tests.process.servers import SPACE
from tests.process.storage_account import StorageAccount, storage_account

STORE = "azureml-blobstore"
OTHER = Workspace(DEFAULT_SUBSCRIPTION, "default", "other")
BLOCK = {"x-ms-blob-type": "BlockBlob"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("attacks") / "home") as account:
        (account.folder(STORE) / "in").mkdir(parents=True)
        (account.folder(STORE) / "in" / "a.txt").write_bytes(b"0123456789")
        opened(account.server.home, OTHER)
        yield account


@pytest.fixture
def nobody(account: StorageAccount) -> Iterator[httpx.Client]:
    with account.http() as http:
        yield http


@pytest.fixture
def owner(account: StorageAccount) -> Iterator[httpx.Client]:
    with account.owner() as http:
        yield http


def everything(account: StorageAccount) -> set[str]:
    """Every file and folder of the home that may be a blob, and of what lies around it."""
    home = account.server.home
    return {str(path) for path in home.parent.rglob("*") if ".about" not in path.parts and "logs" not in path.parts}


def raw(account: StorageAccount, method: str, path: str, *headers: str, body: bytes = b"") -> int:
    """The status of a request that no library has tidied."""
    place = urlsplit(account.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        token = (account.server.home / "token").read_text().strip()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *headers]
        lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/batchpoint",
        "/batchpoint/?comp=list",
        "/batchpoint/?restype=account&comp=properties",
        f"/batchpoint/{STORE}?restype=container",
        f"/batchpoint/{STORE}?restype=container&comp=list",
        f"/batchpoint/{STORE}/in/a.txt",
        f"/batchpoint/{STORE}/in/a.txt?comp=block&blockid=AAAA",
        "/batchpoint/no-such-container/x",
    ],
)
def test_nothing_is_open_to_everybody(nobody: httpx.Client, method: str, path: str) -> None:
    answer = nobody.request(method, path)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
    assert answer.headers["www-authenticate"] == "Bearer"
    wrong = nobody.request(method, path, headers={"Authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")


def test_an_account_that_nobody_has_is_not_the_blob_services_business(nobody: httpx.Client) -> None:
    assert nobody.get("/bp0123456789abcdef/box/a").status_code == 401
    assert nobody.get("/batchpoint/v1/info").status_code == 401


@pytest.mark.parametrize(
    ("letters", "allowed"),
    [
        ("r", {"get"}),
        ("l", {"list"}),
        ("d", {"delete"}),
        ("c", {"create"}),
        ("w", {"create", "replace", "describe"}),
        ("rl", {"get", "list"}),
    ],
)
def test_the_letters_of_a_signature_are_all_that_it_allows(
    account: StorageAccount, nobody: httpx.Client, letters: str, allowed: set[str]
) -> None:
    query, folder = account.signature(STORE, letters), account.folder(STORE) / "letters"
    folder.mkdir(exist_ok=True)
    (folder / "new").unlink(missing_ok=True)
    for name in ("old", "gone"):
        (folder / name).write_bytes(b"1")
    place = f"/batchpoint/{STORE}/letters"
    answers = {
        "get": nobody.get(f"{place}/old?{query}"),
        "list": nobody.get(f"/batchpoint/{STORE}?restype=container&comp=list&{query}"),
        "replace": nobody.put(f"{place}/old?{query}", content=b"2", headers=BLOCK),
        "create": nobody.put(f"{place}/new?{query}", content=b"2", headers=BLOCK),
        "describe": nobody.put(f"{place}/old?comp=metadata&{query}"),
        "delete": nobody.delete(f"{place}/gone?{query}"),
        "make": nobody.put(f"/batchpoint/letters?restype=container&{query}"),
        "remove": nobody.delete(f"/batchpoint/{STORE}?restype=container&{query}"),
    }
    assert {what for what, answer in answers.items() if answer.is_success} == allowed
    assert {answer.status_code for what, answer in answers.items() if what not in allowed} == {403}


def test_a_signature_is_good_for_its_container_and_account_alone(account: StorageAccount, nobody: httpx.Client) -> None:
    query = account.signature(STORE, "rwdlc")
    other = opened(account.server.home, OTHER)
    assert nobody.get(f"/batchpoint/{STORE}/in/a.txt?{query}").status_code == 200
    for path in ("/batchpoint/azureml/x", f"/{other.name}/{STORE}/in/a.txt", "/batchpoint/?comp=list"):
        joined = f"{path}{'&' if '?' in path else '?'}{query}"
        assert nobody.get(joined).headers["x-ms-error-code"] == "AuthenticationFailed"
    assert nobody.get(f"/batchpoint/{STORE}/../azureml/x?{query}").status_code in (401, 403, 404)
    doubled = nobody.get(f"/batchpoint/{STORE}/in/a.txt?{query}&sp=racwdl")
    assert doubled.headers["x-ms-error-code"] == "AuthenticationFailed"
    assert nobody.get(f"/batchpoint/{STORE}/in/a.txt?{account.signature(STORE, 'r', -1)}").status_code == 403


def test_the_key_of_one_account_opens_no_other(account: StorageAccount, nobody: httpx.Client) -> None:
    other = opened(account.server.home, OTHER)
    date = nobody.get("/schemas/x").headers["date"]
    text = f"GET\n\n\n\nx-ms-date:{date}\n/{other.name}/{other.name}/?comp=list"
    for key, status in ((keys_of(other)[1], 200), (account.key, 403)):
        digest = hmac.digest(base64.b64decode(key), text.encode(), "sha256")
        shown = f"SharedKeyLite {other.name}:{base64.b64encode(digest).decode()}"
        answer = nobody.get(f"/{other.name}/?comp=list", headers={"Authorization": shown, "x-ms-date": date})
        assert answer.status_code == status, answer.text


def test_keys_are_for_their_owner_alone(account: StorageAccount) -> None:
    path = account.server.home / "keys" / "storage-batchpoint"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [len(base64.b64decode(key)) for key in keys_of(account.account)] == [64, 64]
    assert account.key not in account.server.said()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x",
        "in/../../x",
        "%2e%2e/x",
        "in/%2e%2e/%2e%2e/x",
        "..%2f..%2fx",
        "in//x",
        "/x",
        "x/",
        ".",
        "in/./x",
        "x%00y",
        "x%0ay",
        "..%5cx",
        "a%5cb",
        "x.",
        "x./y",
        "%ff%fe",
        "%ed%a0%80",
        ".batchpoint-0123456789abcdef.aside",
        "n" * 256,
        "/".join(["n" * 200] * 6),
    ],
)
def test_no_name_leads_anywhere_else(account: StorageAccount, name: str) -> None:
    before = everything(account)
    place = f"/batchpoint/{STORE}/{name}"
    assert raw(account, "PUT", place, "x-ms-blob-type: BlockBlob", body=b"x") in (400, 404), "put"
    assert raw(account, "PUT", f"{place}?comp=block&blockid=AAAA", body=b"x") in (400, 404), "block"
    body = b"<BlockList><Latest>AAAA</Latest></BlockList>"
    assert raw(account, "PUT", f"{place}?comp=blocklist", body=body) in (400, 404), "block list"
    for method in ("GET", "HEAD", "DELETE"):
        assert raw(account, method, place) in (400, 404), method
    assert everything(account) == before


@pytest.mark.parametrize(
    "prefix", ["../", "in/../../", "../../../../../../etc/", "./", "..%2f", "%00/", "in//", "%ff/"]
)
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_no_list_leads_anywhere_else(account: StorageAccount, owner: httpx.Client, prefix: str, delimiter: str) -> None:
    (account.server.home.parent / "beside" / "deeper").mkdir(parents=True, exist_ok=True)
    (account.server.home.parent / "beside" / "deeper" / "x").touch()
    query = f"restype=container&comp=list&prefix={prefix}&delimiter={delimiter}"
    listed = owner.get(f"/batchpoint/{STORE}?{query}")
    assert listed.status_code == 200, listed.text
    assert "<Blobs></Blobs>" in listed.text
    shutil.rmtree(account.server.home.parent / "beside")


def test_what_says_who_may_read_a_container_is_short(owner: httpx.Client) -> None:
    path = f"/batchpoint/{STORE}?restype=container&comp=acl"
    assert owner.put(path, content=b"<SignedIdentifiers />").status_code == 200
    answer = owner.put(path, content=(b" " * (1 << 20) for _ in range(64)))
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (413, "RequestBodyTooLarge")


@pytest.mark.parametrize("name", ["..", ".about", "%2e%2e", "A", "a", "a--b", "-ab", "workspace.json", "x" * 64])
def test_no_container_is_called_so(account: StorageAccount, name: str) -> None:
    before = everything(account)
    assert raw(account, "PUT", f"/batchpoint/{name}?restype=container") in (400, 401, 404)
    assert raw(account, "GET", f"/batchpoint/{name}?restype=container&comp=list") in (400, 401, 404)
    assert everything(account) == before


@pytest.mark.parametrize(
    ("given", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=0-99999999999999999", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=4-2", 416, b""),
        ("bytes=0-1,3-4", 416, b""),
        ("bytes=" + "0-1," * 5000 + "0-1", 416, b""),
        ("bytes=-3", 416, b""),
        ("bytes=99999999999999999999-", 416, b""),
        ("lines=0-1", 416, b""),
        ("bytes=\u0661-\u0662", 416, b""),
    ],
)
@pytest.mark.parametrize("header", ["Range", "x-ms-range"])
def test_one_range_is_answered(owner: httpx.Client, header: str, given: str, status: int, content: bytes) -> None:
    answer = owner.get(f"/batchpoint/{STORE}/in/a.txt", headers={header: given.encode()})
    if len(given) > 10_000 and answer.status_code == 431:
        return
    assert answer.status_code == status
    assert status == 416 or answer.content == content


def test_a_list_of_blocks_is_no_xml_that_can_grow(owner: httpx.Client) -> None:
    place = f"/batchpoint/{STORE}/bomb?comp=blocklist"
    bomb = '<!DOCTYPE a [<!ENTITY a "AAAA"><!ENTITY b "&a;&a;">]><BlockList><Latest>&b;</Latest></BlockList>'
    answer = owner.put(place, content=bomb.encode())
    assert answer.headers["x-ms-error-code"] == "InvalidBlockList"
    assert owner.put(place, content=b"no list").headers["x-ms-error-code"] == "InvalidXmlDocument"
    many = b"<BlockList>" + b"<Latest>AAAA</Latest>" * 50_001 + b"</BlockList>"
    assert owner.put(place, content=many).headers["x-ms-error-code"] == "BlockListTooLong"


def test_what_a_blob_is_called_stays_text(owner: httpx.Client) -> None:
    name = "x'\"<Name>&amp;]]>"
    owner.put(f"/batchpoint/{STORE}/{quote(name)}", content=b"", headers=BLOCK).raise_for_status()
    listed = owner.get(f"/batchpoint/{STORE}?restype=container&comp=list&prefix={quote('x')}&marker=").text
    assert "&lt;Name&gt;&amp;amp;]]&gt;" in listed
    assert listed.count("<Name>") == 1
    shown = owner.get(f"/batchpoint/{STORE}?restype=container&comp=list&prefix={quote('</Prefix><a>')}").text
    assert "&lt;/Prefix&gt;&lt;a&gt;" in shown
    owner.delete(f"/batchpoint/{STORE}/{quote(name)}").raise_for_status()


def test_a_blob_that_says_it_is_a_page_is_none_of_ours(owner: httpx.Client) -> None:
    place = f"/batchpoint/{STORE}/page.html"
    owner.put(place, content=b"<script>", headers=BLOCK | {"x-ms-blob-content-type": "text/html"}).raise_for_status()
    answer = owner.get(place)
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    owner.delete(place).raise_for_status()


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (f"{STORE}/m?comp=metadata", {"x-ms-meta-a-b": "1"}, "InvalidMetadata"),
        (f"{STORE}/m?comp=metadata", {"x-ms-meta-a": "1" * 9000}, "MetadataTooLarge"),
        (f"{STORE}/m", {"x-ms-blob-type": "PageBlob"}, "InvalidBlobType"),
        (f"{STORE}/m", {}, "MissingRequiredHeader"),
        (f"{STORE}/m", BLOCK | {"Content-MD5": "short"}, "InvalidMd5"),
        (f"{STORE}/m", BLOCK | {"if-unmodified-since": "never"}, "InvalidHeaderValue"),
        (f"{STORE}/m?comp=block&blockid=%3F%3F", {}, "InvalidQueryParameterValue"),
        (f"{STORE}/m?comp=block&blockid={'A' * 400}", {}, "InvalidQueryParameterValue"),
        (f"{STORE}/m?comp=lease", {}, "InvalidQueryParameterValue"),
    ],
)
def test_what_cannot_be_done_is_told_so(owner: httpx.Client, path: str, headers: dict[str, str], code: str) -> None:
    owner.put(f"/batchpoint/{STORE}/m", content=b"1", headers=BLOCK).raise_for_status()
    answer = owner.put(f"/batchpoint/{path}", headers=headers)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)


@pytest.mark.parametrize("query", ["maxresults=0", "maxresults=-1", "maxresults=1e9", "marker=%C3%BC", "delimiter=b"])
def test_pages_are_asked_for_with_sense(owner: httpx.Client, query: str) -> None:
    assert owner.get(f"/batchpoint/{STORE}?restype=container&comp=list&{query}").status_code == 400


def test_secrets_of_a_datastore_are_for_its_container(account: StorageAccount, owner: httpx.Client) -> None:
    path = f"{SPACE}/datastores/workspaceblobstore/listSecrets"
    secrets = owner.post(path, json={"expirableSecret": True, "expireAfterHours": 1}).raise_for_status().json()
    assert secrets["secretsType"] == "Sas"
    with account.http() as nobody:
        assert nobody.get(f"/batchpoint/{STORE}/in/a.txt?{secrets['sasToken']}").content == b"0123456789"
        assert nobody.get(f"/batchpoint/azureml/x?{secrets['sasToken']}").status_code == 403
    assert owner.post(path, json={"expireAfterHours": 0}).status_code == 400
    assert os.path.lexists(account.server.home / "keys")


def test_everything_stands_where_it_stood(account: StorageAccount) -> None:
    assert {path.name for path in account.server.home.parent.iterdir()} <= {"home", "home-server.err"}
    assert not [path for path in Path(account.folder(STORE)).rglob("*") if path.name.endswith(".aside")]
