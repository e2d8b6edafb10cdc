"""The JSON Schemas of YAML files, for editors: the only thing that the server shows without a token."""

from fastapi import APIRouter, Response

from batchpoint.entities import schemas

router = APIRouter(prefix="/schemas")


@router.get("")
def list_names() -> list[str]:
    return [name + schemas.SUFFIX for name in schemas.names()]


@router.get("/{name}")
def show(name: str) -> Response:
    return Response(schemas.text_of(name), media_type="application/schema+json")
