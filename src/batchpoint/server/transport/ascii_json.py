"""How answers are written: JSON in ASCII. Every router's answers go through it; it knows none of them."""

import json
from typing import Any

from fastapi.responses import JSONResponse


class AsciiJson(JSONResponse):
    """JSON in ASCII: a path may hold bytes that are no UTF-8, which travel as lone surrogates."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")
