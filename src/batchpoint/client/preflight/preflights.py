"""Preflights from the client's side: started, followed line by line, and ended whatever happens meanwhile."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchpoint.arm import invocation as invocation_wire
from batchpoint.client.inputs import InputResolver
from batchpoint.client.requests import Requests, segment
from batchpoint.client.uploads import Uploads, quoted
from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.data import Input, Invocation
from batchpoint.entities.deployment import CodeConfiguration, Deployment
from batchpoint.entities.tables.golden_rows import GoldenRows
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import BatchpointError
from batchpoint.storage.uri import LocalPath, parse_uri

#: Seconds between two questions; the pause grows from the one to the other.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
_OURS = "/batchpoint/v1/preflights"

#: One line of what a preflight says: ``check``, ``finding``, ``log``, ``estimate`` or ``end``, as its ``line`` tells.
Line = dict[str, Any]


class Preflights:
    """What would become of a deployment or of an invocation; nothing is created and no job is started."""

    def __init__(self, requests: Requests, workspace: Workspace, uploads: Uploads, inputs: InputResolver) -> None:
        self._requests = requests
        self._uploads = uploads
        self._inputs = inputs
        names = (workspace.subscription, workspace.resource_group, workspace.name)
        self._path = f"{_OURS}/{'/'.join(map(quoted, names))}"

    def deployment(self, wanted: Deployment, given: Input | None = None, *, upload: bool = False) -> Iterator[Line]:
        """Check a deployment that need not exist, with a sample of ``given`` if there is one; lines as they come.

        To a server elsewhere model, code and input are sent, as for a creation that follows.
        """
        unkept = {"id", "creation_context", "provisioning_state", "generated"}
        document = self._placed(wanted).model_dump(mode="json", exclude_none=True, exclude=unkept)
        body: dict[str, Any] = {"deployment": document}
        if given is not None:
            resolved = self._inputs.resolve(given, upload=upload, registers=False)
            body["input"] = resolved.model_dump(mode="json", exclude_unset=True)
        return self._followed(self._requests.json("POST", f"{self._path}/deployments", body).text("name") or "")

    def invocation(
        self, endpoint: str, wanted: Invocation, *, upload: bool = False, estimate: bool = False
    ) -> Iterator[Line]:
        """Check this very invocation, or with ``estimate`` tell how long it would take; lines as they come."""
        resolved = wanted
        if wanted.input:
            given = self._inputs.resolve(wanted.input, upload=upload, registers=False)
            resolved = wanted.model_copy(update={"input": given})
        headers = {"azureml-model-deployment": wanted.deployment_name} if wanted.deployment_name else {}
        path = f"{self._path}/endpoints/{segment(endpoint)}"
        query = {"estimate": "true"} if estimate else {}
        sent = invocation_wire.to_json(resolved)
        started = self._requests.json("POST", path, sent, query=query, headers=headers)
        return self._followed(started.text("name") or "")

    def _followed(self, name: str) -> Iterator[Line]:
        path, since, pause = f"{_OURS}/{segment(name)}", 0, _FIRST_PAUSE_S
        try:
            while True:
                answer = self._requests.json("GET", path, query={"since": str(since)})
                lines = answer.items("lines")
                yield from lines
                if answer.text("state") == "ended":
                    return
                since = answer.integer("next") or since
                pause = _FIRST_PAUSE_S if lines else min(pause * 1.5, _LONGEST_PAUSE_S)
                time.sleep(pause)
        finally:
            # It would end by itself; whoever has stopped listening does not want it to go on.
            with contextlib.suppress(BatchpointError):
                self._requests.json("DELETE", path)

    def _placed(self, wanted: Deployment) -> Deployment:
        """With what is local where the server finds it."""
        code, model, environment = wanted.code_configuration, wanted.model, wanted.environment
        update: dict[str, object] = {}
        if isinstance(model, Model) and (local := _local(model.path)):
            update["model"] = model.model_copy(update={"path": self._uploads.place(local)})
        if isinstance(code, CodeConfiguration) and (local := _local(code.code)):
            update["code_configuration"] = code.model_copy(update={"code": self._uploads.place(local)})
        if isinstance(environment, str) and (local := _local(environment)):
            update["environment"] = str(local)
        if isinstance(environment, Environment) and environment.build and (local := _local(environment.build.path)):
            build = environment.build.model_copy(update={"path": self._uploads.place(local)})
            update["environment"] = environment.model_copy(update={"build": build})
        if wanted.golden_rows is not None:
            update["golden_rows"] = placed_golden_rows(wanted.golden_rows, self._uploads)
        return wanted.model_copy(update=update)


def placed_golden_rows(golden: GoldenRows, uploads: Uploads) -> GoldenRows:
    """With what is local sent, as code is."""
    places = {name: getattr(golden, name) for name in ("input", "expected")}
    sent = {name: uploads.store(local)[0] for name, path in places.items() if (local := _local(path))}
    return golden.model_copy(update=sent)


def _local(path: str) -> Path | None:
    """The absolute path of what is on this machine; None for anything else."""
    place = parse_uri(path)
    return Path(place.path).expanduser().absolute() if isinstance(place, LocalPath) else None
