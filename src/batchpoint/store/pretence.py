"""A store as it would be: what is put there is kept for one request alone, and everything else is read as it stands.

The server tries creations and invocations out with it, by the very rules by which it carries them out.
"""

from collections.abc import Callable

from sqlalchemy import select

from batchpoint.entities.compute import Compute
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job
from batchpoint.errors import ResourceConflict
from batchpoint.store.records import RequestKey
from batchpoint.store.schema import jobs
from batchpoint.store.store import Store
from batchpoint.store.tables.assets import A
from batchpoint.store.tables.jobs import reserve_output


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


class Pretence(Store):
    """Over the store of a home; nothing is written there. Never closed: its connections belong to the other one."""

    def __init__(self, real: Store) -> None:
        super().__init__(real._database)
        self._assets: dict[tuple[str, str, str, str], object] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._computes: dict[str, Compute] = {}
        self._deployments: dict[tuple[str, str], Deployment] = {}

    def put_asset(self, w: str, asset: A) -> A:
        """Keep the version, or answer the one that stands there."""
        there = self.get_asset(w, type(asset), asset.name or "", asset.version or "")
        if there is not None:
            return there
        self._assets[w, type(asset).__name__, asset.name or "", asset.version or ""] = asset
        return asset

    def get_asset(self, w: str, kind: type[A], name: str, version: str) -> A | None:
        """Archived or not."""
        found = self._assets.get((w, kind.__name__, name, version))
        return found if isinstance(found, kind) else super().get_asset(w, kind, name, version)

    def pretend_endpoint(self, endpoint: Endpoint) -> None:
        """Have an endpoint that is missing, so that what is wrong besides is found too."""
        self._endpoints[endpoint.name.lower()] = endpoint

    def pretend_compute(self, compute: Compute) -> None:
        """The same for a compute."""
        self._computes[compute.name] = compute

    def get_endpoint(self, w: str, name: str) -> Endpoint | None:
        return self._endpoints.get(name.lower()) or super().get_endpoint(w, name)

    def get_compute(self, w: str, name: str) -> Compute | None:
        return self._computes.get(name) or super().get_compute(w, name)

    def put_deployment(
        self, w: str, deployment: Deployment, admit: Callable[[int, int], None] | None = None
    ) -> Deployment:
        """Keep it, if ``admit`` lets it in."""
        endpoint = deployment.endpoint_name.lower()
        if admit is not None and super().get_deployment(w, endpoint, deployment.name) is None:
            admit(len(super().list_deployments(w, endpoint)), super().count_deployments(w.partition("/")[0]))
        self._deployments[endpoint, deployment.name] = deployment
        return deployment

    def get_deployment(self, w: str, endpoint: str, name: str) -> Deployment | None:
        return self._deployments.get((endpoint.lower(), name)) or super().get_deployment(w, endpoint, name)

    def create_job(self, w: str, job: Job, idempotency_key: RequestKey | None = None) -> Job:
        """Answer the job, if the store would take it; ResourceConflict as there."""
        try:
            with self._database.writing() as connection:
                if connection.scalar(select(jobs.c.name).where(jobs.c.name == job.name)):
                    message = f"There is a job {job.name} already. Give another name, or none to have one made."
                    raise ResourceConflict(message, target=job.name)
                reserve_output(connection, w, job)
                raise _Undone
        except _Undone:
            return job
