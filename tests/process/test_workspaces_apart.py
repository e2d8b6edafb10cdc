"""Two workspaces, and somebody who may do everything in one of them: nothing of the other is had, or told."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchpoint.entities.workspace import Workspace
from batchpoint.server.identity.roles import grants_of
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.storage.accounts.account import account_of
from tests.callers import GROUP, Callers, callers_on, workspace

HERE, THERE = workspace("here"), workspace("there")
#: Which is nowhere.
ABSENT = workspace("absent")
SCRIPT = "def init():\n    pass\n\n\ndef run(batch):\n    return batch\n"
ROUTES_OF_A_JOB = ("logs", "outputs", "manifest", "failed-items", "verification", "partial", "logs/driver.log")


class Town:
    """Both workspaces with the same nouns, a folder that is open to all, and who sends the requests."""

    def __init__(self, callers: Callers, folder: Path) -> None:
        self.callers = callers
        self.owner = callers.owner
        self.transport = callers.transport
        self.folder = folder
        for place in (HERE, THERE):
            self._furnish(place)
        self.mine = callers.of("mine", "AzureML Data Scientist", HERE)
        self.invoker = callers.of("invoker", "Invoker", HERE)

    def _furnish(self, place: str) -> None:
        name = place.rpartition("/")[2]
        put = self.owner.put
        code, model = self.folder / "code", self.folder / "model"
        properties: dict[str, dict[str, Any]] = {
            "": {},
            "/computes/cpu": {"computeType": "AmlCompute", "properties": {}},
            "/models/m/versions/1": {"modelUri": str(model)},
            "/codes/c/versions/1": {"codeUri": str(code)},
            "/environments/e/versions/1": {"condaFile": "dependencies:\n- python=3.11\n"},
            "/data/d/versions/1": {"dataUri": str(self.folder / "input"), "dataType": "uri_folder"},
            f"/batchEndpoints/end-{name}": {"authMode": "aadToken"},
            f"/batchEndpoints/end-{name}/deployments/dep": self.deployment(place),
        }
        for path, values in properties.items():
            answer = put(f"{place}{path}", json={"location": "local", "properties": values})
            assert answer.status_code in (200, 201), answer.text

    def deployment(self, place: str, **other: str) -> dict[str, Any]:
        """All of whose references are in ``place``, or where ``other`` says."""
        of = {"model": place, "code": place, "environment": place} | other
        return {
            "model": {"referenceType": "Id", "assetId": f"{of['model']}/models/m/versions/1"},
            "codeConfiguration": {"codeId": f"{of['code']}/codes/c/versions/1", "scoringScript": "score.py"},
            "environmentId": f"{of['environment']}/environments/e/versions/1",
            "compute": f"{place}/computes/cpu",
        }

    def invoke(self, client: httpx.Client, uri: str, output: str = "", key: str = "") -> httpx.Response:
        properties: dict[str, Any] = {"inputData": {"i": {"jobInputType": "UriFolder", "uri": uri}}}
        if output:
            properties["outputData"] = {"score": {"jobOutputType": "UriFolder", "uri": output}}
        headers = {"azureml-model-deployment": "dep"} | ({"repeatability_request-id": key} if key else {})
        return client.post("/endpoints/end-here/jobs", json={"properties": properties}, headers=headers)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("apart")
    (folder / "home").mkdir(mode=0o700)
    for name, text in (
        ("code/score.py", SCRIPT),
        ("model/weights", "w"),
        ("input/a.txt", "a"),
        ("open/b.txt", "b"),
        ("open/in/b.txt", "b"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "open" / "out").symlink_to(folder / "input")
    (folder / "open" / "into-home").symlink_to(folder / "home")
    with callers_on(folder / "home", local_roots_allowed=f"{folder}/open, {folder}/home") as callers:
        yield Town(callers, folder)


def error(answer: httpx.Response) -> tuple[int, str, str]:
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["message"]


def same_but_for_names(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether who reads both learns nothing from the difference."""
    texts = [json.dumps([*error(a)[:2], error(a)[2].replace("there", "absent")]) for a in (one, other)]
    return texts[0] == texts[1]


@pytest.mark.parametrize("what", ["model", "code", "environment"])
def test_a_deployment_cannot_use_what_lies_in_a_workspace_of_others(town: Town, what: str) -> None:
    path = f"{HERE}/batchEndpoints/end-here/deployments/new"
    theirs, absent = (
        town.mine.put(path, json={"properties": town.deployment(HERE, **{what: place})}) for place in (THERE, ABSENT)
    )
    assert error(theirs)[:2] == (404, "ResourceNotFound")
    assert same_but_for_names(theirs, absent)
    both = town.callers.of("both", "AzureML Data Scientist", HERE)
    town.callers.of("both", "Reader", THERE)
    made = both.put(path, json={"properties": town.deployment(HERE, **{what: THERE})})
    assert made.status_code in (200, 201), made.text


def test_what_was_deployed_from_elsewhere_is_invoked_by_those_who_may_not_look_there(town: Town) -> None:
    path = f"{HERE}/batchEndpoints/end-here/deployments/lent"
    assert town.owner.put(path, json={"properties": town.deployment(HERE, model=THERE)}).status_code == 201
    body = {"properties": {"inputData": {"i": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}}}
    sent = town.invoker.post("/endpoints/end-here/jobs", json=body, headers={"azureml-model-deployment": "lent"})
    assert sent.status_code == 201, sent.text
    job = town.callers.store.find_job(sent.json()["name"])
    # The model is read where it was kept, not at the same path of the endpoint's workspace.
    assert job is not None
    assert job.settings.model_path
    assert (Path(job.settings.model_path) / "weights").read_text() == "w"


@pytest.mark.parametrize(
    "uri",
    [
        "{}/data/d/versions/1",
        "azureml:/{}/data/d/versions/1",
        "azureml://subscriptions/{s}/resourcegroups/lab/workspaces/{w}/data/d/versions/1",
        "azureml://subscriptions/{s}/resourcegroups/lab/workspaces/{w}/datastores/workspaceblobstore/paths/x/",
        "{}/datastores/workspaceblobstore/paths/x/",
    ],
)
def test_an_input_cannot_be_read_out_of_a_workspace_of_others(town: Town, uri: str) -> None:
    asked = [
        town.invoke(town.mine, uri.format(place, s=DEFAULT_SUBSCRIPTION, w=place.rpartition("/")[2]))
        for place in (THERE, ABSENT)
    ]
    assert error(asked[0])[:2] == (404, "ResourceNotFound"), asked[0].text
    assert same_but_for_names(*asked)


def test_an_output_needs_more_in_another_workspace_than_to_look_there(town: Town) -> None:
    at = f"azureml://subscriptions/{DEFAULT_SUBSCRIPTION}/resourcegroups/lab/workspaces/{{}}/datastores/workspaceblobstore/paths/o/"
    assert error(town.invoke(town.mine, "azureml:d:1", at.format("there")))[0] == 404
    looking = town.callers.of("looking", "AzureML Data Scientist", HERE)
    town.callers.of("looking", "Reader", THERE)
    assert error(town.invoke(looking, "azureml:d:1", at.format("there")))[0] == 404
    assert town.invoke(looking, "azureml:d:1", at.format("here")).status_code == 201


def test_no_output_is_written_beside_code_or_a_model(town: Town) -> None:
    own = town.callers.store.find_job(town.invoke(town.owner, "azureml:d:1").json()["name"])
    assert own is not None
    code = Path(own.settings.code_path)
    below = code.as_posix().partition("/LocalUpload/")[2]
    assert below
    for spelling in ("LocalUpload", "localupload", "/LocalUpload", "x/../LocalUpload"):
        uri = f"azureml://datastores/workspaceblobstore/paths/{spelling}/{below}/"
        assert error(town.invoke(town.invoker, "azureml:d:1", uri))[:2] == (400, "InvalidReference"), spelling
    assert error(town.invoke(town.owner, "azureml:d:1", str(code)))[0] == 400


def test_data_and_jobs_of_others_are_not_reached_by_name(town: Town) -> None:
    theirs = town.owner.post(
        "/endpoints/end-there/jobs",
        json={"properties": {"inputData": {"i": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}}},
        headers={"azureml-model-deployment": "dep"},
    ).json()["name"]
    own = town.invoke(town.mine, "azureml:d:1").json()["name"]
    for route in ROUTES_OF_A_JOB:
        found, absent = (town.mine.get(f"/batchpoint/v1/jobs/{name}/{route}") for name in (theirs, "batchjob-absent"))
        assert error(found)[:2] == (404, "ResourceNotFound"), route
        assert error(found)[2].replace(theirs, "batchjob-absent") == error(absent)[2]
    compared = town.mine.get(f"/batchpoint/v1/jobs/{own}/verification?against={theirs}")
    assert error(compared)[0] == 404
    assert theirs in error(compared)[2]
    # By the path of the caller's own workspace, and of the other one.
    for base, status in ((HERE, 404), (THERE, 403)):
        assert town.mine.get(f"{base}/jobs/{theirs}").status_code == status
        assert town.mine.get(f"/history/v1.0{base}/runs/{theirs}").status_code == status
        assert town.mine.post(f"{base}/jobs/{theirs}/cancel").status_code == status
    output = f"azureml://jobs/{theirs}/outputs/score/"
    assert error(town.invoke(town.mine, output))[0] == 404
    for path in ("/endpoints/end-there/jobs", f"/endpoints/end-there/jobs/{theirs}"):
        found, absent = town.mine.get(path), town.mine.get(path.replace("there", "absent"))
        assert error(found)[0] == 404
        assert same_but_for_names(found, absent)
    resolved = town.mine.post(
        f"/data/v1.0{HERE}/dataversion/batchGetResolvedUris", json={"values": [f"{THERE}/data/d/versions/1"]}
    )
    assert resolved.json() == {"values": {}}


def test_lists_show_only_what_a_caller_may_see(town: Town) -> None:
    town.owner.put(f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/secret", json={"location": "x"})
    town.owner.put(workspace("third").replace("/lab/", "/secret/"), json={})
    subscription = f"/subscriptions/{DEFAULT_SUBSCRIPTION}"
    places = "providers/Microsoft.MachineLearningServices"
    for path in (f"{subscription}/{places}/workspaces", f"{GROUP}/{places}/workspaces"):
        assert [one["name"] for one in town.mine.get(path).json()["value"]] == ["here"]
        assert len(town.owner.get(path).json()["value"]) >= 2
    assert [one["name"] for one in town.mine.get(f"{subscription}/resourceGroups").json()["value"]] == ["lab"]
    empty = f"{subscription}/resourceGroups/secret/{places}/workspaces"
    assert (
        town.mine.get(empty).json()["value"] == town.mine.get(empty.replace("secret", "absent")).json()["value"] == []
    )
    assert [one["subscriptionId"] for one in town.mine.get("/subscriptions").json()["value"]] == [DEFAULT_SUBSCRIPTION]
    assert town.callers.of("stranger").get("/subscriptions").json()["value"] == []
    accounts = town.mine.get(f"{subscription}/providers/Microsoft.Storage/storageAccounts").json()["value"]
    assert len(accounts) == 1
    assert town.mine.get(f"{subscription}/{places}/locations/local/usages").status_code == 403


def test_messages_name_nothing_that_a_caller_may_not_list(town: Town) -> None:
    narrow = {"actions": ["Microsoft.MachineLearningServices/workspaces/batchEndpoints/jobs/write"]}
    assert town.owner.put("/batchpoint/v1/roles/caller", json=narrow).status_code in (200, 201)
    caller = town.callers.of("caller", "caller", HERE)
    body = {"properties": {"inputData": {"i": {"jobInputType": "UriFolder", "uri": "azureml:d:7"}}}}
    told = [
        caller.post("/endpoints/end-here/jobs", json=body, headers={"azureml-model-deployment": "nope"}),
        caller.post("/endpoints/end-here/jobs", json=body),
        caller.post("/endpoints/end-here/jobs", json=body, headers={"azureml-model-deployment": "dep"}),
        town.invoke(caller, "azureml://datastores/nope/paths/x/"),
    ]
    for answer in told:
        assert error(answer)[0] == 404, answer.text
        assert not {"dep", "new", "lent", "workspaceblobstore"} & set(error(answer)[2].replace(",", " ").split())


def test_nobody_says_of_a_job_what_the_service_says(town: Town) -> None:
    """A job that repeats another one may be compared with it, whoever asks."""
    noted = {"batchpoint.rerun_of": "somebody-elses", "batchpoint.pruned": "2026-01-01", "mine": "1"}
    asked = {"inputData": {"i": {"jobInputType": "UriFolder", "uri": "azureml:d:1"}}, "properties": noted}
    headers = {"azureml-model-deployment": "dep"}
    answer = town.invoker.post("/endpoints/end-here/jobs", json={"properties": asked}, headers=headers)
    job = town.callers.store.find_job(answer.json()["name"])
    assert job is not None
    assert job.properties["mine"] == "1"
    assert not [key for key in job.properties if key.startswith("batchpoint.")]


def test_an_account_that_a_workspace_does_not_have_yet_is_no_place_on_the_web(town: Town) -> None:
    """Else whoever names it first could read in it later, with the rights of whoever looks after the asset."""
    later = Workspace(DEFAULT_SUBSCRIPTION, "lab", "later")
    name = account_of(town.callers.settings.home, later).name
    for host in ("https://localhost", f"https://{name}.blob.core.windows.net", str(town.mine.base_url)):
        url = f"{host}/azureml-blobstore/x/" if name in host else f"{host}/{name}/azureml-blobstore/x/"
        body = {"properties": {"dataUri": url, "dataType": "uri_folder"}}
        made = town.mine.put(f"{HERE}/data/early/versions/1", json=body)
        assert error(made)[0] == 404, f"{url}: {made.text}"
        assert error(town.invoke(town.mine, url))[0] == 404


def test_an_output_on_the_machine_is_a_path_of_the_machine(town: Town) -> None:
    """Others write into the folder, too."""
    (town.folder / "out").mkdir(exist_ok=True)
    job = town.invoke(town.owner, "azureml:d:1", str(town.folder / "out")).json()["name"]
    uri = f"azureml://jobs/{job}/outputs/score/paths/"
    assert error(town.invoke(town.invoker, uri))[:2] == (403, "LocalPathNotAllowed")
    assert town.invoke(town.owner, uri).status_code == 201
    opened = town.invoke(town.owner, "azureml:d:1", str(town.folder / "open" / "in")).json()["name"]
    assert town.invoke(town.invoker, f"azureml://jobs/{opened}/outputs/score/paths/").status_code == 201


def test_a_folder_that_is_open_to_all_opens_no_home_in_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with callers_on(tmp_path / "link" / "home", local_roots_allowed=str(tmp_path)) as callers:
        made = callers.of("made", "Contributor", HERE)
        callers.owner.put(HERE, json={"location": "local", "properties": {}})
        for name in ("", "real", "link", "real/home", "link/home", "real/home/token", "link/home/token"):
            body = {"properties": {"dataUri": f"{tmp_path}/{name}", "dataType": "uri_folder"}}
            assert error(made.put(f"{HERE}/data/x/versions/1", json=body))[:2] == (403, "LocalPathNotAllowed"), name


def test_no_link_in_a_folder_that_is_open_to_all_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("canary")
    for name in ("fine/venv/bin", "file", "folder", "chain", "beside"):
        (tmp_path / "open" / name).mkdir(parents=True)
        (tmp_path / "open" / name / "a.txt").write_text("a")
    (tmp_path / "open" / "fine" / "inside").symlink_to(tmp_path / "open" / "beside")
    (tmp_path / "open" / "fine" / "around").symlink_to(tmp_path / "open" / "fine")
    (tmp_path / "open" / "file" / "key").symlink_to(tmp_path / "secret" / "key")
    (tmp_path / "open" / "folder" / "all").symlink_to(tmp_path / "secret")
    (tmp_path / "open" / "chain" / "next").symlink_to(tmp_path / "open" / "folder")
    with callers_on(tmp_path / "home", local_roots_allowed=str(tmp_path / "open")) as callers:
        callers.owner.put(HERE, json={"location": "local", "properties": {}})
        made = callers.of("made", "Contributor", HERE)
        for name in ("file", "folder", "chain", ""):
            body = {"properties": {"modelUri": f"{tmp_path}/open/{name}"}}
            told = made.put(f"{HERE}/models/m-{name}/versions/1", json=body)
            assert error(told)[:2] == (403, "LocalPathNotAllowed"), name
        assert not [path for path in (tmp_path / "home").rglob("key") if path.read_text() == "canary"]
        body = {"properties": {"modelUri": f"{tmp_path}/open/fine"}}
        assert made.put(f"{HERE}/models/fine/versions/1", json=body).status_code == 201
        (tmp_path / "open" / "fine" / "venv" / "bin" / "python").symlink_to(sys.executable)
        body = {"properties": {"python": f"{tmp_path}/open/fine/venv"}}
        assert made.put(f"{HERE}/environments/e/versions/1", json=body).status_code == 201


def test_kept_credentials_are_for_the_place_that_they_were_given_for(town: Town) -> None:
    def store(**other: Any) -> dict[str, Any]:
        usual = {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c"}
        return {"properties": {**usual, **other}}

    path = f"{HERE}/datastores/elsewhere?skipValidation=true"
    sas = {"credentialsType": "Sas", "secrets": {"secretsType": "Sas", "sasToken": "sv=1&sig=canary"}}
    assert town.mine.put(path, json=store(credentials=sas)).status_code == 201
    assert town.mine.put(path, json=store(description="other")).status_code == 200
    for moved in ({"accountName": "b"}, {"endpointUrl": "https://example.com"}):
        refused = town.owner.put(path, json=store(**moved))
        assert error(refused)[0] == 400, refused.text
        assert "canary" not in refused.text
    assert town.owner.put(path, json=store(accountName="b", credentials=sas)).status_code == 200


def test_the_same_key_of_two_callers_makes_two_jobs(town: Town) -> None:
    first, again = (town.invoke(town.mine, "azureml:d:1", key="k1").json()["name"] for _ in range(2))
    assert first == again
    assert town.invoke(town.invoker, "azureml:d:1", key="k1").json()["name"] != first


def test_a_name_that_is_taken_elsewhere_is_taken_and_no_more_is_said(town: Town) -> None:
    answer = town.mine.put(f"{HERE}/batchEndpoints/end-there", json={"location": "x", "properties": {}})
    status, _, message = error(answer)
    assert status == 409
    assert "lab" not in message
    assert "workspaces/there" not in message


@pytest.mark.parametrize(
    "path", ["{}/input", "{}/open/out", "{}/open/../input", "/etc/hostname", "{}/open/into-home", "{}/home/token"]
)
def test_a_path_of_the_machine_is_the_owner_s_to_name(town: Town, path: str) -> None:
    whole = path.format(town.folder)
    put, base = town.mine.put, HERE
    tried = {
        "input": town.invoke(town.mine, whole),
        "input as a URL": town.invoke(town.mine, f"file://{whole}"),
        "output": town.invoke(town.mine, "azureml:d:1", whole),
        "model": put(f"{base}/models/x/versions/1", json={"properties": {"modelUri": whole}}),
        "code": put(f"{base}/codes/x/versions/1", json={"properties": {"codeUri": whole}}),
        "data": put(f"{base}/data/x/versions/1", json={"properties": {"dataUri": whole, "dataType": "uri_folder"}}),
        "environment": put(f"{base}/environments/x/versions/1", json={"properties": {"python": whole}}),
        "copy": town.mine.post(f"/batchpoint/v1/uploads/{DEFAULT_SUBSCRIPTION}/lab/here", json={"source": whole}),
        "datastore": put(
            f"{base}/datastores/x",
            json={
                "properties": {
                    "datastoreType": "AzureBlob",
                    "accountName": "a",
                    "containerName": "c",
                    "batchpoint": {"type": "local_folder", "path": whole},
                }
            },
        ),
    }
    assert {what: error(answer)[:2] for what, answer in tried.items()} == dict.fromkeys(
        tried, (403, "LocalPathNotAllowed")
    )
    assert "local_roots_allowed" in error(tried["input"])[2]


def test_a_folder_that_is_open_to_all_may_be_named_by_all_and_what_the_owner_registered_is_used(town: Town) -> None:
    answer = town.invoke(town.invoker, str(town.folder / "open" / "in"))
    assert answer.status_code == 201, answer.text
    assert town.invoke(town.owner, str(town.folder / "input")).status_code == 201
    # The data asset d is a folder that is not open.
    assert town.invoke(town.invoker, "azureml:d:1").status_code == 201


@pytest.mark.parametrize(
    "where",
    ["http://127.0.0.1:9000", "http://169.254.169.254", "http://[::1]:9000", "http://2130706433", "http://10.0.0.1"],
)
def test_a_datastore_of_others_leads_to_no_private_host(town: Town, where: str) -> None:
    stores = {
        "s3": {"datastoreType": "S3", "bucket": "b", "endpointUrl": where},
        "blob": {"datastoreType": "AzureBlob", "accountName": "a", "containerName": "c", "endpointUrl": where},
    }
    for name, properties in stores.items():
        path = f"{HERE}/datastores/{name}?skipValidation=true"
        refused = town.mine.put(path, json={"properties": properties})
        assert error(refused)[0] == 400, refused.text
        assert "input_hosts_allowed" in error(refused)[2]
        assert town.owner.put(path, json={"properties": properties}).status_code in (200, 201)


def test_who_made_something_stands_there_and_cannot_be_written(town: Town) -> None:
    forged = {"systemData": {"createdBy": "owner", "createdByType": "User", "createdAt": "2020-01-01T00:00:00+00:00"}}
    made = town.mine.put(f"{HERE}/batchEndpoints/end-mine", json={"location": "x", "properties": {}, **forged})
    assert made.json()["systemData"]["createdBy"] == "mine"
    assert made.json()["systemData"]["createdAt"] > "2026"
    job = town.invoke(town.mine, "azureml:d:1").json()
    assert job["properties"].get("createdBy", "mine") == "mine" or job["systemData"]["createdBy"] == "mine"


def test_a_role_that_is_taken_away_ends_at_once_what_a_job_may_do_it_goes_on_doing(town: Town) -> None:
    passing = town.callers.of("passing", "Invoker", HERE)
    assert town.invoke(passing, "azureml:d:1").status_code == 201
    principal = town.callers.store.find_principal("passing")
    assert principal is not None
    assert grants_of(town.callers.store, principal.id)
    (given,) = town.owner.get("/batchpoint/v1/assignments?principal=passing").json()["value"]
    assert town.owner.delete(f"/batchpoint/v1/assignments/{given['id']}").status_code == 200
    assert error(town.invoke(passing, "azureml:d:1"))[0] == 404
    town.callers.of("passing", "Invoker", HERE)
    assert town.invoke(passing, "azureml:d:1").status_code == 201
    assert town.owner.post("/batchpoint/v1/users/passing/disable").status_code == 200
    assert grants_of(town.callers.store, principal.id) == ()
    assert town.invoke(passing, "azureml:d:1").status_code == 401


def test_roles_in_a_workspace_end_with_it(town: Town) -> None:
    place = workspace("short-lived")
    town.owner.put(place, json={"location": "local", "properties": {}})
    before, above = town.callers.of("before", "Contributor", place), town.callers.of("above", "Reader", GROUP)
    assert before.get(place).status_code == 200
    assert town.owner.delete(place).status_code == 200
    town.owner.put(place, json={"location": "local", "properties": {}})
    assert (before.get(place).status_code, above.get(place).status_code) == (403, 200)


def test_a_signed_link_opens_its_own_path_for_reading_until_it_expires(town: Town) -> None:
    plane, nobody = town.callers.app.state.plane, httpx.Client(base_url=town.owner.base_url, transport=town.transport)
    own, other = (town.invoke(town.owner, "azureml:d:1").json()["name"] for _ in range(2))
    path = f"/history/v1.0{HERE}/runs/{{}}/logs/user_logs/std_log_0.txt"
    link = plane.links.signed(path.format(own))
    assert nobody.get(link).status_code == 200
    stale = plane.links.signed(path.format(own), lifetime_s=-1)
    bent = [
        link.replace(own, other),
        link.replace("std_log_0", "std_log_1"),
        link.replace("until=", "until=9"),
        link.partition("?")[0],
        link.replace("/logs/user_logs/std_log_0.txt", ""),
        stale,
    ]
    assert [nobody.get(one).status_code for one in bent] == [401] * len(bent)
    assert nobody.post(link).status_code == 401
    # Who may not see the workspace gets no link to begin with.
    assert town.callers.of("stranger").get(f"/history/v1.0{HERE}/runs/{own}/details").status_code == 403


@pytest.mark.parametrize(
    "between", ["%2f..%2f", "%2F..%2F", "/../", "%252f..%252f", ";/../", "//", "/./", "%00", "\uff0f..\uff0f", "/..;/"]
)
def test_a_path_that_turns_around_leads_to_no_other_workspace(town: Town, between: str) -> None:
    for path in (f"{HERE}{between}there/models/m/versions/1", f"{HERE}/models{between}m/versions/1{between}"):
        answer = town.mine.get(path)
        assert answer.status_code in (400, 401, 403, 404), answer.text


def test_a_client_of_somebody_else_uploads_although_it_is_on_the_same_machine(town: Town) -> None:
    mine, owners = (client.get("/batchpoint/v1/info").json() for client in (town.mine, town.owner))
    assert mine["host"] == ""
    assert owners["host"]
    assert owners["home"] == mine["home"]


def test_what_is_sent_piece_by_piece_is_one_tree_and_a_refusal_names_no_path_of_the_server(town: Town) -> None:
    place = f"/batchpoint/v1/uploads/{DEFAULT_SUBSCRIPTION}/lab/here/{'a' * 64}"
    send = town.invoker.put
    assert send(f"{place}/file", content=b"x").status_code == 201
    assert send(f"{place}/tree/leaf", content=b"x").status_code == 201
    told = [
        send(f"{place}/{path}", content=b"x")
        for path in ("file/leaf", "file/more/leaf", "tree", "tree/" + "n" * 256, "tree/" + "/".join(["n" * 200] * 40))
    ]
    assert [error(answer)[:2] for answer in told] == [(400, "InvalidReference")] * len(told)
    told.append(town.invoker.post(f"{place}/never-sent"))
    assert error(told[-1])[0] == 404
    assert not [answer.text for answer in told if str(town.folder) in answer.text]
    assert town.invoker.get(f"/batchpoint/v1/jobs/x/logs/logs/{'n' * 300}").status_code == 404


def test_nothing_was_left_open_for_others_on_the_disk(town: Town) -> None:
    assert os.stat(town.callers.settings.home / "audit.log").st_mode & 0o777 == 0o600
