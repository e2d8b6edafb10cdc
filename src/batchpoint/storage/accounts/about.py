"""Owns what is known about a blob besides its bytes: headers of its content, metadata, checksum, tag.

Each is a small file outside the container, named after the blob and after the very file that it speaks of. So it can be
written before the file gets its name, and says nothing about what a job puts there later. ``blobs`` calls it.
"""

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from batchpoint.storage.atomic import write_atomically


@dataclass(frozen=True)
class About:
    """What clients said of a blob, and what they know its state by."""

    content_type: str = "application/octet-stream"
    content_encoding: str = ""
    content_language: str = ""
    content_disposition: str = ""
    cache_control: str = ""
    #: Of the content, base64; "" where nobody reckoned it.
    content_md5: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    #: Changes with everything that is changed.
    etag: str = ""
    #: Seconds since the epoch.
    modified: float = 0.0
    #: Ids and sizes of the blocks that it was put together from.
    blocks: tuple[tuple[str, int], ...] = ()


def fresh_etag() -> str:
    """One that no other state of any blob has."""
    return f"0x{secrets.token_hex(8).upper()}"


@dataclass(frozen=True)
class Notes:
    """What is known about the blobs of one container."""

    folder: Path

    def of(self, name: str, file: os.stat_result) -> About:
        """About the blob ``name``, which is ``file`` now; the usual for a file that no client of ours has put there."""
        try:
            kept = json.loads(self._path(name, file).read_bytes())
            return About(**{**kept, "blocks": tuple((str(b), int(n)) for b, n in kept["blocks"])})
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (ValueError, TypeError, KeyError):
            # Damaged: the bytes of the blob are what counts.
            pass
        identity = f"{file.st_ino}-{file.st_mtime_ns}-{file.st_size}"
        tag = hashlib.sha256(identity.encode()).hexdigest()[:16].upper()
        return About(etag=f"0x{tag}", modified=file.st_mtime)

    def keep(self, name: str, file: os.stat_result, about: About) -> None:
        """Remember it for ``file``, whether or not that has the name yet."""
        path = self._path(name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(asdict(about)).encode())

    def drop(self, name: str, file: os.stat_result | None = None) -> None:
        """Forget all that is said of ``name``, but for what is said of ``file``."""
        kept = None if file is None else self._path(name, file).name
        folder, start = self._place(name)
        with contextlib.suppress(FileNotFoundError):
            # The folder stays: somebody may be about to write what is known of another blob into it.
            for path in list(folder.iterdir()):
                if path.name.startswith(start) and path.name != kept:
                    path.unlink(missing_ok=True)

    def _path(self, name: str, file: os.stat_result) -> Path:
        folder, start = self._place(name)
        return folder / f"{start}{file.st_mtime_ns}-{file.st_size}"

    def _place(self, name: str) -> tuple[Path, str]:
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / digest[:3], f"{digest}-"


def stamp(descriptor: int) -> os.stat_result:
    """Give the open file a moment of its own to the nanosecond: clocks of file systems tick in milliseconds."""
    now = time.time_ns()
    os.utime(descriptor, ns=(now, now))
    return os.fstat(descriptor)
