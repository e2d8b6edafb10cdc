"""Writes and removes an object under the condition that it is still the one that was looked at.

``ObjectStore`` calls it; here is what each library needs to be told. What fails the condition, fails with an error of
the library, and the caller looks again.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: Bytes sent in one piece; S3 takes no part below 5 MiB but the last.
_BLOCK_BYTES = 8 << 20


def tag_of(info: dict[str, Any]) -> str:
    """The ETag in what a file system says of an object; "" where it says none."""
    return str(info.get("ETag") or info.get("etag") or "")


def put_matching(
    fs: "AbstractFileSystem", is_s3: bool, source: Path, path: str, tag: str, alive: Callable[[], None]
) -> None:
    """Replace the object that has the ETag ``tag``, whole or not at all; ``alive`` is called with each piece."""
    if not is_s3:
        with _Watched(source, alive) as reader:
            fs.pipe_file(path, reader, overwrite=True, **_unmodified(tag))
    elif source.stat().st_size <= _BLOCK_BYTES:
        fs.pipe_file(path, source.read_bytes(), IfMatch=tag)
    else:
        _put_parts(fs, source, path, tag, alive)


def remove_matching(fs: Any, is_s3: bool, path: str, tag: str) -> None:
    """Remove the object that has the ETag ``tag``."""
    container, name, _ = fs.split_path(path)
    if is_s3:
        try:
            fs.call_s3("delete_object", Bucket=container, Key=name, IfMatch=tag)
        except OSError as error:
            if not _is_not_implemented(error):
                raise
            # Some stores know the condition for writes alone; the object was looked at a moment ago.
            fs.call_s3("delete_object", Bucket=container, Key=name)
        return

    async def delete() -> None:
        # The library's own removal takes no condition.
        async with fs.service_client.get_blob_client(container=container, blob=name) as client:
            await client.delete_blob(**_unmodified(tag))

    from fsspec.asyn import sync

    sync(fs.loop, delete)


def _put_parts(fs: Any, source: Path, path: str, tag: str, alive: Callable[[], None]) -> None:
    bucket, key, _ = fs.split_path(path)
    at = {"Bucket": bucket, "Key": key}
    at["UploadId"] = fs.call_s3("create_multipart_upload", **at)["UploadId"]
    parts: list[dict[str, Any]] = []
    try:
        with source.open("rb") as reader:
            while block := reader.read(_BLOCK_BYTES):
                alive()
                number = len(parts) + 1
                sent = fs.call_s3("upload_part", **at, PartNumber=number, Body=block)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        fs.call_s3("complete_multipart_upload", **at, MultipartUpload={"Parts": parts}, IfMatch=tag)
    except BaseException:
        fs.call_s3("abort_multipart_upload", **at)
        raise


def _is_not_implemented(error: OSError) -> bool:
    answer = getattr(error.__cause__, "response", None)
    return isinstance(answer, dict) and answer.get("Error", {}).get("Code") == "NotImplemented"


class _Watched(io.FileIO):
    """A file whose reader is heard of: the library reads it by itself."""

    def __init__(self, path: Path, alive: Callable[[], None]) -> None:
        super().__init__(path)
        self._alive = alive

    def read(self, size: int | None = -1, /) -> bytes:
        self._alive()
        return super().read(size) or b""


def _unmodified(tag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": tag, "match_condition": MatchConditions.IfNotModified}
