"""What the home stands on: SQLite needs locks that hold, which network file systems do not promise.

Whoever starts on a home asks it before the store is opened; ``doctor`` reports the same.
"""

from pathlib import Path

from batchpoint.errors import StoreUnavailable

#: Kinds whose locks and syncs cannot be relied on: a store there can be damaged by two processes at once.
UNSAFE = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.mount-s3"),
        *("fuse.blobfuse", "fuse.blobfuse2", "fuse.goofys"),
    }
)
#: Kinds that may do, depending on how they are mounted.
DOUBTFUL = frozenset({"9p", "ceph", "virtiofs", "fuse.ceph"})

MOUNTS = Path("/proc/self/mountinfo")


def refuse_unsafe(home: Path, allowed: str) -> None:
    """Raise StoreUnavailable if ``home`` stands on an unsafe kind that ``allowed``, comma-separated, does not name."""
    kind = kind_of_file_system(home)
    if kind in UNSAFE and kind not in {one.strip() for one in allowed.split(",")}:
        raise StoreUnavailable(
            f"The home {home} stands on a network file system ({kind}), whose locks may fail: the store could be "
            "damaged. Point BATCHPOINT_HOME to a folder on a local disk; outputs may stay where they are. If its locks "
            f'do work, say so with the setting network_file_systems_allowed = "{kind}".',
            target=str(home),
        )


def kind_of_file_system(path: Path, mounts: Path | None = None) -> str:
    """``ext4``, ``nfs4``; empty where the system does not say."""
    mounts = MOUNTS if mounts is None else mounts
    if not mounts.is_file():
        return ""
    path, best, kind = path.resolve(), Path(), ""
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        # The last one that is mounted over a place counts.
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split()[0]
    return kind
