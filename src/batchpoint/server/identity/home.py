"""The secrets of a home that need no store: the token of its owner, and the name by which two sides recognise it."""

import os
import secrets
from pathlib import Path

from batchpoint.storage.atomic import publish_without_clobber


def token_of(home: Path) -> str:
    """The bearer token of ``home``, drawn on first use and kept in a file that its owner alone can read."""
    return drawn_once(home / "token")


def home_id_of(home: Path) -> str:
    """What client and server compare to learn that they work on one home; no secret."""
    return drawn_once(home / "id")


def drawn_once(path: Path) -> str:
    """256 random bits as text, the same for whoever asks: drawn on first use, in a file of mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # Another process may have drawn one meanwhile: then that one counts.
        publish_without_clobber(aside, path)
        aside.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
