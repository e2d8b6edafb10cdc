"""Every route, every role, in the caller's own workspace, in another one and in none: allowed or refused as written."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from batchpoint.arm.assets import KIND
from batchpoint.arm.envelope import ids
from batchpoint.entities.data import Input
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.workspace import Workspace
from batchpoint.server.identity.actions import Need, Place, filled, need_of
from batchpoint.server.identity.openings import is_open_route
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from tests.callers import Callers, callers_on, every_route, workspace

ROLES = {"R": "Reader", "I": "Invoker", "D": "AzureML Data Scientist", "C": "Contributor", "O": "Owner"}
#: Action, after the provider → the roles that allow it. A route with another action has to be entered here.
ALLOWED = {
    "read": "RIDCO",
    "write": "CO",
    "delete": "CO",
    "diagnose/action": "DCO",
    "listKeys/action": "CO",
    "resyncKeys/action": "DCO",
    "batchEndpoints/read": "RIDCO",
    "batchEndpoints/write": "DCO",
    "batchEndpoints/delete": "DCO",
    "batchEndpoints/listKeys/action": "DCO",
    "batchEndpoints/jobs/write": "IDCO",
    "batchEndpoints/deployments/read": "RIDCO",
    "batchEndpoints/deployments/write": "DCO",
    "batchEndpoints/deployments/delete": "DCO",
    "batchEndpoints/deployments/jobs/write": "IDCO",
    "components/read": "RDCO",
    "components/write": "DCO",
    "computes/read": "RIDCO",
    "computes/write": "CO",
    "computes/delete": "CO",
    "computes/listKeys/action": "CO",
    "computes/listNodes/action": "DCO",
    "computes/x1/action": "DCO",
    "data/write": "DCO",
    "data/delete": "DCO",
    "data/versions/write": "IDCO",
    "data/versions/delete": "DCO",
    "datasets/registered/read": "RIDCO",
    "datasets/registered/write": "DCO",
    "datasets/registered/delete": "DCO",
    "datastores/read": "RIDCO",
    "datastores/write": "DCO",
    "datastores/delete": "DCO",
    "datastores/listSecrets/action": "DCO",
    "environments/read": "RDCO",
    "environments/write": "DCO",
    "environments/delete": "DCO",
    "experiments/runs/read": "RIDCO",
    "experiments/runs/write": "DCO",
    "jobs/cancel/action": "DCO",
    "jobs/delete": "DCO",
    "listStorageAccountKeys/action": "DCO",
    "metadata/snapshots/read": "RDCO",
    "metadata/artifacts/write": "DCO",
    "codes/delete": "DCO",
    "models/read": "RDCO",
    "models/write": "DCO",
    "models/delete": "DCO",
    "Microsoft.MachineLearningServices/locations/quotas/read": "RCO",
    "Microsoft.MachineLearningServices/locations/usages/read": "RCO",
    "Microsoft.Resources/subscriptions/resourceGroups/read": "RIDCO",
    "Microsoft.Resources/subscriptions/resourceGroups/write": "CO",
    "Microsoft.Resources/subscriptions/resourceGroups/delete": "CO",
    "Microsoft.Resources/subscriptions/resourceGroups/deployments/operations/read": "RCO",
    "Microsoft.Resources/deployments/write": "CO",
    "Microsoft.Authorization/audit/read": "RCO",
    "Microsoft.Authorization/keys/write": "O",
    "Microsoft.Authorization/principals/read": "RCO",
    "Microsoft.Authorization/principals/write": "O",
    "Microsoft.Authorization/roleDefinitions/write": "O",
}
_PREFIX = "Microsoft.MachineLearningServices/workspaces/"
OWN, OTHER, NONE = "own", "other", "nowhere"
#: Deletes what the other rows are about, or takes as long as a key takes to draw: asked last.
LAST = {("DELETE", "workspaces/{workspace}"), ("POST", "rotate")}

Route = tuple[str, str, Need]


def decided() -> list[Route]:
    """Every route that is not open, once for each kind that it is about, with what it needs."""
    found = []
    for method, template in every_route():
        for kind in KIND if "{segment}" in template else ("",):
            whole = filled(template, {"segment": kind, "verb": "x1"})
            if not is_open_route(method, template):
                need = need_of(method, whole)
                assert need is not None
                found.append((method, whole, need))
    return sorted(found, key=lambda row: any(row[0] == m and row[1].endswith(end) for m, end in LAST))


ROUTES = decided()


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    home: Path = tmp_path_factory.mktemp("who") / "home"
    home.mkdir(mode=0o700)
    with callers_on(home) as found:
        for name in (OWN, OTHER):
            assert found.owner.put(workspace(name), json={"location": "local"}).status_code == 201
            settle(found, name)
        for letter, role in ROLES.items():
            found.of(f"{letter}-here", role, workspace(OWN))
            found.of(f"{letter}-everywhere", role, "/")
        found.of("nobody")
        yield found


def settle(callers: Callers, name: str) -> None:
    """An endpoint and a job in the workspace, both called after it."""
    place = Workspace(DEFAULT_SUBSCRIPTION, "lab", name)
    callers.store.put_endpoint(place.key, Endpoint(name=f"end-{name}", id=ids.endpoint_id(place, f"end-{name}")))
    settings = JobSettings(code_path="/c", scoring_script="s.py", input=Input(path="/i"), output_folder=f"/o/{name}")
    job = Job(
        name=f"job-{name}",
        id=ids.job_id(place, f"job-{name}"),
        endpoint_name=f"end-{name}",
        deployment_name="d",
        compute="c",
        settings=settings,
    )
    callers.store.create_job(place.key, job)


def path_of(template: str, need: Need, where: str) -> str:
    values = {"subscription": DEFAULT_SUBSCRIPTION, "group": "lab", "workspace": where}
    if need.place is Place.ENDPOINT:
        values["endpoint"] = f"end-{where}"
    if need.place is Place.JOB:
        values["job"] = f"job-{where}"
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: values.get(found[1], "x1"), template)


def letters_for(need: Need) -> str:
    return ALLOWED[need.action.removeprefix(_PREFIX)]


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["error"]["code"] == "AuthorizationFailed"


def about_a_workspace(template: str) -> bool:
    return "{workspace}" in template


def test_every_action_of_a_route_is_decided_for_every_role() -> None:
    actions = {need.action.removeprefix(_PREFIX) for _, _, need in ROUTES if need.place is not Place.CALLER}
    assert actions - ALLOWED.keys() == set(), "say which roles allow it"
    assert ALLOWED.keys() - actions == set(), "no route needs this any more"


@pytest.mark.parametrize("letter", ROLES)
def test_a_role_in_a_workspace_allows_there_what_is_written_and_nothing_elsewhere(
    callers: Callers, letter: str
) -> None:
    client, wrong = callers.of(f"{letter}-here"), []
    for method, template, need in ROUTES:
        if need.place is Place.CALLER or (method, template) == ("DELETE", workspace("{workspace}")):
            continue
        for where in (OWN, OTHER, NONE) if letter == "O" else (OWN, OTHER):
            answer = client.request(method, path_of(template, need, where))
            by_name = need.place in (Place.ENDPOINT, Place.JOB)
            if where == OWN and (about_a_workspace(template) or by_name):
                is_right = refused(answer) == (letter not in letters_for(need)) and answer.status_code != 401
            else:
                # Of a noun that is asked for by its name alone nobody learns that it exists.
                is_right = answer.status_code == 404 if by_name else refused(answer)
            if not is_right:
                wrong.append((method, template, where, answer.status_code))
            if method == "DELETE" and template.endswith("/workspaces/{workspace}") and where == OWN:
                assert callers.owner.put(workspace(OWN), json={}).status_code in (200, 201)
                restore(callers)
    assert not wrong


def restore(callers: Callers) -> None:
    place = Workspace(DEFAULT_SUBSCRIPTION, "lab", OWN)
    callers.store.put_endpoint(place.key, Endpoint(name=f"end-{OWN}", id=ids.endpoint_id(place, f"end-{OWN}")))
    for letter, role in ROLES.items():
        callers.of(f"{letter}-here", role, workspace(OWN))


@pytest.mark.parametrize("letter", ROLES)
def test_a_role_on_the_whole_server_allows_what_is_about_the_whole_server(callers: Callers, letter: str) -> None:
    client, wrong = callers.of(f"{letter}-everywhere"), []
    for method, template, need in ROUTES:
        if need.place is Place.CALLER or about_a_workspace(template) or need.place in (Place.ENDPOINT, Place.JOB):
            continue
        answer = client.request(method, path_of(template, need, OWN))
        if refused(answer) == (letter in letters_for(need)):
            wrong.append((method, template, answer.status_code))
    assert not wrong


def test_who_has_no_role_sees_nothing_and_may_nothing(callers: Callers) -> None:
    client, wrong = callers.of("nobody"), []
    for method, template, need in ROUTES:
        answer = client.request(method, path_of(template, need, OWN))
        if need.place is Place.CALLER:
            # What such a route answers is the caller's own, or refused by what stands in the request.
            told = re.search(r"(end|job)-own|workspaces/own|Groups/lab\"", answer.text)
            is_right = answer.status_code < 500 and not told
        else:
            is_right = answer.status_code == 404 if need.place in (Place.ENDPOINT, Place.JOB) else refused(answer)
        if not is_right:
            wrong.append((method, template, answer.status_code, answer.text[:200]))
    assert not wrong


def test_a_refusal_names_who_what_where_and_the_command_that_would_allow_it(callers: Callers) -> None:
    answer = callers.of("I-here").put(f"{workspace(OWN)}/models/m/versions/1", json={})
    message = answer.json()["error"]["message"]
    assert message.startswith("I-here (object id ")
    assert f"Microsoft.MachineLearningServices/workspaces/models/write at {workspace(OWN)}" in message
    assert message.endswith(f"--role 'AzureML Data Scientist' --scope {workspace(OWN)}")
