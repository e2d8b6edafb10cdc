"""The end of the audit log, for those who may read it."""

from typing import Any

from fastapi import APIRouter

from batchpoint.errors import ReferenceInvalid
from batchpoint.server.routers.asked import AtPlane
from batchpoint.server.transport.audit import last_lines

router = APIRouter(prefix="/batchpoint/v1/audit")

#: Entries of one answer.
_MOST = 1000


@router.get("")
def list_entries(plane: AtPlane, top: int = 100) -> dict[str, Any]:
    """The latest entries, oldest first."""
    if not 1 <= top <= _MOST:
        raise ReferenceInvalid(f"top must be a number from 1 to {_MOST}.", target="top")
    return {"value": last_lines(plane.settings.home, top)}
