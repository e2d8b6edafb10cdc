"""What the API is, as an OpenAPI document and as a page that draws it."""

import json
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from batchpoint.server.browser import pages
from batchpoint.server.browser.origins import FRONT_PAGE
from batchpoint.server.routers.asked import By
from batchpoint.server.routers.browser.login import AtVisitors

router = APIRouter()


@router.get("/batchpoint/v1/openapi.json")
def openapi(request: Request) -> Response:
    """This document."""
    return Response(_document(request.app), media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/batchpoint/v1/session")
def session(request: Request, by: By, visitors: AtVisitors) -> dict[str, Any]:
    """Who asks; for a browser also the proof that its changes have to carry in the header X-Batchpoint-Proof."""
    cookie = visitors.cookie(request)
    proof = visitors.sessions.proof(cookie) if cookie and "authorization" not in request.headers else None
    return {"id": by.id, "name": by.name, "kind": by.kind, "isOwner": by.is_owner, "proof": proof}


@router.get("/", include_in_schema=False)
def front() -> Response:
    return RedirectResponse(FRONT_PAGE, 303)


@router.get("/docs", include_in_schema=False)
def documentation(request: Request, by: By, visitors: AtVisitors) -> Response:
    return pages.page("docs", {"who": by.name, "proof": visitors.sessions.proof(visitors.cookie(request))})


@router.get("/pages/{name}", include_in_schema=False)
def page_file(name: str) -> Response:
    return pages.file(name)


@lru_cache(maxsize=4)
def _document(app: FastAPI) -> bytes:
    from batchpoint.server.description.document import described

    return json.dumps(described(app.routes)).encode("ascii")
