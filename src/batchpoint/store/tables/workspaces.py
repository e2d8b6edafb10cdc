"""Workspaces and resource groups: records of their own, and the deletion of everything that a workspace holds.

``Store`` is made of it. Which of them exist without a record, the server knows.
"""

from typing import TypeVar

from sqlalchemy import Table, delete, insert, select, update

from batchpoint.entities.noun import Noun
from batchpoint.entities.workspace_record import ResourceGroup, WorkspaceRecord
from batchpoint.errors import ResourceConflict
from batchpoint.store.database import Database
from batchpoint.store.schema import (
    asset_names,
    assets,
    computes,
    datastores,
    deployments,
    endpoints,
    instances,
    jobs,
    resource_groups,
    workspaces,
)
from batchpoint.store.tables.jobs import ENDED

N = TypeVar("N", bound=Noun)

#: What goes with a workspace; deployments before the endpoints that they refer to.
_HELD = (deployments, endpoints, instances, computes, datastores, assets, asset_names)


class WorkspaceTable:
    """The records of workspaces by their key, those of groups by theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_workspace(self, w: str, record: WorkspaceRecord) -> WorkspaceRecord:
        """Create or replace."""
        self._put_record(workspaces, w, record)
        return record

    def get_workspace(self, w: str) -> WorkspaceRecord | None:
        return self._record(WorkspaceRecord, workspaces, w)

    def list_workspaces(self, subscription: str, group: str | None = None) -> list[WorkspaceRecord]:
        """Those of a subscription or of one of its groups, by key."""
        return self._records_below(
            WorkspaceRecord, workspaces, f"{subscription}/{group}/" if group else f"{subscription}/"
        )

    def delete_workspace(self, w: str) -> bool:
        """Forget the workspace and what it holds; its jobs and their outputs stay. False if there is no record.

        ResourceConflict while a job of it has not ended.
        """
        with self._database.writing() as connection:
            unfinished = (jobs.c.workspace == w) & jobs.c.status.not_in(ENDED)
            names = list(connection.scalars(select(jobs.c.name).where(unfinished).order_by(jobs.c.sequence)))
            if names:
                raise ResourceConflict(
                    f"{len(names)} jobs of the workspace have not ended, {names[0]} among them. Wait for them, or "
                    f"cancel them: job cancel --name {names[0]}",
                    target=names[0],
                )
            for table in _HELD:
                connection.execute(delete(table).where(table.c.workspace == w))
            return connection.execute(delete(workspaces).where(workspaces.c.workspace == w)).rowcount > 0

    def put_group(self, key: str, group: ResourceGroup) -> ResourceGroup:
        """Create or replace; ``key`` is ``<subscription>/<group>`` in lower case."""
        self._put_record(resource_groups, key, group)
        return group

    def get_group(self, key: str) -> ResourceGroup | None:
        return self._record(ResourceGroup, resource_groups, key)

    def delete_group(self, key: str) -> bool:
        """False if there is no record of it."""
        with self._database.writing() as connection:
            found = delete(resource_groups).where(resource_groups.c.resource_group == key)
            return connection.execute(found).rowcount > 0

    def list_groups(self, subscription: str) -> list[ResourceGroup]:
        """Those of a subscription, by key."""
        return self._records_below(ResourceGroup, resource_groups, f"{subscription}/")

    def list_subscriptions(self) -> list[str]:
        """Those in which anybody has made a workspace, a group or an endpoint, in lower case."""
        columns = (workspaces.c.workspace, resource_groups.c.resource_group, endpoints.c.workspace)
        with self._database.reading() as connection:
            keys = [key for column in columns for key in connection.scalars(select(column).distinct())]
        return sorted({key.partition("/")[0] for key in keys})

    def _record(self, kind: type[N], table: Table, key: str) -> N | None:
        (column,) = table.primary_key.columns
        with self._database.reading() as connection:
            document = connection.scalar(select(table.c.document).where(column == key))
        return None if document is None else kind.model_validate(document)

    def _records_below(self, kind: type[N], table: Table, prefix: str) -> list[N]:
        (column,) = table.primary_key.columns
        matching = column.startswith(prefix.lower(), autoescape=True)
        with self._database.reading() as connection:
            found = connection.scalars(select(table.c.document).where(matching).order_by(column))
            return [kind.model_validate(document) for document in found]

    def _put_record(self, table: Table, key: str, noun: Noun) -> None:
        (column,) = table.primary_key.columns
        document = noun.model_dump(mode="json")
        with self._database.writing() as connection:
            if not connection.execute(update(table).where(column == key).values(document=document)).rowcount:
                connection.execute(insert(table).values({column.name: key, "document": document}))
