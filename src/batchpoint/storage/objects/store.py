"""A datastore in an object store: list, read, and write without ever replacing what others put there.

``open_datastore`` makes it. What fails is tried again here, and nowhere above; names are those of the datastore, and
the container stays inside.
"""

import binascii
import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.errors import DatastoreUnavailable, ResourceNotFound
from batchpoint.storage.atomic import sha256_of
from batchpoint.storage.listing import Found
from batchpoint.storage.objects.conditional import put_matching, remove_matching, tag_of
from batchpoint.storage.objects.opening import open_file_system, troubles
from batchpoint.storage.uri import relative_parts

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

#: Bytes that are read or sent in one piece; S3 takes no part below 5 MiB but the last.
BLOCK_BYTES = 8 << 20
_ATTEMPTS = 4
#: Before the second attempt at most; doubled for each further one.
_PAUSE_S = 0.5
_TELLING = 300
_NO_CONTAINER = frozenset({"ContainerNotFound", "NoSuchBucket"})


class _ShortRead(OSError):
    """Fewer bytes than the store had announced."""


class ObjectStore:
    """A container or a bucket, seen from where the paths of its datastore begin."""

    def __init__(
        self,
        datastore: Datastore,
        credentials: Credentials | None,
        file_system: "AbstractFileSystem | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._datastore = datastore
        self._fs = file_system or open_file_system(datastore, credentials)
        self._troubles = troubles(datastore)
        self._sleep = sleep
        start = "/".join(part for part in datastore.prefix.split("/") if part)
        self._root = f"{datastore.container}/{start}/" if start else f"{datastore.container}/"

    def shown(self, path: str) -> str:
        """The path as people write it."""
        return f"azureml://datastores/{self._datastore.name}/paths/{path}"

    def files(self, folder: str) -> Iterator[Found]:
        """Every file below ``folder`` ("" or ending with ``/``), directory markers left out; in no order.

        Raises DatastoreUnavailable, also when the listing ends early; ResourceNotFound for a container that is none.
        """
        try:
            found: dict[str, dict[str, Any]] = self._tried(lambda: self._listed(folder), f"list {self.shown(folder)}")
        except ResourceNotFound as error:
            raise self._no_container() from error
        if not found:
            self._require_container()
        for path, info in found.items():
            name = path.removeprefix(self._root)
            if info.get("type") != "directory" and not name.endswith("/") and len(path) > len(self._root + folder):
                yield Found(name, info.get("size"))

    def size(self, path: str) -> int | None:
        """Bytes of the file ``path``; None where there is none."""
        full = self._full(path)
        try:
            info = self._tried(lambda: self._fs.info(full), f"look for {self.shown(path)}")
        except ResourceNotFound:
            return None
        return None if info.get("type") == "directory" else int(info["size"] or 0)

    def fetch(self, found: Found, target: Path) -> None:
        """Write the file to ``target``. Raises ResourceNotFound, DatastoreUnavailable."""

        def get() -> None:
            self._fs.get_file(self._root + found.name, str(target))
            # An empty file is not written by every library.
            target.touch()
            length = target.stat().st_size
            if found.size is not None and length != found.size:
                raise _ShortRead(f"{length:,} of {found.size:,} bytes came")

        self._tried(get, f"read {self.shown(found.name)}")

    def blocks(self, path: str) -> Iterator[bytes]:
        """The file piece by piece. Raises ResourceNotFound, DatastoreUnavailable."""
        size = self.size(path)
        if size is None:
            raise self._missing(path)
        for start in range(0, size, BLOCK_BYTES):
            end = min(start + BLOCK_BYTES, size)
            yield self._tried(partial(self._piece, path, start, end), f"read {self.shown(path)}")

    def put_new(self, source: Path, path: str, alive: Callable[[], None] = lambda: None) -> bool:
        """Store ``source`` as ``path`` if nothing stands there; False, and nothing changed, when something else does.

        A repeat answers True: what counts is that these bytes stand there. ``alive`` is called with each piece.
        Raises DatastoreUnavailable.
        """
        what, full = f"write {self.shown(path)}", self._full(path)

        def put() -> bool:
            try:
                self._create(source, full, alive)
            except FileExistsError:
                # Perhaps our own: a reply may be lost after the store has done what it was asked.
                return self.holds(path, source)
            except self._troubles:
                if self.holds(path, source):
                    return True
                raise
            return True

        return self._tried(put, what)

    def replace_own(
        self, source: Path, path: str, own: Collection[str], alive: Callable[[], None] = lambda: None
    ) -> bool:
        """Store ``source`` as ``path`` where nothing stands, or a file whose sha256 is in ``own``.

        False, and nothing changed, when another file stands there, be it with the same bytes. A repeat answers the
        same if ``own`` then has the sha256 of ``source``. ``alive`` is called with each piece. Raises
        DatastoreUnavailable.
        """
        wanted, ours = sha256_of(source), {"", *own}

        def put() -> bool:
            tag, found = self._seen(path, alive)
            if found not in ours:
                return False
            # Now it may become ours: a reply may be lost after the store has done what it was asked.
            ours.add(wanted)
            if not found:
                self._create(source, self._full(path), alive)
            elif found != wanted:
                put_matching(self._fs, self._is_s3, source, self._full(path), tag, alive)
            return True

        return self._tried(put, f"replace {self.shown(path)}")

    def remove_own(self, path: str, own: Collection[str]) -> bool:
        """Remove ``path`` if its sha256 is in ``own``; False, and nothing changed, when another file stands there."""

        def remove() -> bool:
            tag, found = self._seen(path)
            if found in own:
                remove_matching(self._fs, self._is_s3, self._full(path), tag)
            return not found or found in own

        return self._tried(remove, f"remove {self.shown(path)}")

    def _seen(self, path: str, alive: Callable[[], None] = lambda: None) -> tuple[str, str]:
        """ETag and sha256 of an object; a change after the look leaves the tag behind. Twice "" for none."""
        try:
            info = self._fs.info(self._full(path))
        except FileNotFoundError:
            return "", ""
        if info.get("type") == "directory":
            return "", ""
        digest = hashlib.sha256()
        for start in range(0, int(info["size"] or 0), BLOCK_BYTES):
            alive()
            digest.update(self._piece(path, start, min(start + BLOCK_BYTES, int(info["size"]))))
        return tag_of(info), digest.hexdigest()

    @property
    def _is_s3(self) -> bool:
        return self._datastore.type == "s3"

    def remove(self, path: str) -> None:
        """Remove a file of our own, if it is there. Raises DatastoreUnavailable."""
        full = self._full(path)
        # A reply may be lost after the store has done what it was asked.
        with contextlib.suppress(ResourceNotFound):
            self._tried(lambda: self._fs.rm_file(full), f"remove {self.shown(path)}")

    def holds(self, path: str, source: Path) -> bool:
        """Whether ``path`` has the bytes of ``source``."""
        if self.size(path) != source.stat().st_size:
            return False
        digest = hashlib.sha256()
        for block in self.blocks(path):
            digest.update(block)
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == digest.digest()

    def _full(self, path: str) -> str:
        return self._root + "/".join(relative_parts(path))

    def _listed(self, folder: str) -> Any:
        found = self._fs.find((self._root + folder).rstrip("/"), detail=True)
        # One of the libraries answers a list when the folder is the name of a file.
        return found if isinstance(found, dict) else {}

    def _piece(self, path: str, start: int, end: int) -> bytes:
        data: bytes = self._fs.cat_file(self._full(path), start=start, end=end)
        if len(data) != end - start:
            raise _ShortRead(f"{len(data):,} of {end - start:,} bytes came")
        return data

    def _create(self, source: Path, path: str, alive: Callable[[], None]) -> None:
        """Conditional on there being nothing, and whole or not at all, whatever the size."""
        if source.stat().st_size <= BLOCK_BYTES:
            self._fs.pipe_file(path, source.read_bytes(), mode="create")
            return
        with source.open("rb") as reader:
            writer = self._fs.open(path, "xb", block_size=BLOCK_BYTES)
            try:
                while block := reader.read(BLOCK_BYTES):
                    alive()
                    writer.write(block)
                writer.close()
            except BaseException:
                _throw_away(writer)
                raise

    def _require_container(self) -> None:
        try:
            self._fs.info(self._datastore.container)
        except FileNotFoundError as error:
            raise self._no_container() from error
        except self._troubles:
            # Who may list names may not be allowed to ask about the container.
            return

    def _no_container(self) -> ResourceNotFound:
        name = self._datastore.name
        return ResourceNotFound(
            f"There is no container or bucket {self._datastore.container} at {self._datastore.place}. "
            f"Check the datastore: datastore show --name {name}",
            target=name,
        )

    def _tried(self, act: Callable[[], T], what: str) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return act()
            except FileNotFoundError as error:
                if _code(error) in _NO_CONTAINER:
                    raise self._no_container() from error
                raise ResourceNotFound(f"Could not {what}: there is none. {_said(error)}", target=what) from error
            except self._troubles as error:
                if _code(error) in _NO_CONTAINER:
                    raise self._no_container() from error
                if attempt == _ATTEMPTS or _is_refusal(error):
                    raise self._failed(what, error, attempt) from error
            # Full jitter: those who failed together do not come back together.
            self._sleep(random.uniform(0, _PAUSE_S * 2**attempt))
        raise AssertionError

    def _failed(self, what: str, error: Exception, attempts: int) -> DatastoreUnavailable:
        name = self._datastore.name
        times = f" ({attempts} attempts)" if attempts > 1 else ""
        advice = (
            f"Check the credentials: datastore update --name {name} --set credentials.<key>=<value>"
            if _is_refusal(error)
            else f"Check the address and the network, and what the datastore says: datastore show --name {name}"
        )
        return DatastoreUnavailable(f"Could not {what}: {_said(error)}{times}. {advice}", target=name)

    def _missing(self, path: str) -> ResourceNotFound:
        return ResourceNotFound(f"There is no file {self.shown(path)}.", target=path)


def _throw_away(writer: Any) -> None:
    """Closing alone, or the end of the object, would make a file of the pieces that have arrived."""
    writer.forced = True
    # Pieces that cannot be removed now are for the store to forget; they are no file.
    with contextlib.suppress(Exception):
        writer.close()
        writer.discard()


def _is_refusal(error: BaseException) -> bool:
    """An answer that will be the same the next time."""
    status = getattr(error, "status_code", None)
    if isinstance(error, PermissionError | binascii.Error) or status in (400, 401, 403):
        return True
    return error.__cause__ is not None and _is_refusal(error.__cause__)


def _said(error: BaseException) -> str:
    """What the store said, on one line: its code where it gave one."""
    code = _code(error)
    text = str(error).strip().partition("\n")[0][:_TELLING].rstrip(".") or type(error).__name__
    return f"{code}: {text}" if code else text


def _code(error: BaseException) -> str:
    """The word of the store for what is wrong, or ""."""
    code = getattr(error, "error_code", None) or getattr(error.__cause__, "error_code", None)
    # One library has a dict there, the other an answer of its own kind.
    answer = getattr(error.__cause__, "response", None)
    if code is None and isinstance(answer, dict):
        code = answer.get("Error", {}).get("Code")
    return str(getattr(code, "value", code) or "")
