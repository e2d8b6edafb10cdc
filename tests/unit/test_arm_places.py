"""Workspaces, groups and edits of jobs on the wire: there and back; and PATCH bodies laid over what stands."""

import json
from typing import Any

import pytest

from batchpoint.arm import job, workspace
from batchpoint.arm.envelope.reading import Body
from batchpoint.entities.job import JobEdit, job_of_step
from batchpoint.entities.workspace import Workspace
from batchpoint.entities.workspace_record import ResourceGroup, WorkspaceRecord
from batchpoint.errors import ValidationFailed

PATH = Workspace("sub", "Group", "vision")


def travelled(sent: dict[str, Any]) -> Body:
    return Body(json.loads(json.dumps(sent)))


def test_a_workspace_comes_back_as_it_went() -> None:
    record = WorkspaceRecord(
        name="vision",
        resource_group="Group",
        location="here",
        display_name="Vision",
        description="d",
        tags={"a": "b"},
        hbi_workspace=True,
        storage_account="/subscriptions/s/x",
        identity={"type": "system_assigned"},
    )
    read = workspace.from_json(travelled(workspace.to_json(record, PATH)))
    assert read == record.model_copy(update={"id": PATH.arm_id})


def test_an_answer_about_a_workspace_says_where_its_services_are() -> None:
    sent = workspace.to_json(WorkspaceRecord(name="vision", resource_group="Group"), PATH, "http://localhost:1")
    assert (sent["name"], sent["id"]) == ("vision", PATH.arm_id)
    assert sent["properties"]["discoveryUrl"] == "http://localhost:1/discovery"
    assert workspace.from_json(travelled(sent)).provisioning_state == "Succeeded"


def test_the_names_of_a_request_are_those_of_its_url() -> None:
    read = workspace.from_json(Body({"name": "other", "LOCATION": "x"}), "vision", "Group")
    assert (read.name, read.resource_group, read.location) == ("vision", "Group", "x")


def test_a_group_comes_back_as_it_went() -> None:
    group = ResourceGroup(name="lab", location="here", tags={"a": "b"})
    read = workspace.group_from_json(travelled(workspace.group_to_json(group, "sub")))
    assert read == group.model_copy(update={"id": "/subscriptions/sub/resourceGroups/lab"})


def test_an_edit_of_a_job_comes_back_and_names_only_what_it_changes() -> None:
    before = JobEdit(display_name="One", description="d", tags={"a": "b"}, properties={"p": "1"})
    after = JobEdit(display_name="Two", description="", tags={}, properties={"p": "2"})
    assert job.edit_from_json(travelled(job.edit_to_json(after)), before) == after
    assert job.edit_from_json(Body({"properties": {"DisplayName": "Two"}}), before) == before.model_copy(
        update={"display_name": "Two"}
    )
    assert job.edit_from_json(Body({}), before) == before
    with pytest.raises(ValidationFailed, match="a tag needs a value"):
        job.edit_from_json(Body({"properties": {"tags": {"a": ""}}}), before)


@pytest.mark.parametrize(
    ("under", "above", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"miniBatchSize": 1}, {"MiniBatchSize": 2}, {"miniBatchSize": 2}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": 1}, {"a": None}, {"a": None}),
    ],
)
def test_a_patch_lies_over_what_stands(under: dict[str, Any], above: dict[str, Any], merged: dict[str, Any]) -> None:
    found = Body(under).overlaid(Body(above))
    assert {name: found.raw(name) for name in found.names()} == merged


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("j-batchscoring", "j"),
        ("a-b-batchscoring", "a-b"),
        ("-batchscoring", None),
        ("batchscoring", None),
        ("j", None),
    ],
)
def test_the_name_of_a_step_leads_to_its_job(name: str, parent: str | None) -> None:
    assert job_of_step(name) == parent


@pytest.mark.parametrize(("group", "name", "is_default"), [("default", "DEFAULT", True), ("g", "default", False)])
def test_one_workspace_of_a_subscription_is_the_default_one(group: str, name: str, is_default: bool) -> None:
    assert Workspace("any", group, name).is_default == is_default
