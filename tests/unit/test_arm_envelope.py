"""What stands around a resource on the wire: its identity, the words of its path, the operation that made it."""

import pytest

from batchpoint.arm.envelope import identity, operations
from batchpoint.arm.envelope.reading import Body
from batchpoint.server.transport.canonical_paths import canonical

WORKSPACE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("system_assigned", "SystemAssigned"),
        ("SYSTEMASSIGNED", "SystemAssigned"),
        ("UserAssigned", "UserAssigned"),
        ("SystemAssigned, UserAssigned", "SystemAssigned,UserAssigned"),
        ("none", "None"),
    ],
)
def test_the_type_of_an_identity_has_one_spelling_on_the_wire(written: str, sent: str) -> None:
    assert identity.to_wire({"type": written, "principalId": "p"}) == {"type": sent, "principalId": "p"}
    again = identity.from_wire(Body({"identity": {"type": written}}))
    assert again and identity.to_wire(again) == {"type": sent}


def test_identities_of_users_are_a_list_in_files_and_a_map_on_the_wire() -> None:
    written = {"type": "user_assigned", "user_assigned_identities": [{"resource_id": "/a"}]}
    sent = {"type": "UserAssigned", "userAssignedIdentities": {"/a": {}}}
    assert (identity.to_wire(written), identity.from_wire(Body({"identity": sent}))) == (sent, written)
    assert (identity.to_wire(None), identity.from_wire(Body({}))) == (None, None)


@pytest.mark.parametrize("service", ["", "/history/v1.0", "/mferp/managementfrontend", "/data/v1.0", "/batchpoint/v1"])
def test_the_words_of_a_path_are_matched_in_any_casing_and_names_are_kept(service: str) -> None:
    rest = "/data/Data/versions/labels/latest"
    asked = f"{service}{WORKSPACE}{rest}".replace("resourceGroups", "RESOURCEGROUPS").replace("labels", "Labels")
    assert canonical(asked.replace("Microsoft.Machine", "microsoft.machine")) == f"{service}{WORKSPACE}{rest}"
    assert canonical(asked.upper()) == f"{service}{WORKSPACE}{rest}".replace("/Data/", "/DATA/").replace(
        "latest", "LATEST"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/account/box/subscriptions/x/MODELS",
        f"/batchpoint/v1{WORKSPACE}/models/m/versions/1/files/Models/JOBS",
        f"{WORKSPACE}/data/n/versions/labels",
        "/Subscription/x",
    ],
)
def test_paths_of_others_are_left_alone(path: str) -> None:
    assert canonical(path) == path


def test_a_location_is_asked_behind_a_provider_in_any_casing() -> None:
    asked = "/subscriptions/s/providers/MICROSOFT.machinelearningservices/LOCATIONS/l/operationsstatus/o"
    assert canonical(asked).endswith("/providers/Microsoft.MachineLearningServices/locations/l/operationsStatus/o")


def test_the_address_of_an_operation_is_no_property_that_is_kept() -> None:
    shown = operations.named_in({"properties": {"properties": {"own": "1"}}}, "https://h/op")
    assert shown["properties"]["properties"] == {"own": "1", "AzureAsyncOperationUri": "https://h/op"}
    assert operations.kept_properties(Body(shown["properties"])) == {"own": "1"}
