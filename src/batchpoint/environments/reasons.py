"""Owns how the output of an installer becomes the sentence that a person should read first. Pure."""

import re

#: The line art that installers draw around their reasons: a cross, box corners, an arrow.
_ART = "\u00d7\u2715\u2500\u2502\u251c\u2570\u25b6"
_START = re.compile(rf"^\s*(?:[{_ART}] |error:)", re.IGNORECASE)
_FRAME = re.compile(rf"^[\s>{_ART}]+|^\s*(?:error|cause|caused by):\s*", re.IGNORECASE)
_LIMIT = 1500


def reason_of(output: str) -> str:
    """The installer's own reason, without its drawing; empty when it gives none."""
    lines = [line.rstrip() for line in output.splitlines()]
    starts = [number for number, line in enumerate(lines) if _START.match(line)]
    if not starts:
        return "\n".join(line for line in lines[-3:] if line)[:_LIMIT]
    told: list[str] = []
    for line in lines[starts[0] :]:
        plain = _FRAME.sub("", _FRAME.sub("", line)).strip()
        if plain and plain not in told:
            told.append(plain)
    text = "\n".join(told)
    return text if len(text) <= _LIMIT else text[:_LIMIT].rstrip() + " …"
