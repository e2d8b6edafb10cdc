"""The versioned assets: models, data, environments and code, whose versions keep their content for ever.

``Store`` is made of it. It must not know where the bytes of an asset are.
"""

from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, not_, or_, select, update

from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.data import DataAsset
from batchpoint.entities.noun import ListView
from batchpoint.errors import InternalError, ResourceConflict, ResourceNotFound
from batchpoint.store.database import Database
from batchpoint.store.schema import asset_names, assets, deployments

A = TypeVar("A", Model, DataAsset, Environment, Code)
T = TypeVar("T")

#: Set by the server: no part of a version's content.
_NO_CONTENT = {"id", "creation_context", "latest_version"}


class AssetTable:
    """Assets by kind, name and version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_asset(self, w: str, asset: A) -> A:
        """Create the version, or change what may be changed of it; answers the asset as it stands now.

        ResourceConflict if the version exists with other content.
        """
        kind = type(asset)
        name, version = asset.name, asset.version
        if not name or not version:
            raise InternalError("An asset is given a name and a version before it is stored.")
        with self._database.writing() as connection:
            key = _version(w, kind, name, version)
            document = connection.scalar(select(assets.c.document).where(key))
            if document is None:
                _insert(connection, w, name, version, asset)
                return asset
            stored = kind.model_validate(document)
            _require_same_content(stored, asset, _next(connection, w, kind, name))
            merged = _with_creation_of(stored, asset)
            connection.execute(update(assets).where(key).values(document=merged.model_dump(mode="json")))
            return merged

    def get_asset(self, w: str, kind: type[A], name: str, version: str) -> A | None:
        """Archived or not."""
        with self._database.reading() as connection:
            document = connection.scalar(select(assets.c.document).where(_version(w, kind, name, version)))
        return None if document is None else kind.model_validate(document)

    def latest_asset(self, w: str, kind: type[A], name: str) -> A | None:
        """The most recently created version; an archived one only if there is no other."""
        query = select(assets.c.document).where(_named(w, kind, name))
        with self._database.reading() as connection:
            document = connection.scalar(query.order_by(assets.c.archived, assets.c.sequence.desc()).limit(1))
        return None if document is None else kind.model_validate(document)

    def list_assets(self, w: str, kind: type[A], view: ListView = "ActiveOnly") -> list[A]:
        """The most recently created version in the view of each name, by name."""
        of_kind = (assets.c.workspace == w) & (assets.c.kind == kind.__name__)
        seen = _in_view(select(func.max(assets.c.sequence)).where(of_kind), view).group_by(assets.c.name)
        query = select(assets.c.document).where(assets.c.sequence.in_(seen)).order_by(assets.c.name)
        with self._database.reading() as connection:
            return [kind.model_validate(document) for document in connection.scalars(query)]

    def list_versions(self, w: str, kind: type[A], name: str, view: ListView = "ActiveOnly") -> list[A]:
        """Most recently created first."""
        query = _in_view(select(assets.c.document).where(_named(w, kind, name)), view)
        with self._database.reading() as connection:
            found = connection.scalars(query.order_by(assets.c.sequence.desc()))
            return [kind.model_validate(document) for document in found]

    def next_version(self, w: str, kind: type[A], name: str) -> str:
        """One more than the highest whole number among the versions; "1" for a new name."""
        with self._database.reading() as connection:
            return _next(connection, w, kind, name)

    def find_code(self, w: str, content_hash: str) -> Code | None:
        """The code asset with this content."""
        query = select(assets.c.document).where(assets.c.workspace == w, assets.c.kind == Code.__name__)
        query = query.where(assets.c.content_hash == content_hash).order_by(assets.c.sequence).limit(1)
        with self._database.reading() as connection:
            document = connection.scalar(query)
        return None if document is None else Code.model_validate(document)

    def archive_asset(self, w: str, kind: type[A], name: str, version: str | None, archived: bool) -> None:
        """Hide one version from lists or show it again; with no version all of them, those still to come included.

        ResourceNotFound if there is no such asset; ResourceConflict on showing one version of a name that is archived.
        """
        with self._database.writing() as connection:
            found = _named(w, kind, name) if version is None else _version(w, kind, name, version)
            if connection.scalar(select(assets.c.sequence).where(found).limit(1)) is None:
                what = name if version is None else f"{name} version {version}"
                raise ResourceNotFound(f"There is no {_word(kind)} {what}.", target=name)
            of_name = _name(w, kind, name)
            if version is None:
                connection.execute(update(asset_names).where(of_name).values(archived=archived))
            elif not archived and connection.scalar(select(asset_names.c.archived).where(of_name)):
                raise ResourceConflict(
                    f"All versions of the {_word(kind)} {name} are archived. Restore {name} without a version first.",
                    target=name,
                )
            else:
                connection.execute(update(assets).where(found).values(archived=archived))

    def archived_versions(self, w: str, kind: type[A], name: str) -> frozenset[str]:
        """The versions that are archived one by one; ``archived_names`` knows the names archived as a whole."""
        query = select(assets.c.version).where(_named(w, kind, name), assets.c.archived)
        with self._database.reading() as connection:
            return frozenset(connection.scalars(query))

    def archived_names(self, w: str, kind: type[A]) -> frozenset[str]:
        """The names of which all versions are archived, those still to come included."""
        of_kind = (asset_names.c.workspace == w) & (asset_names.c.kind == kind.__name__)
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(asset_names.c.name).where(of_kind, asset_names.c.archived)))

    def delete_asset(self, w: str, kind: type[A], name: str, version: str | None = None) -> bool:
        """Forget one version, or with no version all of them; the bytes stay. False if there is none.

        ResourceConflict while a deployment uses one of them.
        """
        found = _named(w, kind, name) if version is None else _version(w, kind, name, version)
        with self._database.writing() as connection:
            documents = list(connection.scalars(select(assets.c.document).where(found)))
            if not documents:
                return False
            _require_unused(connection, {str(one["id"]).lower() for one in documents}, f"{_word(kind)} {name}", kind)
            connection.execute(delete(assets).where(found))
            if connection.scalar(select(assets.c.sequence).where(_named(w, kind, name)).limit(1)) is None:
                connection.execute(delete(asset_names).where(_name(w, kind, name)))
            return True


#: Where a deployment's document names an asset.
_KEY_IN_DEPLOYMENT = {Model: "model", Environment: "environment", Code: "code_configuration.code"}


def _require_unused(connection: Connection, arm_ids: set[str], what: str, kind: type[A]) -> None:
    key = _KEY_IN_DEPLOYMENT.get(kind)
    if key is None:
        return
    outer, _, inner = key.partition(".")
    for document in connection.scalars(select(deployments.c.document).order_by(deployments.c.name)):
        value = document.get(outer)
        value = (value or {}).get(inner) if inner else value
        if str(value).lower() in arm_ids:
            name, endpoint = document["name"], document["endpoint_name"]
            raise ResourceConflict(
                f"Deployment {name} of endpoint {endpoint} uses the {what}. Give it another one first: "
                f"batch-deployment update --name {name} --endpoint-name {endpoint} --set {key}=<other>. "
                "Or archive it: it is then hidden from lists and can still be used.",
                target=name,
            )


def _named(w: str, kind: type[A], name: str) -> ColumnElement[bool]:
    return (assets.c.workspace == w) & (assets.c.kind == kind.__name__) & (assets.c.name == name)


def _version(w: str, kind: type[A], name: str, version: str) -> ColumnElement[bool]:
    return _named(w, kind, name) & (assets.c.version == version)


def _name(w: str, kind: type[A], name: str) -> ColumnElement[bool]:
    return (asset_names.c.workspace == w) & (asset_names.c.kind == kind.__name__) & (asset_names.c.name == name)


def _in_view(query: Select[tuple[T]], view: ListView) -> Select[tuple[T]]:
    if view == "All":
        return query
    same_name = (
        (asset_names.c.workspace == assets.c.workspace)
        & (asset_names.c.kind == assets.c.kind)
        & (asset_names.c.name == assets.c.name)
    )
    archived = or_(assets.c.archived, asset_names.c.archived)
    return query.join(asset_names, same_name).where(archived if view == "ArchivedOnly" else not_(archived))


def _next(connection: Connection, w: str, kind: type[A], name: str) -> str:
    versions = connection.scalars(select(assets.c.version).where(_named(w, kind, name)))
    return str(1 + max((int(v) for v in versions if v.isascii() and v.isdigit()), default=0))


def _insert(connection: Connection, w: str, name: str, version: str, asset: A) -> None:
    key = {"workspace": w, "kind": type(asset).__name__, "name": name}
    if connection.scalar(select(asset_names.c.name).where(_name(w, type(asset), name))) is None:
        connection.execute(insert(asset_names).values(**key, archived=False))
    content_hash = (asset.content_hash if isinstance(asset, Code) else None) or ""
    document = asset.model_dump(mode="json")
    row = {**key, "version": version, "content_hash": content_hash, "archived": False, "document": document}
    connection.execute(insert(assets).values(row))


def _require_same_content(stored: A, asset: A, next_version: str) -> None:
    free = _NO_CONTENT.union(asset.mutable)
    before, after = (one.model_dump(mode="json", exclude=free) for one in (stored, asset))
    changed = [field for field, value in before.items() if value != after[field]]
    if changed:
        raise ResourceConflict(
            f"Version {asset.version} of the {_word(type(asset))} {asset.name} exists with another {changed[0]}, and "
            f"versions keep their content (what can be changed of one: {', '.join(asset.mutable) or 'nothing'}). "
            f"Leave out the version or say {next_version}, the next one.",
            target=changed[0],
        )


def _with_creation_of(stored: A, asset: A) -> A:
    first, latest = stored.creation_context, asset.creation_context
    if first is None or latest is None:
        return asset.model_copy(update={"creation_context": latest or first})
    made = {field: getattr(first, field) for field in ("created_at", "created_by", "created_by_type")}
    return asset.model_copy(update={"creation_context": latest.model_copy(update=made)})


def _word(kind: type[A]) -> str:
    return "data asset" if kind is DataAsset else kind.__name__.lower()
