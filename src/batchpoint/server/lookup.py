"""What a request works with, and the one place where a noun is found or answered with 404.

Routers and the placing rules (``creation``, ``invocation``) ask here; it knows no HTTP and no JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from batchpoint.arm.envelope.ids import LATEST
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import Job, job_of_step, step_of
from batchpoint.entities.naming import reference as references
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, ResourceNotFound
from batchpoint.server.environments.builds import Builds
from batchpoint.server.identity.actions import ML
from batchpoint.server.identity.caller import OWNER, Caller
from batchpoint.server.identity.links import Links
from batchpoint.settings import Settings
from batchpoint.storage.datastores import own_datastores
from batchpoint.store.store import Store

A = TypeVar("A", Model, DataAsset, Environment, Code)
T = TypeVar("T")

#: What users call a kind of asset.
WORD = {Model: "model", DataAsset: "data asset", Environment: "environment", Code: "code"}
_KIND = {**WORD, DataAsset: "data"}
#: What a caller needs in another workspace to use what is there.
_USE = {
    Model: f"{ML}/models/read",
    DataAsset: f"{ML}/datasets/registered/read",
    Environment: f"{ML}/environments/read",
    Code: f"{ML}/metadata/snapshots/read",
}
#: How many names a message lists at most.
_NAMED = 10


@dataclass(frozen=True)
class ControlPlane:
    """One server's application: its memory, its settings, and whom to tell of a new job."""

    store: Store
    settings: Settings
    job_arrived: Callable[[], None]
    #: Signs addresses that open without a token.
    links: Links
    #: Instances of computes may be there without a job, because this is a server.
    keeps_idle: bool = False

    @cached_property
    def builds(self) -> Builds:
        """The builds of environments that are asked for by name."""
        return Builds(self.settings)


@dataclass(frozen=True)
class Desk:
    """The control plane as seen from one workspace."""

    plane: ControlPlane
    workspace: Workspace
    #: URL under which the client reached the server, without a slash at the end.
    server: str
    #: Whose request it is.
    caller: Caller

    @property
    def store(self) -> Store:
        return self.plane.store

    @property
    def settings(self) -> Settings:
        return self.plane.settings

    @property
    def key(self) -> str:
        return self.workspace.key

    @property
    def _flags(self) -> str:
        """What a command adds to be about this workspace rather than the default one."""
        place = self.workspace
        flags = "" if place.name.lower() == "default" else f" --workspace-name {place.name}"
        return (
            flags if place.resource_group.lower() == "default" else f"{flags} --resource-group {place.resource_group}"
        )

    def endpoint(self, name: str) -> Endpoint:
        return self._found(
            self.store.get_endpoint(self.key, name),
            f"There is no endpoint {name} in workspace {self.workspace.name}. "
            f"Create it with: batch-endpoint create --name {name}{self._flags}",
            name,
        )

    def deployment(self, endpoint: str, name: str) -> Deployment:
        self.endpoint(endpoint)
        found = self.store.get_deployment(self.key, endpoint, name)
        if found:
            return found
        message = f"Deployment name {name} not found for this endpoint"
        if self.may(f"{ML}/batchEndpoints/deployments/read"):
            names = ", ".join(d.name for d in self.store.list_deployments(self.key, endpoint)) or "none"
            message += f"; deployments of {endpoint}: {names}"
        message += "."
        raise ResourceNotFound(message, target=name)

    def compute(self, reference: str) -> Compute:
        """By bare name, ``azureml:<name>`` or id."""
        name = references.parse(reference, "compute").name
        return self._found(
            self.store.get_compute(self.key, name),
            f"There is no compute {name} in workspace {self.workspace.name}. "
            f"Create it with: compute create --type amlcompute --name {name}{self._flags}",
            name,
        )

    def datastore(self, name: str) -> Datastore:
        found = self.store.get_datastore(self.key, name)
        if found is None:
            found = next((one for one in own_datastores(self.settings.home, self.workspace) if one.name == name), None)
        if found is None:
            message = f"There is no datastore {name} in workspace {self.workspace.name}"
            if self.may(f"{ML}/datastores/read"):
                message += f"; datastores there: {', '.join(store.name for store in self.datastores())}"
            message += "."
            raise ResourceNotFound(message, target=name)
        return found

    def datastores(self) -> list[Datastore]:
        """By name, those included that nobody has to create."""
        own = own_datastores(self.settings.home, self.workspace)
        found = {d.name: d for d in (*own, *self.store.list_datastores(self.key))}
        return [found[name] for name in sorted(found)]

    def asset(self, kind: type[A], name: str, version: str) -> A:
        found = self.store.get_asset(self.key, kind, name, version)
        if found is None:
            raise self._missing(kind, name, f" with version {version}")
        return found

    def latest(self, kind: type[A], name: str) -> A:
        """The version that was created last."""
        found = self.store.latest_asset(self.key, kind, name)
        if found is None:
            raise self._missing(kind, name)
        return found

    def _missing(self, kind: type[A], name: str, version: str = "") -> ResourceNotFound:
        """What to say of a version that is not there: which are, or how to see which names are."""
        there = self.store.list_versions(self.key, kind, name)[:_NAMED] if self.may(_USE[kind]) else []
        versions = ", ".join(asset.version or "" for asset in there)
        rest = (
            f"; its versions: {versions}." if versions else f". See what there is with: {_KIND[kind]} list{self._flags}"
        )
        message = f"There is no {WORD[kind]} {name}{version} in workspace {self.workspace.name}{rest}"
        return ResourceNotFound(message, target=name)

    def referenced(self, kind: type[A], reference: str) -> A:
        """The asset version that ``reference`` pins or means now."""
        parsed = references.parse(reference, _KIND[kind])
        if parsed.registry:
            message = f"{reference} is in a shared registry, and there are none here. Register a copy in the workspace."
            raise NotSupported(message, target=reference)
        desk = self._elsewhere(parsed, _USE[kind])
        if parsed.version:
            return desk.asset(kind, parsed.name, parsed.version)
        if parsed.label == LATEST:
            return desk.latest(kind, parsed.name)
        raise ResourceNotFound(f"There is no label {parsed.label}; the one label is latest.", target=reference)

    def _elsewhere(self, parsed: references.Reference, action: str) -> "Desk":
        """The desk of the workspace that a reference names; this one when it names none."""
        if not (parsed.subscription and parsed.resource_group and parsed.workspace):
            return self
        return self.at(Workspace(parsed.subscription, parsed.resource_group, parsed.workspace), action)

    def at(self, workspace: Workspace, action: str = f"{ML}/read") -> "Desk":
        """The desk of another workspace, for the same caller, who must have ``action`` there.

        ResourceNotFound for a workspace that is not there, and in the same words for one that the caller may not use.
        """
        if workspace.key == self.key:
            return self
        is_there = workspace.is_default or self.store.get_workspace(workspace.key) is not None
        if not is_there or not self.caller.may(action, workspace.arm_id):
            raise no_workspace(workspace)
        return replace(self, workspace=workspace)

    def may(self, action: str) -> bool:
        """Whether the caller may do this in this workspace."""
        return self.caller.may(action, self.workspace.arm_id)

    @property
    def vouched(self) -> "Desk":
        """The same desk for references in what is stored: they were checked for whoever stored them."""
        return replace(self, caller=OWNER)

    def keeping(self, asset: Model | DataAsset | Environment | Code) -> "Desk":
        """Where the path of a stored asset is to be read: in the asset's own workspace, and vouched for."""
        return replace(self, workspace=Workspace.of_id(asset.id) or self.workspace, caller=OWNER)

    def job(self, name: str) -> Job:
        return self._found(
            self.store.get_job(self.key, name),
            f"There is no job {name} in workspace {self.workspace.name}. See what there is with: job list{self._flags}",
            name,
        )

    def job_or_step(self, name: str) -> Job:
        """A job, or the one step of a job seen as a job."""
        parent = job_of_step(name)
        owner = self.store.get_job(self.key, parent) if parent else None
        if owner is not None and self.store.get_job(self.key, name) is None:
            return step_of(owner)
        return self.job(name)

    def job_of(self, endpoint: str, name: str) -> Job:
        """A job as seen from its endpoint, which may be gone by now."""
        job = self.job(name)
        if job.endpoint_name != endpoint.lower():
            raise ResourceNotFound(f"Job {name} is no job of endpoint {endpoint}.", target=name)
        return job

    def _found(self, noun: T | None, message: str, target: str) -> T:
        if noun is None:
            raise ResourceNotFound(message, target=target)
        return noun


def no_workspace(workspace: Workspace) -> ResourceNotFound:
    """What is said of a workspace that is not there, or of which the caller may not know."""
    return ResourceNotFound(
        f"There is no workspace {workspace.name} in resource group {workspace.resource_group}. Create it with: "
        f"workspace create --name {workspace.name} --resource-group {workspace.resource_group}",
        target=workspace.name,
    )


def no_endpoint(name: str) -> ResourceNotFound:
    """The same for an endpoint that is asked for by its name alone."""
    return ResourceNotFound(f"There is no endpoint {name} on this server.", target=name)


def no_job(name: str) -> ResourceNotFound:
    """The same for a job."""
    return ResourceNotFound(f"There is no job {name}. See what there is with: job list", target=name)
