"""Where data is, asked for by the ids of many assets at once: outputs of jobs, and data assets."""

from typing import Any

from fastapi import APIRouter

from batchpoint.arm.dataplane.run import step_of_output
from batchpoint.entities.data import DataAsset
from batchpoint.errors import BatchpointError, ReferenceInvalid
from batchpoint.server.lookup import Desk
from batchpoint.server.routers.asked import WORKSPACE_PATH, AtDesk, Sent
from batchpoint.server.routers.dataplane.outputs import OutputPlace, output_place
from batchpoint.storage.uri import DatastorePath, parse_uri

router = APIRouter(prefix=f"/data/v1.0{WORKSPACE_PATH}/dataversion")

#: Ids in one request.
_IDS_MAX = 1000


@router.post("/batchGetResolvedUris")
def resolve(desk: AtDesk, sent: Sent) -> dict[str, Any]:
    """The place of each id that is known here; ids that are not are left out."""
    ids = sent.items("values")
    if len(ids) > _IDS_MAX or not all(isinstance(one, str) for one in ids):
        raise ReferenceInvalid(f"values must be a list of at most {_IDS_MAX} asset ids.", target="values")
    found = {one: _place(desk, one) for one in ids}
    return {"values": {one: {"uri": place.uri, "type": place.type} for one, place in found.items() if place}}


def _place(desk: Desk, asset_id: str) -> OutputPlace | None:
    try:
        if step := step_of_output(asset_id):
            return output_place(desk.job_or_step(step), desk.workspace)
        asset = desk.referenced(DataAsset, asset_id)
    except BatchpointError:
        return None
    place, own = parse_uri(asset.path), desk.workspace
    uri = asset.path
    if isinstance(place, DatastorePath):
        uri = place.long(own.subscription, own.resource_group, own.name)
    return OutputPlace(uri, "uri_file" if asset.type == "uri_file" else "uri_folder")
