"""Endpoints, deployments, computes and datastores: find, put, list and delete the documents of named nouns.

``Store`` is made of it. References between nouns are looked up by the server, not here.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from batchpoint.entities.compute import Compute
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.noun import Noun
from batchpoint.errors import Problem, ResourceConflict, ResourceNotFound, ValidationFailed
from batchpoint.store.database import Database
from batchpoint.store.schema import computes, datastores, deployments, endpoints

N = TypeVar("N", bound=Noun)


class NounTables:
    """The nouns that have a name and no version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_endpoint(self, w: str, endpoint: Endpoint, admit: Callable[[int], None] | None = None) -> Endpoint:
        """Create or replace; ResourceConflict if another workspace has the name.

        ValidationFailed for a default deployment that is not there. ``admit`` raises what keeps out one more, told how
        many endpoints the subscription has.
        """
        key = {"name": endpoint.name.lower()}
        with self._database.writing() as connection:
            owner = connection.scalar(select(endpoints.c.workspace).where(_is(endpoints, key)))
            if owner is not None and owner != w:
                raise ResourceConflict(
                    f"The endpoint name {endpoint.name} is taken in another workspace of this server. "
                    "Names of endpoints are unique per server; choose another one.",
                    target=endpoint.name,
                )
            if owner is None and admit is not None:
                admit(_count(connection, endpoints, w.partition("/")[0]))
            _refuse_missing_default(connection, w, endpoint)
            _put(connection, endpoints, {**key, "workspace": w}, endpoint)
        return endpoint

    def get_endpoint(self, w: str, name: str) -> Endpoint | None:
        return self._get(Endpoint, endpoints, {"name": name.lower(), "workspace": w})

    def endpoint_workspace(self, name: str) -> str | None:
        """The workspace that has an endpoint of this name."""
        with self._database.reading() as connection:
            return connection.scalar(select(endpoints.c.workspace).where(endpoints.c.name == name.lower()))

    def count_endpoints(self, subscription: str) -> int:
        """Endpoints of all workspaces of the subscription."""
        return self._count(endpoints, subscription)

    def list_endpoints(self, w: str) -> list[Endpoint]:
        """By name."""
        return self._list(Endpoint, endpoints, {"workspace": w})

    def delete_endpoint(self, w: str, name: str) -> bool:
        """Remove the endpoint and its deployments; its jobs stay. False if there is none."""
        key = {"workspace": w, "name": name.lower()}
        with self._database.writing() as connection:
            if connection.scalar(select(endpoints.c.name).where(_is(endpoints, key))) is None:
                return False
            connection.execute(delete(deployments).where(deployments.c.endpoint == key["name"]))
            connection.execute(delete(endpoints).where(_is(endpoints, key)))
            return True

    def put_deployment(
        self, w: str, deployment: Deployment, admit: Callable[[int, int], None] | None = None
    ) -> Deployment:
        """Create or replace; ResourceNotFound if the workspace has no such endpoint.

        ``admit`` raises what keeps out one more, told how many deployments the endpoint and the subscription have.
        """
        endpoint = deployment.endpoint_name.lower()
        with self._database.writing() as connection:
            owner = {"workspace": w, "name": endpoint}
            if connection.scalar(select(endpoints.c.name).where(_is(endpoints, owner))) is None:
                raise ResourceNotFound(
                    f"There is no endpoint {endpoint}. Create it before its deployments.", target=endpoint
                )
            key = {"workspace": w, "endpoint": endpoint, "name": deployment.name}
            is_new = connection.scalar(select(deployments.c.name).where(_is(deployments, key))) is None
            if is_new and admit is not None:
                of_endpoint = select(func.count()).select_from(deployments).where(deployments.c.endpoint == endpoint)
                admit(connection.scalar(of_endpoint) or 0, _count(connection, deployments, w.partition("/")[0]))
            _put(connection, deployments, key, deployment)
        return deployment

    def get_deployment(self, w: str, endpoint: str, name: str) -> Deployment | None:
        return self._get(Deployment, deployments, {"workspace": w, "endpoint": endpoint.lower(), "name": name})

    def count_deployments(self, subscription: str) -> int:
        """Deployments of all workspaces of the subscription."""
        return self._count(deployments, subscription)

    def list_deployments(self, w: str, endpoint: str) -> list[Deployment]:
        """By name."""
        return self._list(Deployment, deployments, {"workspace": w, "endpoint": endpoint.lower()})

    def delete_deployment(self, w: str, endpoint: str, name: str) -> bool:
        """Remove the deployment; its jobs stay. False if there is none; ResourceConflict while it is the default."""
        owner = {"workspace": w, "name": endpoint.lower()}
        with self._database.writing() as connection:
            document = connection.scalar(select(endpoints.c.document).where(_is(endpoints, owner)))
            if document is not None and Endpoint.model_validate(document).defaults.deployment_name == name:
                others = (deployments.c.endpoint == owner["name"]) & (deployments.c.name != name)
                found = connection.scalars(select(deployments.c.name).where(others).order_by(deployments.c.name))
                raise _is_default(owner["name"], name, list(found))
            key = {"workspace": w, "endpoint": endpoint.lower(), "name": name}
            return connection.execute(delete(deployments).where(_is(deployments, key))).rowcount > 0

    def put_compute(self, w: str, compute: Compute) -> Compute:
        """Create or replace."""
        with self._database.writing() as connection:
            _put(connection, computes, {"workspace": w, "name": compute.name}, compute)
        return compute

    def get_compute(self, w: str, name: str) -> Compute | None:
        return self._get(Compute, computes, {"workspace": w, "name": name})

    def list_computes(self, w: str) -> list[Compute]:
        """By name."""
        return self._list(Compute, computes, {"workspace": w})

    def all_computes(self, subscription: str) -> list[Compute]:
        """Of all workspaces of the subscription."""
        within = computes.c.workspace.startswith(f"{subscription.lower()}/", autoescape=True)
        with self._database.reading() as connection:
            documents = connection.scalars(select(computes.c.document).where(within).order_by(computes.c.name))
            return [Compute.model_validate(document) for document in documents]

    def delete_compute(self, w: str, name: str) -> bool:
        """False if there is none."""
        return self._delete(computes, {"workspace": w, "name": name})

    def put_datastore(self, w: str, datastore: Datastore) -> Datastore:
        """Create or replace."""
        with self._database.writing() as connection:
            _put(connection, datastores, {"workspace": w, "name": datastore.name}, datastore)
        return datastore

    def get_datastore(self, w: str, name: str) -> Datastore | None:
        return self._get(Datastore, datastores, {"workspace": w, "name": name})

    def list_datastores(self, w: str) -> list[Datastore]:
        """By name."""
        return self._list(Datastore, datastores, {"workspace": w})

    def delete_datastore(self, w: str, name: str) -> bool:
        """Remove the registration, not the data. False if there is none."""
        return self._delete(datastores, {"workspace": w, "name": name})

    def _get(self, kind: type[N], table: Table, key: dict[str, str]) -> N | None:
        with self._database.reading() as connection:
            document = connection.scalar(select(table.c.document).where(_is(table, key)))
        return None if document is None else kind.model_validate(document)

    def _list(self, kind: type[N], table: Table, key: dict[str, str]) -> list[N]:
        with self._database.reading() as connection:
            documents = connection.scalars(select(table.c.document).where(_is(table, key)).order_by(table.c.name))
            return [kind.model_validate(document) for document in documents]

    def _count(self, table: Table, subscription: str) -> int:
        with self._database.reading() as connection:
            return _count(connection, table, subscription)

    def _delete(self, table: Table, key: dict[str, str]) -> bool:
        with self._database.writing() as connection:
            return connection.execute(delete(table).where(_is(table, key))).rowcount > 0


def _is_default(endpoint: str, deployment: str, others: list[str]) -> ResourceConflict:
    first = "Choose another default first" if others else "It is the only one: create another and make it the default"
    switch = f"batch-endpoint update --name {endpoint} --set defaults.deployment_name={others[0] if others else 'NAME'}"
    return ResourceConflict(
        f"{deployment} is the default deployment of {endpoint}, so invocations would have nowhere to go. {first}: "
        f"{switch}. Or delete the endpoint with all its deployments: batch-endpoint delete --name {endpoint}",
        target=deployment,
    )


def _refuse_missing_default(connection: Connection, w: str, endpoint: Endpoint) -> None:
    name = endpoint.defaults.deployment_name
    key = {"workspace": w, "endpoint": endpoint.name.lower(), "name": name or ""}
    if name and connection.scalar(select(deployments.c.name).where(_is(deployments, key))) is None:
        message = f"There is no deployment {name}; the default can be set when the deployment has been created."
        raise ValidationFailed("endpoint", (Problem("properties.defaults.deploymentName", message),))


def _count(connection: Connection, table: Table, subscription: str) -> int:
    within = table.c.workspace.startswith(f"{subscription.lower()}/", autoescape=True)
    return connection.scalar(select(func.count()).select_from(table).where(within)) or 0


def _is(table: Table, key: dict[str, str]) -> ColumnElement[bool]:
    first, *others = [table.c[column] == value for column, value in key.items()]
    condition: ColumnElement[bool] = first
    for other in others:
        condition = condition & other
    return condition


def _put(connection: Connection, table: Table, key: dict[str, str], noun: Noun) -> None:
    document = noun.model_dump(mode="json")
    if not connection.execute(update(table).where(_is(table, key)).values(document=document)).rowcount:
        connection.execute(insert(table).values(**key, document=document))
