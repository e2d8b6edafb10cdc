"""Folders in the web: containers listed without credentials (Azurite), and HTML indexes (http.server)."""

import functools
import http.server
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from batchpoint.errors import InputUnreadable
from batchpoint.storage.bring import EVERYTHING, Choice, bring
from batchpoint.storage.datastores import open_datastore
from batchpoint.storage.web.blob_list import BlobFolder
from batchpoint.storage.web.fetch import FetchLimits
from batchpoint.storage.web.folder import WebFolder
from tests.object_stores import BlobService
from tests.websites import serving, site, xml_page

AT_ONCE = FetchLimits(pause_s=0)
ODD_NAMES = ["a b", "c%20d", "e#f", "g?h", "i+j", "ü€😀", "k&l=m;n", "s?#t%zz"]
#: One more than fits on the first page of a list, and some.
MANY = 5010


@pytest.fixture(scope="module")
def public(blob_service: BlobService) -> Iterator[str]:
    """A public container: many files, their twin, odd names, hidden ones and markers of folders."""
    name = f"public{uuid.uuid4().hex[:8]}"
    blobs = {f"mnist/{number:05}.txt": b"" for number in range(MANY)}
    blobs |= {"mnist2/x.txt": b"twin", "mnist.txt": b"twin"}
    blobs |= {f"odd/{one}": one.encode() for one in ODD_NAMES}
    blobs |= {"mixed/.hidden": b"1", "mixed/_tmp/a": b"1", "mixed/_tmp/b": b"1", "mixed/sub/c.csv": b"c"}
    blobs |= {"mixed/d.csv": b"dd", "mixed/sub/": b"", "mixed/e": b"", "mixed/e/f.csv": b"f"}
    blob_service.container(name, blobs, public=True).close()
    return f"{blob_service.url}/{name}"


@pytest.fixture
def allowed(blob_service: BlobService) -> str:
    return f"127.0.0.1:{blob_service.port}"


def fetched(url: str, allowed: str, target: Path, choice: Choice = EVERYTHING) -> tuple[list[str], dict[str, str]]:
    """Names in order, and why some did not come; every file that came is on disk."""
    with WebFolder(url, allowed, AT_ONCE) as folder:
        brought = bring(folder, "", target, choice)
    failed = {os.fsdecode(item): why for item, why in brought.failed.items()}
    items = [os.fsdecode(item) for item in brought.items]
    assert all((target / item).is_file() for item in items if item not in failed)
    return items, failed


# Containers


def test_more_files_than_one_page_are_listed_and_no_twin(public: str, allowed: str) -> None:
    with WebFolder(f"{public}/mnist", allowed) as folder:
        found = sorted(one.name for one in folder.files())
    assert found == [f"{number:05}.txt" for number in range(MANY)]


def test_more_files_than_one_page_are_listed_through_a_datastore_too(
    public: str, blob_service: BlobService, tmp_path: Path
) -> None:
    store = open_datastore(blob_service.datastore(public.rpartition("/")[2]), tmp_path)
    assert sorted(one.name for one in store.files("mnist/")) == [f"mnist/{number:05}.txt" for number in range(MANY)]


@pytest.mark.parametrize("slash", ["", "/"])
def test_odd_names_come_as_they_are(public: str, allowed: str, tmp_path: Path, slash: str) -> None:
    items, failed = fetched(f"{public}/odd{slash}", allowed, tmp_path)
    assert (items, failed) == (sorted(ODD_NAMES, key=str.encode), {})
    assert {one: (tmp_path / one).read_text() for one in ODD_NAMES} == {one: one for one in ODD_NAMES}


def test_hidden_names_and_markers_of_folders_are_skipped_and_globs_choose(
    public: str, allowed: str, tmp_path: Path
) -> None:
    with WebFolder(f"{public}/mixed", allowed) as folder:
        brought = bring(folder, "", tmp_path / "all", Choice())
        some = bring(folder, "", tmp_path / "some", Choice(include=("*.csv",), exclude=("sub/",)))
    assert brought.items == [b"d.csv", b"e/f.csv", b"sub/c.csv"]
    assert brought.hidden == 2
    assert (some.items, some.filtered) == ([b"d.csv", b"e/f.csv"], 2)


def test_a_whole_container_is_a_folder_too(public: str, allowed: str) -> None:
    with WebFolder(public, allowed) as folder:
        names = {one.name for one in folder.files()}
    assert {"mnist.txt", "mnist2/x.txt", "odd/a b"} <= names


def test_a_private_container_is_refused_with_the_storages_code_and_what_to_register(
    blob_service: BlobService, allowed: str
) -> None:
    name = f"private{uuid.uuid4().hex[:8]}"
    blob_service.container(name, {"in/a": b"1"}).close()
    with (
        WebFolder(f"{blob_service.url}/{name}/in", allowed, AT_ONCE) as folder,
        pytest.raises(InputUnreadable) as raised,
    ):
        list(folder.files())
    assert re.search(r"the storage answered 40\d [A-Z]\w+", raised.value.message)
    for word in ("container_name: " + name, "azureml://datastores/<name>/paths/in/"):
        assert word in raised.value.message


@pytest.mark.parametrize(
    ("url", "account", "container", "prefix"),
    [
        ("https://acc.blob.core.windows.net/box/a/b", "acc", "box", "a/b/"),
        ("https://acc.blob.core.windows.net/box", "acc", "box", ""),
        ("https://acc.dfs.core.windows.net/box/a%20b/", "acc", "box", "a b/"),
        ("http://127.0.0.1:10000/devstoreaccount1/box/a", "devstoreaccount1", "box", "a/"),
        ("https://acc.z1.blob.storage.azure.net/box/ü", "acc", "box", "ü/"),
    ],
)
def test_container_and_prefix_are_read_from_the_address(url: str, account: str, container: str, prefix: str) -> None:
    found = BlobFolder.of(url)
    assert found is not None
    assert (found.account, found.container, found.prefix) == (account, container, prefix)


# Lists that go wrong


def listed(host: str, path: str = "/account/box/in") -> list[str]:
    with WebFolder(f"http://{host}{path}", host, AT_ONCE) as folder:
        return [one.name for one in folder.files()]


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (xml_page(["in/a"], "again"), "goes round in a circle"),
        (xml_page(["in/a", "in/b"])[:-40], "not whole"),
        (b"<?xml version='1.0'?><!DOCTYPE x><EnumerationResults></EnumerationResults>", "another kind"),
    ],
)
def test_a_list_that_ends_early_is_an_error_and_never_a_short_input(page: bytes, told: str) -> None:
    with site(lambda path: (200, "application/xml", page)) as host, pytest.raises(InputUnreadable, match=told):
        listed(host)


def test_a_second_page_that_fails_for_a_moment_is_asked_again() -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, str, bytes]:
        if "marker=m" not in path:
            return 200, "application/xml", xml_page(["in/a", "in/a", "other/x"], "m")
        asked.append(path)
        if len(asked) == 1:
            return 503, "application/xml", b"<Error><Code>ServerBusy</Code></Error>"
        return 200, "application/xml", xml_page(["in/b"])

    with site(answer) as host:
        assert listed(host) == ["a", "a", "b"]
    assert len(asked) == 2


def test_a_signature_in_the_address_goes_with_every_request_and_into_no_message(tmp_path: Path) -> None:
    def answer(path: str) -> tuple[int, str, bytes]:
        if "sig=SECRET" not in path:
            return 403, "application/xml", b"<Error><Code>AuthenticationFailed</Code></Error>"
        if "comp=list" in path:
            return 200, "application/xml", xml_page(["in/a"])
        return 404, "text/plain", b""

    with (
        site(answer) as host,
        WebFolder(f"http://{host}/account/box/in?sig=SECRET", host, AT_ONCE) as folder,
        pytest.raises(InputUnreadable, match="None of the files") as raised,
    ):
        bring(folder, "", tmp_path, EVERYTHING)
    assert "SECRET" not in raised.value.message


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/up", "a//b", "./a", "a/.", "file", "n" * 300])
def test_a_name_that_is_no_path_here_costs_that_file_and_leads_nowhere(tmp_path: Path, name: str) -> None:
    def answer(path: str) -> tuple[int, str, bytes]:
        if "comp=list" not in path:
            return 200, "text/plain", b"x"
        blobs = "".join(
            f"<Blob><Name>in/{one}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>"
            for one in ("ok", "file/below", name)
        )
        return 200, "application/xml", f"<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>".encode()

    target = tmp_path / "one" / "target"
    with site(answer) as host:
        items, failed = fetched(f"http://{host}/account/box/in", host, target)
    assert sorted(set(items) - set(failed)) == ["file/below", "ok"]
    assert list(failed) == [quote(name, safe="")]
    assert "name" in failed[quote(name, safe="")]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["below", "file", "ok", "one", "target"]


# HTML indexes


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "served"
    for name in (
        "data/a b.txt",
        "data/c%20d.txt",
        "data/sub/ü.txt",
        "data/.git/x",
        "data/_x",
        "data2/no.txt",
        "no.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_html_index_is_followed_below_the_folder_only(tree: Path, tmp_path: Path) -> None:
    with serving(functools.partial(Quiet, directory=str(tree))) as host:
        items, failed = fetched(f"http://{host}/data", host, tmp_path / "target")
    assert (items, failed) == (["a b.txt", "c%20d.txt", "sub/ü.txt"], {})
    assert (tmp_path / "target" / "sub" / "ü.txt").read_text() == "data/sub/ü.txt"


def test_a_name_that_is_no_utf_8_comes_as_its_bytes(tmp_path: Path) -> None:
    page = b"<html><title>Index of /d</title><a href='caf%E9.txt'>caf\xe9</a>"

    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/d/caf%E9.txt":
            return 200, "text/plain", b"1"
        return (200, "text/html", page) if path == "/d/" else (404, "", b"")

    with site(answer) as host:
        items, failed = fetched(f"http://{host}/d", host, tmp_path / "target")
    assert (items, failed) == ([os.fsdecode(b"caf\xe9.txt")], {})


def test_a_folder_that_links_back_to_itself_is_an_error_in_finite_time(tree: Path) -> None:
    (tree / "data" / "loop").symlink_to("..")
    with serving(functools.partial(Quiet, directory=str(tree))) as host, pytest.raises(InputUnreadable, match="deep"):
        listed(host, "/data")


def test_links_that_sort_lead_up_or_elsewhere_are_no_files() -> None:
    page = (
        b"<html><title>Index of /d</title><a href='?C=N;O=D'>Name</a><a href='../'>up</a><a href='/'>home</a>"
        b"<a href='http://elsewhere.example/d/x'>x</a><a href='mailto:a@b'>m</a><a href='#top'>t</a>"
        b"<a href='/d/abs.csv'>abs</a><a href='rel.csv'>rel</a><a href='rel.csv'>again</a><a href='http://['>odd</a>"
    )
    with site(lambda path: (200, "text/html", page) if "comp=list" not in path else (404, "", b"")) as host:
        assert listed(host, "/d") == ["abs.csv", "rel.csv"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html><title>Welcome</title><a href='/elsewhere'>x</a>"),
        (200, "application/json", b"{}"),
    ],
)
def test_a_page_that_is_no_index_is_refused_with_what_to_do(answer: tuple[int, str, bytes]) -> None:
    with site(lambda path: answer) as host, pytest.raises(InputUnreadable) as raised:
        listed(host, "/d")
    for word in (f"http://{host}/d/", "registered as a datastore", "uri_file"):
        assert word in raised.value.message


def test_an_empty_index_is_an_empty_folder() -> None:
    page = b"<html><title>Index of /d</title><h1>Index of /d</h1>"
    with site(lambda path: (200, "text/html", page)) as host:
        assert listed(host, "/d") == []


# Hosts


@pytest.mark.parametrize("path", ["/account/box/in", "/d"])
def test_a_private_host_is_not_asked_unless_it_is_allowed(path: str) -> None:
    with (
        site(lambda path: (200, "application/xml", xml_page(["in/a"]))) as host,
        WebFolder(f"http://{host}{path}") as f,
        pytest.raises(InputUnreadable, match="input_hosts_allowed"),
    ):
        list(f.files())


def test_a_redirect_of_a_list_to_a_private_host_is_refused() -> None:
    def answer(path: str) -> tuple[int, str, bytes]:
        return 302, "", b"http://localhost:1/x"

    with site(answer) as host, pytest.raises(InputUnreadable, match="localhost is a private or local host"):
        listed(host)


# One bad file


def test_a_file_that_cannot_be_fetched_costs_that_file(tmp_path: Path) -> None:
    def answer(path: str) -> tuple[int, str, bytes]:
        if "comp=list" in path:
            return 200, "application/xml", xml_page([f"in/{number}" for number in range(5)])
        return (404, "text/plain", b"") if path.endswith("/3") else (200, "text/plain", path.encode())

    with site(answer) as host:
        items, failed = fetched(f"http://{host}/account/box/in", host, tmp_path)
    assert items == ["0", "1", "2", "3", "4"]
    assert list(failed) == ["3"]
    assert "answered 404" in failed["3"]
    assert (tmp_path / "4").read_text().endswith("/in/4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "4"]


def test_a_transfer_asks_whether_it_is_wanted_and_stops(tmp_path: Path) -> None:
    class Unwanted(Exception):
        pass

    asked: list[int] = []

    def still_wanted() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise Unwanted

    def answer(path: str) -> tuple[int, str, bytes]:
        names = [f"in/{number}" for number in range(500)]
        return 200, "application/xml" if "comp=list" in path else "", xml_page(names) if "comp=list" in path else b"x"

    with (
        site(answer) as host,
        WebFolder(f"http://{host}/account/box/in", host, AT_ONCE) as folder,
        pytest.raises(Unwanted),
    ):
        bring(folder, "", tmp_path, Choice(still_wanted=still_wanted))
