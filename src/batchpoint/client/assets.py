"""Models, data assets, environments and codes from the client's side: what is local is sent, versions are chosen."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from batchpoint.arm import assets as wire
from batchpoint.arm.assets import ANONYMOUS_ENVIRONMENT, SEGMENT, Asset, environment_version
from batchpoint.client.requests import Requests, segment
from batchpoint.client.uploads import Uploads
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.data import DataAsset
from batchpoint.entities.noun import ListView
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ReferenceInvalid, ResourceConflict, ResourceNotFound
from batchpoint.storage.uri import LocalPath, parse_uri

A = TypeVar("A", bound=Asset)

#: How often the next version is tried when others create versions of the same name at the same time.
_ATTEMPTS = 3


class Assets(Generic[A]):
    """The versions of one kind of asset. ``located`` puts the bytes of an asset where the server finds them."""

    def __init__(self, requests: Requests, workspace: Workspace, kind: type[A], located: Callable[[A], A]) -> None:
        self._requests = requests
        self._workspace = workspace
        self._kind = kind
        self._located = located
        self._path = f"{workspace.arm_id}/{SEGMENT[kind]}"

    def create_or_update(self, asset: A) -> A:
        """Create the version, or the next one when none is named. ResourceConflict if it exists with other content."""
        return self._create(self._located(asset))

    def _create(self, located: A) -> A:
        if not located.name:
            raise ReferenceInvalid(f"A {_word(self._kind)} needs a name to be created under.", target="name")
        if located.version:
            return self._put(located, located.version)
        for attempt in range(1, _ATTEMPTS + 1):
            version = self._container_versions(located.name)[1]
            try:
                return self._put(located, version)
            except ResourceConflict:
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def create_or_reuse(self, asset: A) -> A:
        """As ``create_or_update``, but what is there with the same content is taken again.

        Of a named asset that is its latest version, of code whatever has its content.
        """
        located = self._located(asset)
        if isinstance(located, Code) and not asset.name and located.content_hash:
            query = {"hash": located.content_hash}
            for body in self._requests.pages(f"{self._path}/{segment(located.name or '')}/versions", query):
                return wire.from_json(self._kind, body)
        if located.version or not located.name:
            return self._create(located)
        latest, _ = self._container_versions(located.name)
        if latest:
            try:
                return self._put(located, latest)
            except ResourceConflict:
                pass
        return self._create(located)

    def get(self, name: str, version: str | None = None, label: str | None = None) -> A:
        """One version, or the one created last (``label="latest"``)."""
        if version and label:
            raise ReferenceInvalid("Give a version or a label, not both.", target=name)
        if not version and not label:
            raise ReferenceInvalid(f"Give the version of {name}, or the label latest.", target=name)
        tail = f"versions/{segment(version)}" if version else f"labels/{segment(label or '')}"
        return self._read("GET", f"{self._path}/{segment(name)}/{tail}")

    def list(self, name: str | None = None, view: ListView = "ActiveOnly") -> "list[A]":
        """The versions of ``name``, newest first; or each name once, with ``latest_version`` instead of ``version``."""
        query = {"listViewType": view}
        if name:
            bodies = self._requests.pages(f"{self._path}/{segment(name)}/versions", query)
            return [wire.from_json(self._kind, body) for body in bodies]
        return [wire.container_from_json(self._kind, body) for body in self._requests.pages(self._path, query)]

    def update(self, asset: A) -> A:
        """Change what may be changed of a version that exists: ``kind.mutable``. ResourceConflict for other changes."""
        before = self.get(asset.name or "", asset.version)
        free = {*asset.mutable, "id", "creation_context", "latest_version"}
        old, new = (one.model_dump(exclude=free) for one in (before, asset))
        changed = [key for key in old if old[key] != new[key]]
        if changed:
            word = _word(self._kind)
            article = "an" if word.startswith("e") else "a"
            raise ResourceConflict(
                f"The {changed[0]} of {article} {word} cannot be changed: versions keep their content. What can be "
                f"changed: {', '.join(asset.mutable)}. Create a new version for anything else.",
                target=changed[0],
            )
        return self._put(asset, asset.version or "")

    def archive(
        self, name: str, version: str | None = None, label: str | None = None, *, archived: bool = True
    ) -> None:
        """Hide a version from lists, or with neither version nor label all versions; ``archived=False`` shows it again.

        ResourceConflict on restoring one version of a name that is archived as a whole.
        """
        if version is None and label is None:
            self._requests.json("PUT", f"{self._path}/{segment(name)}", {"properties": {"isArchived": archived}})
            return
        if not archived:
            self._require_listed(name)
        found = self.get(name, version, label)
        sent = wire.to_json(found, self._workspace, archived=archived)
        self._requests.json("PUT", self._version_path(found.name, found.version), sent)

    def _require_listed(self, name: str) -> None:
        if wire.is_archived(self._requests.json("GET", f"{self._path}/{segment(name)}")):
            word = _word(self._kind)
            raise ResourceConflict(
                f"All versions of the {word} {name} are archived, so one alone cannot be restored. Restore all with: "
                f"{word.partition(' ')[0]} restore --name {name}",
                target=name,
            )

    def delete(self, name: str, version: str | None = None, label: str | None = None) -> None:
        """Forget a version, or with neither version nor label all versions; jobs that started keep what they have.

        ResourceConflict while a deployment uses it, ResourceNotFound when there is none.
        """
        what = f"{_word(self._kind)} {name}"
        if label is not None:
            version = self.get(name, label=label).version
        path = f"{self._path}/{segment(name)}"
        if version is not None:
            path, what = f"{path}/versions/{segment(version)}", f"{what} with version {version}"
        self._requests.delete(path, what)

    def _version_path(self, name: str | None, version: str | None) -> str:
        return f"{self._path}/{segment(name or '')}/versions/{segment(version or '')}"

    def _put(self, asset: A, version: str) -> A:
        sent = wire.to_json(asset.model_copy(update={"version": version}), self._workspace)
        return wire.from_json(self._kind, self._requests.json("PUT", self._version_path(asset.name, version), sent))

    def _read(self, method: str, path: str) -> A:
        return wire.from_json(self._kind, self._requests.json(method, path))

    def _container_versions(self, name: str) -> tuple[str | None, str]:
        """The latest version and the next one."""
        try:
            properties = self._requests.json("GET", f"{self._path}/{segment(name)}").child("properties")
        except ResourceNotFound:
            return None, "1"
        return properties.text("latestVersion"), properties.text("nextVersion") or "1"


def located_model(uploads: Uploads) -> Callable[[Model], Model]:
    """Models are always copied: a model that changes under a deployment would change its predictions."""

    def located(model: Model) -> Model:
        uri, content = _stored(uploads, model.path) if _is_local(model.path) else (model.path, "")
        if model.name:
            return model.model_copy(update={"path": uri})
        # A model written inside a deployment is named by its content.
        name = content or uuid.uuid5(uuid.NAMESPACE_URL, uri).hex
        return model.model_copy(update={"path": uri, "name": name, "version": model.version or "1"})

    return located


def located_data(uploads: Uploads) -> Callable[[DataAsset], DataAsset]:
    """Data is read where it is when the server shares our home, and sent otherwise."""

    def located(asset: DataAsset) -> DataAsset:
        if not _is_local(asset.path):
            return asset
        local = _existing(asset.path)
        if asset.type != "mltable" and local.is_dir() != (asset.type == "uri_folder"):
            what = "a folder" if local.is_dir() else "a file"
            raise ReferenceInvalid(f"{asset.path} is {what}, but the asset's type is {asset.type}.", target="type")
        return asset.model_copy(update={"path": uploads.place(local)})

    return located


def located_environment(uploads: Uploads) -> Callable[[Environment], Environment]:
    """An interpreter is named absolutely, a build context is sent; without a name it is named by its content."""

    def located(environment: Environment) -> Environment:
        if environment.python:
            absolute = str(Path(environment.python).expanduser().absolute())
            environment = environment.model_copy(update={"python": absolute})
        if environment.build is not None and _is_local(environment.build.path):
            build = environment.build.model_copy(update={"path": _stored(uploads, environment.build.path)[0]})
            environment = environment.model_copy(update={"build": build})
        if environment.name:
            return environment
        version = environment_version(environment)
        return environment.model_copy(update={"name": ANONYMOUS_ENVIRONMENT, "version": version})

    return located


def located_code(uploads: Uploads) -> Callable[[Code], Code]:
    """Code is kept once by content."""

    def located(code: Code) -> Code:
        named = code.model_copy(update={"name": code.name or str(uuid.uuid4()), "version": code.version or "1"})
        if not _is_local(code.path):
            return named
        uri, content = _stored(uploads, code.path)
        return named.model_copy(update={"path": uri, "content_hash": content})

    return located


def _is_local(path: str) -> bool:
    return isinstance(parse_uri(path), LocalPath)


def _stored(uploads: Uploads, path: str) -> tuple[str, str]:
    return uploads.store(_existing(path))


def _existing(path: str) -> Path:
    place = parse_uri(path)
    assert isinstance(place, LocalPath)
    local = Path(place.path).expanduser().absolute()
    if not local.exists():
        raise ResourceNotFound(f"There is no file or folder at {local}. Check the path.", target=path)
    return local


def _word(kind: type[A]) -> str:
    return {"DataAsset": "data asset"}.get(kind.__name__, kind.__name__.lower())
