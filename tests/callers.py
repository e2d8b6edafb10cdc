"""An application with several callers: users and service principals with roles, each with a client of their own."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi.routing import APIRoute

from batchpoint.entities.workspace import PROVIDER
from batchpoint.in_process import IN_PROCESS_URL, InProcessTransport
from batchpoint.server.app import ROUTERS, create_app
from batchpoint.server.identity.home import token_of
from batchpoint.server.identity.tokens.audiences import wanted_by
from batchpoint.settings import DEFAULT_SUBSCRIPTION, Settings
from batchpoint.store.store import open_store

#: The group in which workspaces of tests lie.
GROUP = f"/subscriptions/{DEFAULT_SUBSCRIPTION}/resourceGroups/lab"


def workspace(name: str) -> str:
    return f"{GROUP}/providers/{PROVIDER}/workspaces/{name}"


def every_route() -> list[tuple[str, str]]:
    """Method and template of each route of the application."""
    found = []
    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute), route
            found += [(method, route.path) for method in sorted(route.methods or ())]
    return found


class _Bearer(httpx.Auth):
    """For each request a token that is good for its path."""

    def __init__(self, callers: "Callers", principal: str) -> None:
        self._callers = callers
        self._principal = principal
        self._tokens: dict[str, str] = {}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        audience = wanted_by(request.url.path)
        if audience not in self._tokens:
            found = self._callers.store.find_principal(self._principal)
            assert found is not None
            self._tokens[audience], _ = self._callers.app.state.authority.issue(found, audience)
        request.headers["Authorization"] = f"Bearer {self._tokens[audience]}"
        yield request


class Callers:
    """The application on a home, and whoever sends requests to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_store(settings.home)
        self.app = create_app(settings, self.store)
        self.transport = InProcessTransport(self.app, self.store)
        self.owner = self._client(headers={"Authorization": f"Bearer {token_of(settings.home)}"})

    def _client(self, headers: dict[str, str] | None = None, auth: httpx.Auth | None = None) -> httpx.Client:
        return httpx.Client(base_url=IN_PROCESS_URL, headers=headers, auth=auth, transport=self.transport)

    def of(self, name: str, role: str | None = None, scope: str = "/") -> httpx.Client:
        """The client of a user, made on first use, and given the role."""
        if self.store.find_principal(name) is None:
            assert self.owner.post("/batchpoint/v1/users", json={"name": name}).status_code == 201
        if role:
            given = {"principal": name, "role": role, "scope": scope}
            assert self.owner.post("/batchpoint/v1/assignments", json=given).status_code in (200, 201)
        return self._client(auth=_Bearer(self, name))

    def close(self) -> None:
        self.transport.close()


@contextmanager
def callers_on(home: Path, **settings: str) -> Iterator[Callers]:
    """An application that starts no supervisor: nothing in it runs a job."""
    found = Callers(Settings(home=home, **settings))  # type: ignore[arg-type]
    try:
        yield found
    finally:
        found.close()
