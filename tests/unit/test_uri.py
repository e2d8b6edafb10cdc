"""Every way to write where data is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.errors import ReferenceInvalid
from batchpoint.storage.uri import (
    AssetReference,
    DatastorePath,
    HttpUrl,
    JobOutput,
    LocalPath,
    ObjectStoreUrl,
    RunArtifact,
    parse_uri,
    strip_marker,
)
from batchpoint.storage.web.fetch import file_name_of
from batchpoint.storage.web.hosts import is_public, shown

LONG = "azureml://subscriptions/s/resourcegroups/rg/workspaces/ws/datastores/store/paths/a/b"
ARM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws/datastores/store"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("azureml://datastores/store/paths/a/b", "a/b"),
        ("azureml://datastores/store/paths/a/b/", "a/b/"),
        ("azureml://datastores/store/paths//a//./b", "a/b"),
        ("azureml://datastores/store/paths/a b:c@d#e?f%20", "a b:c@d#e?f%20"),
        ("azureml://datastores/store/paths/line\nbreak", "line\nbreak"),
        ("azureml://datastores/store/paths/", ""),
        ("azureml://datastores/store", ""),
        ("azureml://datastores/store/ExperimentRun/dcid.x/logs", "ExperimentRun/dcid.x/logs"),
        ("azureml://datastores/store/datasets/titanic", "datasets/titanic"),
        ("AzureML://Datastores/store/Paths/Data", "Data"),
        ("azureml://datastores/store/paths/pathsology", "pathsology"),
    ],
)
def test_a_short_datastore_uri_names_a_place_in_it(text: str, path: str) -> None:
    assert parse_uri(text) == DatastorePath("store", path)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG.replace("resourcegroups", "resourceGroups"),
        ARM + "/paths/a/b",
        "azureml:" + ARM + "/paths/a/b",
    ],
)
def test_a_long_datastore_uri_names_its_workspace_too(text: str) -> None:
    parsed = parse_uri(text)
    assert parsed == DatastorePath("store", "a/b", "s", "rg", "ws")
    assert isinstance(parsed, DatastorePath)
    assert parsed.long("other", "other", "other") == LONG
    assert parsed.short == "azureml://datastores/store/paths/a/b"


def test_a_short_uri_takes_the_workspace_it_is_given() -> None:
    parsed = parse_uri("azureml://datastores/store/paths/a/b")
    assert isinstance(parsed, DatastorePath)
    assert parsed.long("s", "rg", "ws") == LONG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("azureml://jobs/j1/outputs/score/paths/x.csv", JobOutput("j1", "score", "x.csv")),
        ("azureml://jobs/j1/outputs/artifacts", JobOutput("j1", "artifacts", "")),
        (
            "azureml://subscriptions/s/resourceGroups/rg/workspaces/ws/jobs/j1/outputs/artifacts/paths/logs/",
            JobOutput("j1", "artifacts", "logs/"),
        ),
        ("runs:/abc/model", RunArtifact("abc", "model")),
        ("https://host/container/a?sig=b", HttpUrl("https://host/container/a?sig=b")),
        ("HTTP://host/a", HttpUrl("HTTP://host/a")),
        (
            "wasbs://c@account.blob.core.windows.net/x/",
            ObjectStoreUrl("wasbs://c@account.blob.core.windows.net/x/", "account", "c", "x/"),
        ),
        (
            "abfss://c@account.dfs.core.windows.net",
            ObjectStoreUrl("abfss://c@account.dfs.core.windows.net", "account", "c", ""),
        ),
        ("s3://bucket/a b#c?d", ObjectStoreUrl("s3://bucket/a b#c?d", "", "bucket", "a b#c?d")),
        ("azureml:heart:1", AssetReference("azureml:heart:1")),
        ("azureml://data/heart/versions/1", AssetReference("azureml://data/heart/versions/1")),
        ("/subscriptions/s/resourceGroups/g/x/data/d", AssetReference("/subscriptions/s/resourceGroups/g/x/data/d")),
        ("./data", LocalPath("./data")),
        ("/abs/../data", LocalPath("/abs/../data")),
        ("odd:name", LocalPath("odd:name")),
        ("10:30@noon.csv", LocalPath("10:30@noon.csv")),
    ],
)
def test_every_other_form_is_told_apart(text: str, expected: object) -> None:
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    ("text", "rest", "kind"),
    [
        ("folder:azureml://datastores/store/paths/a", "azureml://datastores/store/paths/a", "uri_folder"),
        ("file:https://host/a.csv", "https://host/a.csv", "uri_file"),
        ("FOLDER: ./x", "./x", "uri_folder"),
        ("file:./x", "./x", "uri_file"),
        ("file:///a%20b/c", "/a b/c", None),
        ("file://localhost/a", "/a", None),
        ("file:/a%20b", "/a%20b", "uri_file"),
        ("folders/x", "folders/x", None),
    ],
)
def test_the_markers_of_2021_come_off_first(text: str, rest: str, kind: str | None) -> None:
    assert strip_marker(text) == (rest, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "folder:",
        "a\0b",
        "azureml://datastores/store/paths/../x",
        "azureml://datastores/store/paths/a/../../x",
        "azureml://datastores/store/paths/a/..",
        "azureml://datastores/store/../x",
        "azureml://jobs/j/outputs/o/paths/../../x",
        "runs:/r/../x",
        "s3:///x",
        "s3://bucket/../x",
        "wasbs://account.blob.core.windows.net/x",
        "abfss://c@/x",
        "gs://bucket/x",
        "https:///nohost",
    ],
)
def test_what_cannot_be_read_or_leads_out_is_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid) as raised:
        parse_uri(text)
    assert raised.value.message.rstrip().endswith((".", ")."))


@given(st.text(min_size=1).filter(lambda s: "\0" not in s))
def test_a_path_in_a_datastore_never_leads_out_of_it(path: str) -> None:
    try:
        parsed = parse_uri(f"azureml://datastores/store/paths/{path}")
    except ReferenceInvalid:
        return
    assert isinstance(parsed, DatastorePath)
    assert ".." not in parsed.path.split("/")
    assert not parsed.path.startswith("/")
    assert parse_uri(parsed.short) == parsed


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_an_address_inside_is_not_public_however_it_is_wrapped(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/digits.csv?sig=x", "digits.csv"),
        ("https://host/a/two%20words.csv", "two words.csv"),
        ("https://host/a/%2Fetc%2Fpasswd", "_etc_passwd"),
        ("https://host/..", "input"),
        ("https://host/%2e%2e", "input"),
        ("https://host", "input"),
        ("https://host/%00%0a.csv", "__.csv"),
        ("https://host/" + "x" * 300 + ".csv", "x" * 196 + ".csv"),
    ],
)
def test_a_download_is_named_by_its_url_and_stays_in_its_folder(url: str, name: str) -> None:
    assert file_name_of(url) == name


def test_messages_never_show_what_signs_a_url() -> None:
    assert shown("https://user:secret@host:8/a@b?sig=secret") == "https://host:8/a@b?…"
