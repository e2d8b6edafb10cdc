"""Where clients have sent files, they name again by address: this server's own blobs are places like any other."""

from pathlib import Path

from batchpoint.entities.workspace import Workspace
from batchpoint.storage.accounts.account import account_of, opened
from tests.acceptance.test_api import BASE, WS, Api, api, deployed, files, invocation_body, message_of

__all__ = ["api", "deployed", "files"]


def test_the_address_of_an_own_blob_is_the_place_where_it_lies(deployed: Api) -> None:
    name = account_of(deployed.home, WS).name
    folder = Path(deployed.blobs) / "sent"
    folder.mkdir(parents=True)
    (folder / "score.py").write_text("def init(): pass\n")
    for number, host in enumerate((f"https://localhost:8443/{name}", f"https://{name}.blob.core.windows.net")):
        address = f"{host}/azureml-blobstore/sent"
        made = deployed.put(f"{BASE}/codes/c{number}/versions/1", {"properties": {"codeUri": f"{address}?sig=x"}})
        assert "LocalUpload" in made["properties"]["codeUri"]
        answer = deployed.post("/endpoints/ep1/jobs", invocation_body(f"{address}/"))
        job = deployed.store.find_job(answer["name"])
        assert job and job.settings.input.path == str(folder)


def test_an_address_leads_neither_out_of_its_container_nor_to_an_account_that_nobody_has(deployed: Api) -> None:
    name = account_of(deployed.home, WS).name
    for path in ("azureml-blobstore/../../../token", "azureml-blobstore/%2e%2e/%2e%2e/token"):
        refused = deployed.post("/endpoints/ep1/jobs", invocation_body(f"https://localhost/{name}/{path}"), 400)
        assert "'..'" in message_of(refused)
    # An account of a workspace that was deleted, and one that never was, in the same words.
    place = Workspace("sub", "group", "gone")
    deployed.put(place.arm_id, {"location": "x"})
    opened(deployed.home, place)
    gone = account_of(deployed.home, place).name
    assert deployed.http.delete(place.arm_id).status_code == 200
    told = []
    for account in (gone, "bp0123456789abcdef"):
        body = invocation_body(f"https://localhost/{account}/azureml-blobstore/x")
        told.append(message_of(deployed.post("/endpoints/ep1/jobs", body, 404)).replace(account, ""))
    assert told[0] == told[1]
