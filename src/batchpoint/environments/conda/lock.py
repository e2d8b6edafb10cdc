"""Owns the lock of a conda prefix: an explicit list of addresses with hashes for people and for conda, and the
records behind it for building again. Credentials of channels stand in neither.

The process that makes the prefix writes and reads it.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpoint.entities.naming.credentials import masked
from batchpoint.storage.atomic import write_atomically

if TYPE_CHECKING:
    from rattler import PackageRecord, RepoDataRecord


def list_path(folder: Path, platform: str) -> Path:
    """The explicit list, as ``conda create --file`` takes it."""
    return folder / f"conda-{platform}.lock"


def records_path(folder: Path, platform: str) -> Path:
    return folder / f"conda-{platform}.json"


def write(folder: Path, platform: str, records: "Sequence[RepoDataRecord]") -> None:
    """The list first: where the records stand, the list does."""
    ordered = sorted(records, key=lambda one: one.file_name)
    lines = [f"{masked(one.url)}#{(one.md5 or b'').hex() or 'sha256:' + (one.sha256 or b'').hex()}" for one in ordered]
    text = f"# platform: {platform}\n@EXPLICIT\n" + "".join(f"{line}\n" for line in lines)
    write_atomically(list_path(folder, platform), text.encode())
    documents = [_hidden(json.loads(one.to_json())) for one in ordered]
    write_atomically(records_path(folder, platform), json.dumps(documents).encode())


def read(folder: Path, platform: str, channels: Iterable[str]) -> "list[RepoDataRecord] | None":
    """What was solved before, with the credentials that ``channels`` have; None where nothing was."""
    from rattler import RepoDataRecord

    try:
        documents = json.loads(records_path(folder, platform).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    shown = {masked(channel): channel for channel in channels}
    return [
        RepoDataRecord(_record(one), one["fn"], _told(one["url"], shown), _told(one["channel"], shown))
        for one in documents
    ]


def _record(document: dict[str, Any]) -> "PackageRecord":
    from rattler import BuildString, PackageRecord

    sha256, md5 = (bytes.fromhex(document[key]) if document.get(key) else None for key in ("sha256", "md5"))
    return PackageRecord(
        document["name"],
        document["version"],
        BuildString(document["build"]),
        document["build_number"],
        document["subdir"],
        noarch=document.get("noarch"),
        depends=document.get("depends"),
        constrains=document.get("constrains"),
        size=document.get("size"),
        python_site_packages_path=document.get("python_site_packages_path"),
        sha256=sha256,
        md5=md5,
    )


def forget(folder: Path, platform: str) -> None:
    """So that the next build solves anew."""
    records_path(folder, platform).unlink(missing_ok=True)


def _hidden(document: dict[str, object]) -> dict[str, object]:
    return document | {key: masked(str(document[key])) for key in ("url", "channel") if document.get(key)}


def _told(text: str, shown: dict[str, str]) -> str:
    for hidden, channel in shown.items():
        if text.startswith(hidden):
            return channel + text[len(hidden) :]
    return text
