"""The document of the API says what the API does: anything that it allows is answered, and never with a fault of ours.

Requests are made up from the document, the same ones at each run: bodies and parameters as it describes them, and some
that it forbids.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from batchpoint.in_process import IN_PROCESS_URL, InProcessTransport
from batchpoint.server.app import create_app
from batchpoint.server.description import bodies
from batchpoint.server.identity.home import token_of
from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from batchpoint.store.store import open_store
from tests.process.servers import SPACE

#: Made-up requests of one operation.
_TRIES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 2}
#: Kinds of assets that share their routes with data; only what is in a body is their own.
_OTHER_KINDS = ("/models", "/datasets", "/environments", "/codes")

_PLACE = {"subscription": DEFAULT_SUBSCRIPTION, "group": "default", "workspace": "default"}
#: Names of what the workspace has; made-up ones would hardly ever meet one.
_KNOWN = {
    "endpoint": "digits",
    "deployment": "blue",
    "compute": "batch-cluster",
    "datastore": "workspaceblobstore",
    "name": "digits",
    "version": "1",
    "label": "latest",
    "tenant": "adfs",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("described") / "home"
    chosen = Settings(home=home, requests_per_second=0)
    with contextlib.ExitStack() as closing:
        store = open_store(home, 10.0)
        transport = InProcessTransport(create_app(chosen, store), store)
        headers = {"Authorization": f"Bearer {token_of(home)}"}
        client = httpx.Client(base_url=IN_PROCESS_URL, transport=transport, headers=headers)
        closing.enter_context(client)
        _fill(client, home)
        yield client


def _fill(client: httpx.Client, home: Path) -> None:
    script, model = home / "code" / "score.py", home / "model.txt"
    script.parent.mkdir()
    script.write_text("def run(mini_batch):\n    return mini_batch\n")
    model.write_text("a model")
    for path, body in (
        ("computes/batch-cluster", bodies.example("Compute")),
        ("models/digits/versions/1", {"properties": {"modelUri": str(model)}}),
        ("data/digits/versions/1", {"properties": {"dataUri": str(script.parent), "dataType": "UriFolder"}}),
        ("codes/digits/versions/1", {"properties": {"codeUri": str(script.parent)}}),
        ("environments/digits/versions/1", {"properties": {"condaFile": "dependencies: [python=3.11]"}}),
        ("batchEndpoints/digits", bodies.example("Endpoint")),
    ):
        client.put(f"{SPACE}/{path}", json=body).raise_for_status()
    deployment: Any = bodies.example("Deployment")
    deployment["properties"]["codeConfiguration"]["codeId"] = f"{SPACE}/codes/digits/versions/1"
    client.put(f"{SPACE}/batchEndpoints/digits/deployments/blue", json=deployment).raise_for_status()


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/batchpoint/v1/openapi.json").raise_for_status().json()
    return found


def test_examples_are_what_their_schemas_describe(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    with_example = [schema for schema in schemas.values() if "example" in schema]
    assert len(with_example) > 8
    for schema in with_example:
        jsonschema.validate(schema["example"], schema)


def test_answers_are_what_their_schemas_describe(client: httpx.Client, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, name in (
        ("", "Workspace"),
        ("/computes/batch-cluster", "Compute"),
        ("/datastores/workspaceblobstore", "Datastore"),
        ("/models/digits/versions/1", "Model"),
        ("/models/digits", "Container"),
        ("/environments/digits/versions/1", "Environment"),
        ("/codes/digits/versions/1", "Code"),
        ("/batchEndpoints/digits", "Endpoint"),
        ("/batchEndpoints/digits/deployments/blue", "Deployment"),
    ):
        shown = client.get(f"{SPACE}{path}").json()
        assert not _unknown(shown, schemas[name], name)
        jsonschema.validate(shown, schemas[name])


def _unknown(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Keys of an answer that its schema does not have: the document would not tell of them."""
    if not isinstance(value, dict) or not schema or schema.get("additionalProperties"):
        return []
    properties = schema.get("properties", {})
    own = [f"{where}.{key}" for key in value.keys() - properties.keys()]
    inner = [_unknown(value[key], properties[key], f"{where}.{key}") for key in value.keys() & properties.keys()]
    return own + [one for some in inner for one in some]


def test_the_document_is_for_those_who_are_known(client: httpx.Client) -> None:
    assert client.get("/batchpoint/v1/openapi.json", headers={"Authorization": ""}).status_code == 401
    assert client.get("/docs", headers={"Authorization": ""}).status_code == 401
    assert json.loads(client.get("/batchpoint/v1/openapi.json").text)["openapi"] == "3.0.3"


def test_every_operation_answers_what_the_document_allows_and_forbids(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    described = schemathesis.openapi.from_dict(document)
    tried, faults = 0, []
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.method != "put" and any(f"{kind}/" in f"{operation.path}/" for kind in _OTHER_KINDS):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            problems = _tried(client, document, operation, mode)
            faults += problems
            tried += 1
    assert tried > 180
    assert not faults, "\n".join(faults)


def _tried(client: httpx.Client, document: dict[str, Any], operation: Any, mode: GenerationMode) -> list[str]:
    faults: dict[str, str] = {}

    @settings(
        max_examples=_TRIES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def ask(case: Any, is_known: bool) -> None:
        # What others look for is not deleted before.
        place = _PLACE if operation.method != "delete" or not operation.path.endswith("{workspace}") else {}
        known = {**place, **(_KNOWN if is_known and operation.method != "delete" else {})}
        case.path_parameters.update({name: known[name] for name in case.path_parameters.keys() & known.keys()})
        answer = _sent(client, case)
        if wrong := _wrong(document, answer):
            faults.setdefault(wrong, f"{case.as_curl_command()}\n    {wrong}: {answer.text[:300]}")

    # Nothing that the document would forbid, for an operation that takes nothing.
    with contextlib.suppress(schemathesis.errors.InvalidSchema, Exception if mode is GenerationMode.NEGATIVE else ()):
        ask()
    return list(faults.values())


def _sent(client: httpx.Client, case: Any) -> httpx.Response:
    request = requests.Request(**case.as_transport_kwargs(base_url=IN_PROCESS_URL)).prepare()
    headers = [(key, value) for key, value in request.headers.items() if key.lower() != "authorization"]
    return client.request(request.method or "GET", request.url or "", content=request.body, headers=headers)


def _wrong(document: dict[str, Any], answer: httpx.Response) -> str:
    """What is wrong with an answer; nothing for one that keeps to the document."""
    if answer.status_code >= 500:
        return f"a fault of ours, {answer.status_code}"
    if answer.status_code < 400:
        return ""
    path = answer.request.url.path
    shape = "TokenError" if path.endswith("/token") else "Error"
    try:
        jsonschema.validate(answer.json(), document["components"]["schemas"][shape])
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{answer.status_code} in a shape of its own ({str(error)[:80]})"
    return ""
