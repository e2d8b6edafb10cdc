"""The few pages that the server writes itself, and the files beside them. Routers answer with them.

No script and no style stands in a page, so that none that got into one would be run.
"""

import html
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from starlette.responses import FileResponse, HTMLResponse, Response

from batchpoint.errors import ResourceNotFound

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer` a browser says `Origin: null` with our own login form, which then seems to be another site's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: Files of ours that pages ask for, and what they are.
_OWN = {"page.css": "text/css", "swagger.js": "text/javascript"}
#: Those of the library that draws the API.
_SWAGGER = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


def page(name: str, texts: Mapping[str, str], status: int = 200) -> HTMLResponse:
    """The page ``<name>.html`` with ``texts`` in their places; they are text, whatever stands in them."""
    template = Template((_folder() / f"{name}.html").read_text(encoding="utf-8"))
    filled = template.substitute({key: html.escape(text) for key, text in texts.items()})
    return HTMLResponse(filled, status, {**_SECURITY, "Cache-Control": "no-store"})


def file(name: str) -> Response:
    """A file that pages ask for. Raises ResourceNotFound for any other."""
    if name in _OWN:
        return FileResponse(_folder() / name, media_type=_OWN[name], headers=_SECURITY)
    if name in _SWAGGER:
        found = next(Path(str(files("swagger_ui_bundle"))).glob(f"vendor/*/{name}"))
        return FileResponse(found, media_type=_SWAGGER[name], headers=_SECURITY)
    raise ResourceNotFound(f"No page of this server asks for {name}.", target="name")


def _folder() -> Path:
    return Path(str(files("batchpoint.server.browser"))) / "files"
