"""One file from the server: fetched whole or not at all, and never outside the folder that was meant."""

from pathlib import Path

from batchpoint.client.requests import Requests
from batchpoint.errors import ResourceNotFound
from batchpoint.storage.atomic import aside_path


def fetch(requests: Requests, address: str, target: Path) -> Path:
    """Write the answer of ``address`` to ``target``, which is replaced once all of it is here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_path(target.parent)
    try:
        with requests.stream(address) as response, aside.open("wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def place_in(folder: Path, path: str) -> Path:
    """Where a file called ``path`` by a server goes; a server is not trusted to choose where we write."""
    segments = path.split("/")
    if not all(segments) or {".", ".."} & set(segments) or "\0" in path:
        raise ResourceNotFound(f"The server offers {path!r}, which is no path inside a folder.", target=path)
    return folder.joinpath(*segments)
