"""Names from clients: whatever is no name of ours is refused with its rule, and leads to no other noun and no file."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.process.servers import SPACE, Server, serving

HOSTILE = {
    "up": "..",
    "up encoded twice": "%2e%2e",
    "a slash": "a/../b",
    "a backslash": "..\\..\\x",
    "a null byte": "name\x00.txt",
    "a line feed": "name\nInjected: yes",
    "a blank": "my name",
    "right to left": "name\u202etxt",
    "an emoji": "name\U0001f600",
    "decomposed": "e\u0301tude",
    "zero width": "na\u200bme",
    "a leading dash": "-name",
    "a semicolon": "name;x=1",
    "a script": "<script>alert(1)</script>",
    "SQL": "x' OR '1'='1",
    "a template": "{{7*7}}",
    "long": "n" * 5000,
}
#: Of each kind, where one is put, and what is put there.
NOUNS = {
    "endpoint": (f"{SPACE}/batchEndpoints/{{}}", {"properties": {"authMode": "AADToken"}}),
    "deployment": (f"{SPACE}/batchEndpoints/real/deployments/{{}}", {"properties": {"compute": "azureml:cpu"}}),
    "compute": (f"{SPACE}/computes/{{}}", {"properties": {"computeType": "AmlCompute", "properties": {}}}),
    "datastore": (f"{SPACE}/datastores/{{}}", {"properties": {"datastoreType": "AzureBlob"}}),
    "data": (f"{SPACE}/data/{{}}/versions/1", {"properties": {"dataType": "uri_folder", "dataUri": "https://a.b/c"}}),
    "version": (
        f"{SPACE}/data/d/versions/{{}}",
        {"properties": {"dataType": "uri_folder", "dataUri": "https://a.b/c"}},
    ),
    "model": (f"{SPACE}/models/{{}}/versions/1", {"properties": {"modelUri": "https://a.b/c"}}),
    "environment": (f"{SPACE}/environments/{{}}/versions/1", {"properties": {"image": "x"}}),
    "workspace": (f"{SPACE.rpartition('/')[0]}/{{}}", {"location": "local", "properties": {}}),
    "job": (f"{SPACE}/jobs/{{}}", {"properties": {}}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("homes") / "home") as found:
        yield found


def _sent(name: str) -> str:
    """As it travels when no client on the way makes it a step up."""
    return quote(name, safe="").replace("..", "%2E%2E")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_hostile_name_makes_no_noun(server: Server, noun: str) -> None:
    path, body = NOUNS[noun]
    before = sorted(one.relative_to(server.home).as_posix() for one in server.home.rglob("*") if one.is_dir())
    with server.client() as client:
        client.put(f"{SPACE}/batchEndpoints/real", json={"properties": {"authMode": "AADToken"}})
        for what, name in HOSTILE.items():
            if noun == "version" and what == "a leading dash":
                continue
            answer = client.put(path.format(_sent(name)), json=body)
            assert answer.status_code in (400, 404, 405), f"{what}: {answer.status_code} {answer.text[:300]}"
            assert answer.json()["error"]["code"], what
            assert str(server.home) not in answer.text, what
    after = sorted(one.relative_to(server.home).as_posix() for one in server.home.rglob("*") if one.is_dir())
    assert after == before


@pytest.mark.parametrize("given", ["1" * (1 << 20), "../../x", "a\x00b"], ids=["a megabyte", "up", "null"])
def test_a_name_in_a_body_is_held_to_the_same_rules(server: Server, given: str) -> None:
    with server.client() as client:
        client.put(f"{SPACE}/batchEndpoints/real", json={"properties": {"authMode": "AADToken"}})
        answer = client.post("/endpoints/real/jobs", json={"properties": {"name": given}})
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd%00",
        "azureml://datastores/workspaceblobstore/paths/../../../etc/passwd",
        "azureml://datastores/workspaceblobstore/paths/%2e%2e/%2e%2e/etc",
        "azureml://datastores/../paths/x",
        "gopher://127.0.0.1/x",
        "zip::https://example.com/x.zip",
        "simplecache::file:///etc/passwd",
        "reference://x",
        "http://user:word@example.com/x",
        "http://[::1/x",
        "https://exa mple.com/\r\nHost: x",
        "azureml://datastores/workspaceblobstore/paths/a#b?c\\d",
    ],
)
def test_an_address_of_data_that_is_none_is_refused_and_never_a_fault(server: Server, uri: str) -> None:
    body = {"properties": {"dataType": "uri_folder", "dataUri": uri}}
    invoked = {"properties": {"inputData": {"x": {"jobInputType": "UriFolder", "uri": uri}}}}
    with server.client() as client:
        client.put(f"{SPACE}/batchEndpoints/real", json={"properties": {"authMode": "AADToken"}})
        for answer in (
            client.put(f"{SPACE}/data/hostile/versions/1", json=body),
            client.put(f"{SPACE}/models/hostile/versions/1", json={"properties": {"modelUri": uri}}),
            client.post("/endpoints/real/jobs", json=invoked),
        ):
            assert answer.status_code < 500, answer.text
            assert "root:" not in answer.text
