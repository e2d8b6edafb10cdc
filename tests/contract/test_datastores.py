"""One suite over every place for bytes: a folder, a blob container (Azurite), a bucket (moto)."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.errors import DatastoreUnavailable, ReferenceInvalid, ResourceNotFound
from batchpoint.storage.datastores import OpenDatastore, open_datastore
from batchpoint.storage.listing import Found
from batchpoint.storage.objects.store import ObjectStore
from tests.object_stores import ACCOUNT, ACCOUNT_KEY, BlobService
from tests.websites import relay

#: More than one piece of an upload and of a download.
LARGE = bytes(range(256)) * (9 << 12)
ODD_NAMES = [
    "a b",
    "c%20d",
    "e#f",
    "g?h",
    "i+j",
    "ü€😀",
    "k&l=m;n",
    "[o]*",
    "p'q\"r",
    "s?#t%zz",
    "u?versionid=1",
    "v:w",
]


@dataclass(frozen=True)
class Kind:
    """A kind of datastore, and how to make a fresh one that holds given files."""

    name: str
    make: Callable[[Mapping[str, bytes]], Datastore]


@pytest.fixture(params=["local", "azure_blob", "s3", "s3 below a prefix"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    def local(files: Mapping[str, bytes]) -> Datastore:
        for name, data in files.items():
            (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / name).write_bytes(data)
        (tmp_path / "root").mkdir(exist_ok=True)
        return Datastore(name="folder", type="local_folder", path=str(tmp_path / "root"))

    def azure(files: Mapping[str, bytes]) -> Datastore:
        service, name = request.getfixturevalue("blob_service"), f"c{uuid.uuid4().hex}"
        service.container(name, files).close()
        found = service.datastore(name)
        assert isinstance(found, Datastore)
        return found

    def s3(files: Mapping[str, bytes], prefix: str = "") -> Datastore:
        service, name = request.getfixturevalue("s3_service"), f"b{uuid.uuid4().hex}"
        service.bucket(name, {prefix + file: data for file, data in files.items()})
        found = service.datastore(name, prefix=prefix)
        assert isinstance(found, Datastore)
        return found

    makers = {"local": local, "azure_blob": azure, "s3": s3, "s3 below a prefix": lambda files: s3(files, "deep/er/")}
    return Kind(request.param, makers[request.param])


@pytest.fixture
def opened(kind: Kind, tmp_path: Path) -> Callable[..., OpenDatastore]:
    def of(files: Mapping[str, bytes] = {}) -> OpenDatastore:
        return open_datastore(kind.make(files), tmp_path)

    return of


Opened = Callable[..., OpenDatastore]


def names(store: OpenDatastore, folder: str) -> list[str]:
    return sorted(found.name for found in store.files(folder))


def test_a_folder_is_listed_with_everything_below_it_and_nothing_beside(opened: Opened) -> None:
    files = {name: name.encode() for name in ("in/a", "in/sub/b", "in/sub/deep/c", "in2/d", "in.txt", "other/in/e")}
    store = opened(files)
    assert names(store, "in/") == ["in/a", "in/sub/b", "in/sub/deep/c"]
    assert names(store, "in/sub/") == ["in/sub/b", "in/sub/deep/c"]
    assert names(store, "") == sorted(files)
    assert {found.name: found.size for found in store.files("in/")}["in/sub/b"] == len("in/sub/b")


def test_a_folder_that_is_not_there_is_empty(opened: Opened) -> None:
    assert names(opened({"a/b": b"1"}), "nowhere/") == []
    assert names(opened({"a/b": b"1"}), "a/b/") == []


def test_odd_names_are_listed_read_and_written_as_they_are(opened: Opened, tmp_path: Path) -> None:
    store = opened({f"in/{name}": name.encode() for name in ODD_NAMES})
    assert names(store, "in/") == sorted(f"in/{name}" for name in ODD_NAMES)
    source = tmp_path / "new"
    source.write_bytes(b"new")
    for name in ODD_NAMES:
        assert b"".join(store.blocks(f"in/{name}")) == name.encode()
        store.fetch(Found(f"in/{name}", len(name.encode())), tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == name.encode()
        assert store.put_new(source, f"out/{name}")
    assert names(store, "out/") == sorted(f"out/{name}" for name in ODD_NAMES)


def test_size_tells_what_is_a_file(opened: Opened) -> None:
    store = opened({"a/b": b"12345", "empty": b""})
    assert (store.size("a/b"), store.size("empty")) == (5, 0)
    assert (store.size("a"), store.size("a/"), store.size("none")) == (None, None, None)


def test_a_file_of_any_size_is_written_and_read_back(opened: Opened, tmp_path: Path) -> None:
    store = opened()
    for name, data in (("empty", b""), ("small", b"x"), ("deep/er/large", LARGE)):
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(data)
        assert store.put_new(source, name)
        assert hashlib.sha256(b"".join(store.blocks(name))).digest() == hashlib.sha256(data).digest()
        store.fetch(Found(name, len(data)), target)
        assert target.read_bytes() == data


@pytest.mark.parametrize("data", [b"mine", LARGE], ids=["small", "large"])
def test_what_stands_there_is_never_replaced(opened: Opened, tmp_path: Path, data: bytes) -> None:
    store = opened({"out/taken": b"theirs"})
    mine = tmp_path / "mine"
    mine.write_bytes(data)
    assert not store.put_new(mine, "out/taken")
    assert b"".join(store.blocks("out/taken")) == b"theirs"
    assert names(store, "out/") == ["out/taken"]


def test_a_repeat_of_the_same_bytes_is_no_conflict(opened: Opened, tmp_path: Path) -> None:
    store = opened()
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    assert store.put_new(mine, "out/x")
    assert store.put_new(mine, "out/x")
    assert store.holds("out/x", mine)
    mine.write_bytes(b"mime")
    assert not store.put_new(mine, "out/x")
    assert not store.holds("out/x", mine)
    assert not store.holds("out/none", mine)


def test_of_many_writers_at_once_one_wins(opened: Opened, tmp_path: Path) -> None:
    store, won = opened(), []
    sources = [tmp_path / f"source{number}" for number in range(6)]
    for source in sources:
        source.write_bytes(source.name.encode() * 10)
    threads = [threading.Thread(target=lambda s=s: won.append((store.put_new(s, "x"), s))) for s in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [source for did, source in won if did]
    assert b"".join(store.blocks("x")) == winner.read_bytes()


def test_a_file_of_ours_is_removed(opened: Opened) -> None:
    store = opened({"a": b"1", "b": b"2"})
    store.remove("a")
    assert names(store, "") == ["b"]


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/..", "a\0b"])
def test_a_path_that_leads_out_is_refused(opened: Opened, tmp_path: Path, path: str) -> None:
    store = opened({"a/b": b"1"})
    (tmp_path / "source").write_bytes(b"1")
    acts: list[Callable[[], object]] = [
        lambda: store.size(path),
        lambda: list(store.blocks(path)),
        lambda: store.put_new(tmp_path / "source", path),
        lambda: store.remove(path),
    ]
    for act in acts:
        with pytest.raises(ReferenceInvalid):
            act()


def test_a_file_that_is_not_there_is_said_to_be_missing(opened: Opened, tmp_path: Path) -> None:
    store = opened({"a": b"1"})
    with pytest.raises(ResourceNotFound):
        store.fetch(Found("none", 1), tmp_path / "target")
    with pytest.raises(ResourceNotFound):
        list(store.blocks("none"))


# Object stores only


@pytest.fixture(params=["azure_blob", "s3"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Callable[..., Datastore]]:
    def make(**changes: object) -> Datastore:
        name = f"c{uuid.uuid4().hex}"
        if request.param == "s3":
            service = request.getfixturevalue("s3_service")
            service.bucket(name, {"in/a": b"1"})
        else:
            service = request.getfixturevalue("blob_service")
            service.container(name, {"in/a": b"1"}).close()
        found = service.datastore(name)
        assert isinstance(found, Datastore)
        return found.model_copy(update=changes)

    yield make


def test_a_container_that_does_not_exist_is_named(elsewhere: Callable[..., Datastore], tmp_path: Path) -> None:
    datastore = elsewhere()
    key = "bucket" if datastore.type == "s3" else "container_name"
    (tmp_path / "source").write_bytes(b"1")
    store = open_datastore(datastore.model_copy(update={key: "nowhere"}), tmp_path)
    for act in (lambda: list(store.files("in/")), lambda: store.put_new(tmp_path / "source", "out/x")):
        with pytest.raises(ResourceNotFound, match="There is no container or bucket nowhere"):
            act()


def test_a_service_that_does_not_answer_is_named_after_a_few_attempts(
    elsewhere: Callable[..., Datastore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchpoint.storage.objects.store._PAUSE_S", 0.0)
    datastore = elsewhere(endpoint_url="http://127.0.0.1:9/account")
    with pytest.raises(DatastoreUnavailable, match=rf"attempts.*datastore show --name {datastore.name}"):
        list(open_datastore(datastore, tmp_path).files("in/"))


def test_an_upload_that_breaks_off_in_a_piece_leaves_nothing_and_the_repeat_is_whole(
    elsewhere: Callable[..., Datastore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchpoint.storage.objects.store._PAUSE_S", 0.0)
    datastore, pieces, stood = elsewhere(), [], []
    direct = open_datastore(datastore, tmp_path)

    def refuses(method: str, path: str) -> bool:
        if method != "PUT" or ("comp=block&" not in path and "partNumber=" not in path):
            return False
        pieces.append(path)
        stood.append(direct.size("out/large"))
        return len(pieces) == 1

    address = urlsplit(datastore.endpoint_url or "")
    (tmp_path / "large").write_bytes(LARGE)
    with relay(address.port or 0, refuses) as host:
        url = address._replace(netloc=host).geturl()
        store = open_datastore(datastore.model_copy(update={"endpoint_url": url}), tmp_path)
        assert store.put_new(tmp_path / "large", "out/large")
    assert direct.holds("out/large", tmp_path / "large")
    assert stood == [None] * 3


def test_a_signature_opens_a_container_and_only_for_what_it_allows(blob_service: BlobService, tmp_path: Path) -> None:
    name = f"c{uuid.uuid4().hex}"
    blob_service.container(name, {"in/a b": b"1"}).close()
    may_read = ContainerSasPermissions(read=True, list=True)
    until = datetime.now(UTC) + timedelta(hours=1)
    token = generate_container_sas(ACCOUNT, name, account_key=ACCOUNT_KEY, permission=may_read, expiry=until)
    signed = Credentials.model_validate({"sas_token": f"?{token}"})
    store = open_datastore(blob_service.datastore(name).model_copy(update={"credentials": signed}), tmp_path)
    assert names(store, "in/") == ["in/a b"]
    assert b"".join(store.blocks("in/a b")) == b"1"
    (tmp_path / "new").write_bytes(b"2")
    with pytest.raises(DatastoreUnavailable, match="AuthorizationPermissionMismatch") as raised:
        store.put_new(tmp_path / "new", "in/new")
    assert "sig=" not in raised.value.message


def test_without_credentials_a_public_container_is_read(blob_service: BlobService, tmp_path: Path) -> None:
    name = f"c{uuid.uuid4().hex}"
    blob_service.container(name, {"in/a": b"1"}, public=True).close()
    store = open_datastore(blob_service.datastore(name, key=None), tmp_path)
    assert names(store, "in/") == ["in/a"]
    assert b"".join(store.blocks("in/a")) == b"1"


def test_a_wrong_key_is_answered_with_the_codes_of_the_storage(blob_service: BlobService, tmp_path: Path) -> None:
    name = f"c{uuid.uuid4().hex}"
    blob_service.container(name, {"in/a": b"1"}).close()
    wrong = blob_service.datastore(name, key="d3Jvbmcga2V5")
    with pytest.raises(DatastoreUnavailable, match=r"AuthorizationFailure|AuthenticationFailed") as raised:
        list(open_datastore(wrong, tmp_path).files("in/"))
    assert "datastore update --name blobs --set credentials" in raised.value.message
    assert "d3Jvbmcga2V5" not in raised.value.message


def test_a_key_that_is_none_is_told_from_a_service_that_does_not_answer(
    blob_service: BlobService, tmp_path: Path
) -> None:
    store = open_datastore(blob_service.datastore("box", key="no key"), tmp_path)
    with pytest.raises(DatastoreUnavailable, match=r"Check the credentials: datastore update --name blobs"):
        list(store.files("in/"))


@pytest.mark.parametrize("size", [100, len(LARGE)])
def test_a_file_is_replaced_and_removed_only_while_it_is_our_own(opened: Opened, tmp_path: Path, size: int) -> None:
    store = opened({"out/a.csv": b"first"})
    first, edited = hashlib.sha256(b"first").hexdigest(), hashlib.sha256(b"edited").hexdigest()
    second, other = tmp_path / "second", tmp_path / "other"
    second.write_bytes(LARGE[:size])
    other.write_bytes(b"edited")
    assert not store.replace_own(second, "out/a.csv", [edited])
    assert b"".join(store.blocks("out/a.csv")) == b"first"
    assert store.replace_own(second, "out/a.csv", [first])
    assert not store.replace_own(second, "out/a.csv", [first]), "of others, with the same bytes"
    assert store.replace_own(second, "out/a.csv", [first, hashlib.sha256(LARGE[:size]).hexdigest()]), "a repeat"
    assert store.holds("out/a.csv", second)
    assert store.replace_own(second, "out/b.csv", [first]), "nothing stood there"
    assert store.holds("out/b.csv", second)
    assert not store.remove_own("out/a.csv", [first])
    assert store.replace_own(other, "out/a.csv", [hashlib.sha256(LARGE[:size]).hexdigest()])
    assert store.remove_own("out/a.csv", [edited])
    assert store.remove_own("out/a.csv", [edited]), "a repeat"
    assert names(store, "") == ["out/b.csv"]


@pytest.mark.parametrize("kind", ["azure_blob", "s3"], indirect=True)
@pytest.mark.parametrize("act", ["replace", "remove"])
def test_what_others_put_there_after_the_look_stays(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    store, own = open_datastore(kind.make({"a.csv": b"first"}), tmp_path), [hashlib.sha256(b"first").hexdigest()]
    assert isinstance(store, ObjectStore)
    stranger, second = tmp_path / "stranger", tmp_path / "second"
    stranger.write_bytes(b"a stranger's")
    second.write_bytes(b"second")
    look = store._seen

    def raced(path: str, *rest: Callable[[], None]) -> tuple[str, str]:
        seen = look(path, *rest)
        if seen[1] in own:
            store.remove(path)
            store.put_new(stranger, path)
        return seen

    monkeypatch.setattr(store, "_seen", raced)
    assert not (store.replace_own(second, "a.csv", own) if act == "replace" else store.remove_own("a.csv", own))
    assert store.holds("a.csv", stranger)


@pytest.mark.parametrize("kind", ["s3"], indirect=True)
@pytest.mark.parametrize(("code", "is_removed"), [("NotImplemented", True), ("AccessDenied", False)])
def test_a_store_that_knows_no_condition_for_a_removal_removes_what_was_looked_at(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, is_removed: bool
) -> None:
    from botocore.exceptions import ClientError

    store, own = open_datastore(kind.make({"a.csv": b"first"}), tmp_path), [hashlib.sha256(b"first").hexdigest()]
    assert isinstance(store, ObjectStore)
    call = store._fs.call_s3  # type: ignore[attr-defined]

    def refusing(method: str, **told: str) -> object:
        if "IfMatch" in told:
            answer = {"Error": {"Code": code, "Message": "A header implies functionality that is not implemented"}}
            raise OSError("refused") from ClientError(answer, "DeleteObject")  # type: ignore[arg-type]
        return call(method, **told)

    monkeypatch.setattr(store._fs, "call_s3", refusing)
    monkeypatch.setattr(store, "_sleep", lambda seconds: None)
    if is_removed:
        assert store.remove_own("a.csv", own)
    else:
        with pytest.raises(DatastoreUnavailable):
            store.remove_own("a.csv", own)
    assert (store.size("a.csv") is None) == is_removed
