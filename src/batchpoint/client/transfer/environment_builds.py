"""Environments on the server's machine from the client's side: which are built, and builds followed to their end."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchpoint.arm.envelope.reading import Body
from batchpoint.client.requests import Requests, segment
from batchpoint.entities.environments.state import EnvironmentState
from batchpoint.entities.workspace import Workspace


@dataclass(frozen=True)
class BuildEvent:
    """What is new about a build."""

    state: EnvironmentState
    #: New whole lines of its log.
    lines: tuple[str, ...] = ()


class EnvironmentBuilds:
    """Builds of the registered environments of a workspace."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        place = (workspace.subscription, workspace.resource_group, workspace.name)
        self._path = f"/batchpoint/v1/environments/{'/'.join(map(segment, place))}"

    def list(self) -> Sequence[EnvironmentState]:
        """Versions that are built, or being built."""
        return [_state(body) for body in self._requests.pages(self._path)]

    def get(self, name: str, version: str) -> EnvironmentState:
        """Whether a version is built, where, and with what."""
        return _state(self._requests.json("GET", self._of(name, version)))

    def build(self, name: str, version: str, poll_s: float = 0.1) -> Iterator[BuildEvent]:
        """Build a version, or join its build, and follow it; the last event is neither ``building`` nor ``absent``
        unless the build was removed meanwhile.

        Whoever stops listening does not stop the build. Raises NotSupported for what cannot be built.
        """
        self._requests.json("POST", f"{self._of(name, version)}/build")
        offset = 0
        while True:
            query = {"offset": str(offset)}
            body = self._requests.json("GET", f"{self._of(name, version)}/build/log", query=query)
            state = _state(body.child("state"))
            text, before = body.text("text") or "", offset
            offset = body.integer("next") or 0
            yield BuildEvent(state, tuple(text.splitlines()))
            if state.state != "building" and offset == before:
                return
            if offset == before:
                time.sleep(poll_s)

    def _of(self, name: str, version: str) -> str:
        return f"{self._path}/{segment(name)}/versions/{segment(version)}"


def _state(body: Body) -> EnvironmentState:
    return EnvironmentState.model_validate({name: body.raw(name) for name in body.names()})
