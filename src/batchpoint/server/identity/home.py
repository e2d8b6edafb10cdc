"""The secrets of a home that need no store: the token of its owner, and the name by which two sides recognise it."""

import re
import secrets
from pathlib import Path

from batchpoint.errors import UserError
from batchpoint.storage.atomic import write_once

#: What is shorter was not drawn here: an empty one would let everybody in.
_DRAWN = re.compile(r"[!-~]{16,}")


def token_of(home: Path) -> str:
    """The bearer token of ``home``, drawn on first use and kept in a file that its owner alone can read."""
    return drawn_once(home / "token")


def home_id_of(home: Path) -> str:
    """What client and server compare to learn that they work on one home; no secret."""
    return drawn_once(home / "id")


def drawn_once(path: Path) -> str:
    """256 random bits as text, the same for whoever asks: drawn on first use, in a file of mode 0600.

    Raises UserError when the file holds no such text.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = write_once(path, f"{secrets.token_urlsafe(32)}\n".encode("ascii"), 0o600).decode("latin-1").strip()
    if not _DRAWN.fullmatch(text):
        raise UserError(
            f"{path} is damaged: it does not hold the text that was drawn for it. Put it back from a copy, or remove "
            "it to have another drawn; what was given out with the old one counts no more then.",
            target=str(path),
        )
    return text
