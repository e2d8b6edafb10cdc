"""What official clients need of each answer: every field without which one of their operations breaks is there."""

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_api import BASE, Api, api, deployed, deployment_body, files, invocation_body, message_of

__all__ = ["api", "deployed", "files"]

SUBSCRIPTION = BASE.partition("/resourceGroups")[0]
VERSION = "api-version=2023-04-01-preview"
BLOBS = f"{BASE}/datastores/workspaceblobstore"
SHORT = "azureml://datastores/workspaceblobstore/paths"
LATEST = "$orderBy=createdtime%20desc&$top=1"

#: Path below the workspace → what clients read of it: dotted, ``[]`` for each element of a list, ``{}`` for an object
#: that may be empty and is never null.
NEEDED = {
    "": ("location", "id", "name", "properties.discoveryUrl", "properties.mlFlowTrackingUri", "properties.workspaceId"),
    "/computes": (
        "value[].name",
        "value[].properties.computeType",
        "value[].properties.properties{}",
    ),
    "/computes/cpu": ("location", "properties.provisioningState", "properties.properties.scaleSettings{}"),
    "/models/m": ("properties.nextVersion", "properties.latestVersion"),
    f"/models/m/versions?{LATEST}": ("value[].id", "value[].properties.modelUri", "value[].properties.flavors{}"),
    "/models/m/versions/1": (
        "id",
        "name",
        "type",
        "systemData.createdAt",
        "properties.modelUri",
        "properties.flavors{}",
        "properties.tags{}",
        "properties.properties{}",
    ),
    "/environments/e": ("properties.latestVersion", "properties.nextVersion"),
    "/environments/e/versions/1": ("id", "properties{}", "properties.osType"),
    "/data/d": ("properties.latestVersion", "properties.nextVersion"),
    "/data/d/versions/1": ("id", "properties.dataUri", "properties.dataType", "systemData.createdAt"),
    "/datasets/d/versions/1": ("id", "properties.paths[].folder"),
    "/codes/c/versions/1": ("id", "properties.codeUri", "properties.properties{}"),
    "/datastores/workspaceblobstore": (
        "id",
        "name",
        "properties.datastoreType",
        "properties.credentials.credentialsType",
    ),
    "/datastores?isDefault=true&count=30&orderByAsc=false": (
        "value[].id",
        "value[].name",
        "value[].properties.credentials.credentialsType",
    ),
    "/batchEndpoints": ("value[].name", "value[].properties.defaults{}", "value[].properties.scoringUri"),
    "/batchEndpoints/ep1": (
        "id",
        "name",
        "location",
        "systemData.createdBy",
        "properties.scoringUri",
        "properties.defaults.deploymentName",
        "properties.properties{}",
        "properties.provisioningState",
        "properties.authMode",
        "tags{}",
    ),
    "/batchEndpoints/ep1/deployments": ("value[].id", "value[].name", "value[].properties{}"),
    "/batchEndpoints/ep1/deployments/dp1": (
        "id",
        "name",
        "location",
        "properties.model.assetId",
        "properties.model.referenceType",
        "properties.codeConfiguration.scoringScript",
        "properties.compute",
        "properties.resources.instanceCount",
        "properties.errorThreshold",
        "properties.loggingLevel",
        "properties.maxConcurrencyPerInstance",
        "properties.miniBatchSize",
        "properties.outputAction",
        "properties.outputFileName",
        "properties.retrySettings.maxRetries",
        "properties.retrySettings.timeout",
        "properties.environmentVariables{}",
        "properties.properties{}",
        "properties.provisioningState",
    ),
    "/jobs": ("value[].name", "value[].properties.jobType", "value[].properties.status"),
    "/jobs/j1": (
        "id",
        "name",
        "properties.jobType",
        "properties.status",
        "properties.services{}",
        "properties.properties{}",
        "properties.tags{}",
        "properties.experimentName",
    ),
    "/batchEndpoints/ep1/jobs/j1": (
        "id",
        "name",
        "type",
        "properties.status",
        "properties.provisioningState",
        "properties.interactionEndpoints{}",
        "properties.inputData{}",
        "properties.outputData{}",
        "properties.output{}",
    ),
}


def found(answer: Any, path: str) -> Any:
    """What stands at a path of ``NEEDED``; fails where it is missing, null, or not of that kind."""
    for part in path.split("."):
        key = part.removesuffix("[]").removesuffix("{}")
        assert isinstance(answer, dict) and key in answer, f"{path}: no {key}"
        answer = answer[key]
        assert answer is not None, f"{path}: {key} is null"
        if part.endswith("[]"):
            assert isinstance(answer, list) and answer, f"{path}: {key} is no list with elements"
            answer = answer[0]
        if part.endswith("{}"):
            assert isinstance(answer, dict), f"{path}: {key} is no object"
    return answer


def objects_that_are_null(value: Any, at: str = "") -> list[str]:
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in objects_that_are_null(inner, f"{at}.{key}")]
    if isinstance(value, list):
        return [one for inner in value for one in objects_that_are_null(inner, f"{at}[]")]
    return [at] if value is None else []


@pytest.fixture
def stocked(deployed: Api, files: Path) -> Api:
    """``deployed`` with one of everything else."""
    deployed.put(f"{BASE}/environments/e/versions/1", {"properties": {"image": "i", "condaFile": "{}"}})
    deployed.put(f"{BASE}/data/d/versions/1", {"properties": {"dataUri": str(files / "in"), "dataType": "uri_folder"}})
    deployed.post("/endpoints/ep1/jobs", invocation_body("azureml:d:1", name="j1"))
    return deployed


def test_every_field_that_clients_need_is_there_and_nothing_is_null(stocked: Api) -> None:
    for path, needed in NEEDED.items():
        joint = "&" if "?" in path else "?"
        answer = stocked.get(f"{BASE}{path}{joint}{VERSION}")
        for one in needed:
            assert found(answer, one) not in ("", []), f"{path}: {one} is empty"
        assert objects_that_are_null(answer) == [], path


def test_any_date_and_none_is_taken_as_the_version_of_the_interface(stocked: Api) -> None:
    for version in (
        "",
        "?api-version=2021-10-01",
        "?api-version=2025-12-01",
        "?API-VERSION=2020-09-01-dataplanepreview",
    ):
        assert stocked.get(f"{BASE}/batchEndpoints/ep1{version}")["name"] == "ep1"


# Operations


def test_what_is_put_names_its_operation_and_the_operation_has_succeeded(stocked: Api, files: Path) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "batchEndpoints/ep1": {"properties": {"properties": {"own": "1"}}},
        "batchEndpoints/ep1/deployments/dp1": deployment_body(),
        "computes/cpu": {"properties": {"computeType": "AmlCompute"}},
        "models/m/versions/1": {"properties": {"modelUri": str(files / "model")}},
        "datasets/n/versions/1": {"properties": {"paths": [{"folder": str(files / "in")}]}},
        "codes/c/versions/1": {"properties": {"codeUri": str(files / "code")}},
        "environments/e/versions/1": {"properties": {"image": "i", "condaFile": "{}"}},
    }
    for path, body in bodies.items():
        answer = stocked.http.put(f"{BASE}/{path}", json=body)
        uri = answer.json()["properties"]["properties"]["AzureAsyncOperationUri"]
        assert answer.headers["azure-asyncoperation"] == uri, path
        assert answer.headers["x-ms-async-operation-timeout"] == "PT1H"
        asked = stocked.http.get(uri)
        assert (asked.status_code, asked.json()["status"], asked.headers["retry-after"]) == (200, "Succeeded", "1")
        # It is no property of the resource, even when somebody sends back what was answered.
        stocked.put(f"{BASE}/{path}", answer.json(), 200)
        kept = stocked.get(f"{BASE}/{path}")["properties"].get("properties", {})
        assert "AzureAsyncOperationUri" not in kept, path


def test_only_operations_that_were_named_are_known(stocked: Api) -> None:
    answer = stocked.http.patch(f"{BASE}/batchEndpoints/ep1", json={"tags": {"a": "b"}}).json()
    uri = answer["properties"]["properties"]["AzureAsyncOperationUri"]
    stocked.get(uri)
    other = uri.replace("/subscriptions/sub/", "/subscriptions/other/")
    for wrong in (uri.replace("?", "0?"), other, uri.rpartition("/")[0] + "/x"):
        assert "no operation" in message_of(stocked.get(wrong, 404))


# Subscriptions


def test_a_subscription_is_listed_with_its_tenant_and_its_providers(api: Api) -> None:
    listed = api.get("/subscriptions?api-version=2022-12-01")["value"]
    assert [one["subscriptionId"] for one in listed] == ["00000000-0000-0000-0000-000000000000", "sub"]
    (tenant,) = api.get("/tenants")["value"]
    for one in listed:
        assert {"id", "tenantId", "displayName", "state"} <= one.keys()
        assert one["tenantId"] == tenant["tenantId"]
        assert api.get(one["id"]) == one
    assert api.get(f"{SUBSCRIPTION}/locations")["value"][0]["name"] == "local"
    names = [one["namespace"] for one in api.get(f"{SUBSCRIPTION}/providers")["value"]]
    assert "Microsoft.MachineLearningServices" in names
    one = api.get(f"{SUBSCRIPTION}/providers/microsoft.machinelearningservices")
    assert one["registrationState"] == "Registered"
    api.get(f"{SUBSCRIPTION}/providers/Microsoft.Compute", 404)


def test_workspaces_of_several_groups_keep_what_they_have_to_themselves(api: Api) -> None:
    places = [f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices" for group in "ab"]
    for place in places:
        api.put(f"{place}/workspaces/same", {"location": "x", "tags": {"t": "1"}})
        api.put(f"{place}/workspaces/same/computes/cpu", {"properties": {"computeType": "AmlCompute"}})
        api.put(f"{place}/workspaces/same/environments/e/versions/1", {"properties": {"image": place}})
    changed = api.answered(api.http.patch(f"{places[0]}/workspaces/same", json={"tags": {"t": "2"}}), 200)
    assert changed["tags"] == {"t": "2"}
    assert api.get(f"{places[1]}/workspaces/same")["tags"] == {"t": "1"}
    assert api.http.delete(f"{places[0]}/workspaces/same").status_code == 200
    assert api.http.delete(f"{places[0]}/workspaces/same").status_code == 204
    api.get(f"{places[0]}/workspaces/same/computes/cpu", 404)
    assert api.get(f"{places[1]}/workspaces/same/computes/cpu")["name"] == "cpu"
    image = api.get(f"{places[1]}/workspaces/same/environments/e/versions/1")["properties"]["image"]
    assert image == places[1]
    groups = [one["name"] for one in api.get(f"{SUBSCRIPTION}/resourcegroups")["value"]]
    assert {"a", "b"} <= set(groups)


def test_a_group_is_asked_for_changed_and_deleted_when_it_holds_nothing(api: Api) -> None:
    path = f"{SUBSCRIPTION}/resourceGroups/mine"
    assert api.http.head(path).status_code == 404
    api.put(path, {"location": "x"})
    assert api.http.head(path).status_code == 204
    assert api.answered(api.http.patch(path, json={"tags": {"a": "b"}}), 200)["tags"] == {"a": "b"}
    place = f"{path}/providers/Microsoft.MachineLearningServices/workspaces/inner"
    made = api.put(place, {"location": "x"})
    account = made["properties"]["storageAccount"]
    keys = api.post(f"{account}/listKeys", {}, 200)["keys"]
    assert api.post(f"{place}/listStorageAccountKeys", {}, 200)["userStorageKey"] == keys[0]["value"]
    assert "holds the workspace inner" in message_of(api.answered(api.http.delete(path), 409))
    api.http.delete(place)
    assert [api.http.delete(path).status_code for _ in range(2)] == [200, 204]
    assert api.http.delete(f"{SUBSCRIPTION}/resourceGroups/default").status_code == 409


def test_there_are_no_components_and_a_deployment_of_one_says_what_to_do(api: Api) -> None:
    assert api.get(f"{BASE}/components")["value"] == []
    assert "Deploy a model" in message_of(api.put(f"{BASE}/components/c/versions/1", {"properties": {}}, 400))
    api.get(f"{BASE}/components/c/versions/1", 404)
    api.put(f"{BASE}/computes/cpu", {"properties": {"computeType": "AmlCompute"}})
    assert api.post(f"{BASE}/computes/cpu/listKeys", {}, 200) == {"computeType": "AmlCompute"}
    api.post(f"{BASE}/computes/cpu/resize", {}, 404)


# Assets


def test_an_environment_is_answered_as_clients_choose_versions_by(api: Api) -> None:
    first, second = ({"properties": {"image": image, "condaFile": "{}"}} for image in "ab")
    path = f"{BASE}/environments/e"
    api.get(path, 404)
    api.put(f"{path}/versions/1", first)
    api.put(f"{path}/versions/1", first, 200)
    api.put(f"{path}/versions/1", second, 409)
    nxt = api.get(path)["properties"]["nextVersion"]
    assert nxt == "2"
    api.put(f"{path}/versions/{nxt}", second)
    assert api.get(path)["properties"]["latestVersion"] == "2"


def test_an_environment_needs_its_interpreter_when_it_is_registered(api: Api, tmp_path: Path) -> None:
    python, path = tmp_path / "python", f"{BASE}/environments/e/versions/1"
    body = {"properties": {"python": str(python)}}
    assert "no interpreter or folder" in message_of(api.put(path, body, 404))
    api.get(path, 404)
    python.touch()
    made = api.put(path, body)
    python.unlink()
    made["properties"]["isArchived"] = True
    assert api.put(path, made, 200)["properties"]["isArchived"] is True


def test_lists_of_versions_are_ordered_cut_and_chosen(api: Api) -> None:
    for version, tags in (("1", {"a": "x"}), ("2", {"a": "y", "b": ""}), ("10", {})):
        body = {
            "image": "i",
            "tags": {key: value or "z" for key, value in tags.items()},
            "description": f"No {version}",
        }
        api.put(f"{BASE}/environments/e/versions/{version}", {"properties": body})

    def listed(query: str) -> list[str]:
        return [one["name"] for one in api.get(f"{BASE}/environments/e/versions?{query}")["value"]]

    assert listed("") == listed("$orderBy=createdtime desc") == ["10", "2", "1"]
    assert listed("$orderBy=createdtime asc") == ["1", "2", "10"]
    assert listed(LATEST) == ["10"]
    assert listed("$top=1&$skip=1") == ["2"]
    assert (listed("$tags=a"), listed("tags=a=y,b"), listed("$tags=c")) == (["2", "1"], ["2"], [])
    assert (listed("version=2"), listed("description=no%2010")) == (["2"], ["10"])
    assert listed("listViewType=archivedonly") == []
    pages = api.get(f"{BASE}/environments/e/versions?$top=2&{VERSION}")
    assert [one["name"] for one in api.get(pages["nextLink"])["value"]] == ["1"]
    assert "api-version" in pages["nextLink"]


def test_a_dataset_of_2021_is_data_under_both_names(deployed: Api, files: Path) -> None:
    body = '{"properties": {"paths": [{"folder": "%s",},],},}' % (files / "in")
    made = deployed.put(f"{BASE}/datasets/old/versions/1", body)
    assert made["properties"]["paths"] == [{"folder": str(files / "in")}]
    same = deployed.get(f"{BASE}/data/old/versions/labels/latest")
    assert (same["id"], same["properties"]["dataType"]) == (f"{BASE}/data/old/versions/1", "uri_folder")
    one = {"properties": {"Paths": [{"File": str(files / "in/a.txt")}]}}
    assert deployed.put(f"{BASE}/data/one/versions/1", one)["properties"]["dataType"] == "uri_file"
    assert deployed.get(f"{BASE}/datasets/one/versions/1")["properties"]["paths"] == [{"file": str(files / "in/a.txt")}]
    for form in (
        {"dataInputType": "DatasetVersion", "datasetName": "old", "datasetVersion": "1"},
        {"DataInputType": "datasetid", "DatasetId": f"{BASE}/datasets/old/versions/1"},
        {"dataInputType": "DataUrl", "Path": f"azureml:/{BASE}/data/old/versions/1"},
    ):
        name = deployed.post("/endpoints/ep1/jobs", {"properties": {"dataset": form}})["name"]
        job = deployed.store.find_job(name)
        assert job and (job.settings.input.path, job.settings.input.type) == (str(files / "in"), "uri_folder")


def test_a_tabular_dataset_is_refused_with_what_to_do(api: Api) -> None:
    for properties in (
        {"datasetType": "Tabular", "paths": [{"folder": "/x"}]},
        {"dataType": "tabular", "dataUri": "/x"},
        {"paths": [{"pattern": "/x/*.csv"}]},
    ):
        refused = api.put(f"{BASE}/datasets/t/versions/1", {"properties": properties}, 400)
        assert "read the table in the scoring script" in message_of(refused)


# Bodies as they come


def test_a_deployment_is_read_whatever_its_spelling_and_answered_with_every_default(deployed: Api) -> None:
    path = f"{BASE}/batchEndpoints/ep1/deployments/odd"
    sent = (
        '{"Location": "x", "Properties": {"Model": {"ReferenceType": "id", "AssetId": "azureml:m:1",},'
        f'"CodeConfiguration": {{"CodeId": "{BASE}/codes/c/versions/1", "ScoringScript": "score.py"}},'
        '"Compute": "azureml:cpu",'
        '"MaxConcurrencyPerInstance": "4", "ErrorThreshold": "10", "MiniBatchSize": "5", "LoggingLevel": "INFO",'
        '"OutputAction": "appendRow", "RetrySettings": {"MaxRetries": "2", "Timeout": "PT1M30S",},'
        '"NobodyKnows": [1, 2, ],},}'
    )
    made = deployed.put(path, sent)["properties"]
    assert (made["maxConcurrencyPerInstance"], made["errorThreshold"], made["miniBatchSize"]) == (4, 10, 5)
    assert made["retrySettings"] == {"maxRetries": 2, "timeout": "PT1M30S"}
    assert (made["loggingLevel"], made["outputAction"]) == ("Info", "AppendRow")
    assert (made["resources"]["instanceCount"], made["outputFileName"]) == (1, "predictions.csv")
    loud = deployment_body(outputAction="SUMMARYONLY", loggingLevel="WARNING")
    assert deployed.put(path, loud, 200)["properties"]["outputAction"] == "SummaryOnly"


def test_what_is_wrong_is_listed_as_clients_parse_it(deployed: Api) -> None:
    refused = deployed.put(f"{BASE}/batchEndpoints/ep1", {"tags": {"a": ""}}, 400)["error"]
    assert refused["code"] == "UserError"
    assert 'Errors: [{"PropertyName": ' in refused["message"]
    assert refused["details"][0]["target"] == "properties.tags.a"


def test_an_error_of_the_data_plane_says_where_and_when(deployed: Api) -> None:
    body = {"properties": {"inputData": {"x": {"jobInputType": "Literal", "value": "{a}"}}}}
    answer = deployed.post("/endpoints/ep1/jobs", body, 400)
    assert "UriFileJobInput, UriFolderJobInput" in answer["error"]["message"]
    more = {"severity", "messageFormat", "messageParameters", "referenceCode", "detailsUri", "innerError", "debugInfo"}
    assert more <= answer["error"].keys()
    assert {"correlation", "environment", "location", "time", "componentName"} <= answer.keys()
    assert answer["correlation"]["request"]
    assert set(deployed.post(f"{BASE}/batchEndpoints/ep1/jobs", body, 400)) == {"error"}


#: One folder, which is also the data asset ``in``.
SPELLINGS = (
    "azureml://datastores/workspaceblobstore/paths/in/",
    "azureml://subscriptions/sub/resourcegroups/group/workspaces/ws/datastores/workspaceblobstore/paths/in",
    f"{BASE}/datastores/workspaceblobstore/paths/in",
    f"azureml:{BASE}/datastores/workspaceblobstore/paths/in/",
    f"{BASE}/data/in/versions/1",
    f"azureml:{BASE}/data/in/versions/1",
    f"{BASE}/data/in/labels/latest",
    "azureml://locations/local/workspaces/ws/data/in/versions/labels/latest",
    "azureml://locations/local/workspaces/ws/data/in/versions/1",
    "azureml://subscriptions/sub/resourceGroups/group/workspaces/ws/data/in/versions/1",
    "azureml://data/in/versions/1",
    "azureml:in@latest",
    "azureml:/in@latest",
    "azureml:in:1",
)


def test_an_input_leads_to_the_same_folder_in_every_spelling(deployed: Api) -> None:
    folder = Path(deployed.blobs) / "in"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    place = "azureml://datastores/workspaceblobstore/paths/in/"
    deployed.put(f"{BASE}/data/in/versions/1", {"properties": {"dataUri": place, "dataType": "uri_folder"}})
    for uri in SPELLINGS:
        for body in (
            invocation_body(uri),
            {"Properties": {"InputData": {"any": {"JobInputType": "uriFolder", "Uri": uri}}}},
            {"PROPERTIES": {"INPUTDATA": {"any": {"JOBINPUTTYPE": "URIFOLDER", "URI": uri}}}},
            {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": uri}}},
        ):
            job = deployed.store.find_job(deployed.post("/endpoints/ep1/jobs", body)["name"])
            assert job and (job.settings.input.path, job.settings.input.type) == (str(folder), "uri_folder"), uri


#: Properties, and the folder and the file that they mean.
OUTPUTS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"outputDataset": {"datastoreId": BLOBS, "path": "/o/p/"}}, "o/p", "predictions.csv"),
    ({"OutputDataset": {"DatastoreId": BLOBS, "Path": "o"}, "OutputFileName": "x"}, "o", "x"),
    ({"outputData": {"a": {"jobOutputType": "UriFile", "uri": f"{SHORT}/o/y.csv"}}}, "o", "y.csv"),
    ({"OutputData": {"a": {"JobOutputType": "UriFile", "Uri": f"{BLOBS}/paths/o/q/y.csv"}}}, "o/q", "y.csv"),
    (
        {
            "outputData": {"a": {"jobOutputType": "UriFolder", "uri": f"azureml:{BLOBS}/paths/o"}},
            "outputFileName": "z.csv",
        },
        "o",
        "z.csv",
    ),
)


def test_an_output_is_found_in_every_form(deployed: Api, files: Path) -> None:
    for properties, folder, name in OUTPUTS:
        answer = deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in", **properties))
        job = deployed.store.find_job(answer["name"])
        assert job is not None
        assert job.settings.output_folder == str(Path(deployed.blobs) / folder)
        assert job.settings.output_file_name == name


def test_job_settings_of_data_pipelines_are_overrides_too(deployed: Api, files: Path) -> None:
    settings = {"MiniBatchSize": "7", "ComputeInstanceCount": "2", "name": "piped"}
    deployed.post("/endpoints/ep1/jobs", invocation_body(files / "in", **settings))
    job = deployed.store.find_job("piped")
    assert job and (job.settings.mini_batch_size, job.settings.instance_count) == (7, 2)


# What is deleted and replaced


def test_putting_an_endpoint_without_defaults_leaves_none(deployed: Api) -> None:
    path = f"{BASE}/batchEndpoints/ep1"
    again = deployed.put(path, {"properties": {"authMode": "aadToken"}}, 200)
    assert again["properties"]["defaults"] == {}
    deployed.put(path, {"properties": {"defaults": {"deploymentName": "dp1"}}}, 200)
    assert deployed.get(path)["properties"]["defaults"] == {"deploymentName": "dp1"}
    for missing in ("put", "patch"):
        sent = {"properties": {"defaults": {"deploymentName": "nobody"}}}
        refused = deployed.answered(getattr(deployed.http, missing)(path, json=sent), 400)
        assert "no deployment nobody" in message_of(refused)


def test_an_endpoint_has_keys_that_open_nothing(deployed: Api) -> None:
    keys = deployed.post(f"{BASE}/batchEndpoints/ep1/listkeys", {}, 200)
    assert keys == {"primaryKey": "", "secondaryKey": ""}
    deployed.post(f"{BASE}/batchEndpoints/nobody/listKeys", {}, 404)


def test_a_compute_is_deleted_whatever_is_to_become_of_its_machines(api: Api) -> None:
    for name, query in (
        ("one", ""),
        ("two", "?underlyingResourceAction=Delete"),
        ("six", "?underlyingResourceAction=Detach"),
    ):
        api.put(f"{BASE}/computes/{name}", {"properties": {"computeType": "AmlCompute"}})
        assert api.http.delete(f"{BASE}/computes/{name}{query}").status_code == 200
        assert api.http.delete(f"{BASE}/computes/{name}{query}").status_code == 204
