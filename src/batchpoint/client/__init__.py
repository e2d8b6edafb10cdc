"""The client: what the command line and Python programs call. It speaks HTTP and nothing else.

``batchpoint.local.connect`` makes one that talks to a server, or to the same application in this process.
"""

import socket
import ssl
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Self

import httpx

from batchpoint.client.access.people import Principals, Roles
from batchpoint.client.assets import (
    Assets,
    located_code,
    located_data,
    located_environment,
    located_model,
)
from batchpoint.client.connection import Connection, connection_of
from batchpoint.client.deployments import Deployments
from batchpoint.client.endpoints import Endpoints
from batchpoint.client.inputs import InputResolver
from batchpoint.client.jobs import JobEvent, Jobs, LogFile
from batchpoint.client.places import Computes, Datastores
from batchpoint.client.preflight.preflights import Preflights
from batchpoint.client.requests import TIMEOUT, Requests
from batchpoint.client.transfer.downloads import Downloads
from batchpoint.client.transfer.environment_builds import EnvironmentBuilds
from batchpoint.client.uploads import Uploads
from batchpoint.client.workspaces import ResourceGroups, Workspaces
from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.data import DataAsset
from batchpoint.entities.workspace import Workspace

__all__ = ["Client", "JobEvent", "LogFile"]


class Client:
    """A workspace on a server. Use it as a context manager, or close it."""

    def __init__(
        self,
        base_url: str,
        token: str,
        workspace: Workspace,
        *,
        shares_home: bool | None = None,
        home_id: str = "",
        transport: httpx.BaseTransport | None = None,
        context: ssl.SSLContext | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        """``shares_home=None`` asks the server, on first need, whether its home is the one of ``home_id``.

        ``context`` says which certificates are believed; without one, none are.
        """
        self.workspace = workspace
        self.base_url = base_url
        self._home_id = home_id
        if shares_home is not None:
            self.__dict__["shares_home"] = shares_home
        self._requests = Requests(_http(base_url, token, transport, context, timeout))
        uploads = self.uploads = Uploads(self._requests, workspace, lambda: self.shares_home)
        self.models = Assets(self._requests, workspace, Model, located_model(uploads))
        self.data = Assets(self._requests, workspace, DataAsset, located_data(uploads))
        self.environments = Assets(self._requests, workspace, Environment, located_environment(uploads))
        self.codes = Assets(self._requests, workspace, Code, located_code(uploads))
        self.computes = Computes(self._requests, workspace)
        self.datastores = Datastores(self._requests, workspace)
        self.workspaces = Workspaces(self._requests, workspace)
        self.groups = ResourceGroups(self._requests, workspace)
        self.users = Principals(self._requests, "users")
        self.principals = Principals(self._requests, "principals")
        self.roles = Roles(self._requests)
        self.downloads = Downloads(self._requests, workspace)
        self.jobs = Jobs(self._requests, workspace)
        self.endpoints = Endpoints(self._requests, workspace, InputResolver(self.data, uploads))

    @cached_property
    def deployments(self) -> Deployments:
        """What runs behind the endpoints."""
        return Deployments(
            self._requests,
            self.workspace,
            self.endpoints,
            self.models,
            self.codes,
            self.environments,
            self.uploads,
            lambda: self.preflights,
        )

    @cached_property
    def preflights(self) -> Preflights:
        """What would become of deployments and invocations."""
        return Preflights(self._requests, self.workspace, self.uploads, InputResolver(self.data, self.uploads))

    @cached_property
    def environment_builds(self) -> EnvironmentBuilds:
        """What is built of the registered environments."""
        return EnvironmentBuilds(self._requests, self.workspace)

    @cached_property
    def shares_home(self) -> bool:
        """True when the server reads the same files as we do."""
        info = self._requests.json("GET", "/batchpoint/v1/info")
        return bool(self._home_id) and info.text("home") == self._home_id and info.text("host") == socket.gethostname()

    def connection(self, principal: str | None) -> Connection:
        """A secret with which programs get tokens of this server, and what else they must know to use it.

        Without ``principal`` it is the caller's own. Raises ResourceNotFound for one that does not exist, and
        ServerUnreachable when what answers is another server than the one of ``home_id``.
        """
        return connection_of(self._requests, self.base_url, self._home_id, principal)

    def rest(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        query: Mapping[str, str],
    ) -> bytes:
        """One request for what no group of this client offers; raises what the server answers."""
        return self._requests.free(method, path, body, headers, query)

    def studio_url(self, job: str) -> str:
        """The page of a job, for people."""
        return f"{self.base_url}/runs/{job}"

    def close(self) -> None:
        self._requests.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _http(
    base_url: str,
    token: str,
    transport: httpx.BaseTransport | None,
    context: ssl.SSLContext | None,
    timeout: httpx.Timeout,
) -> httpx.Client:
    return httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout,
        transport=transport,
        verify=context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        # A proxy for the internet has nothing to say between two parts of Batchpoint.
        trust_env=False,
    )
