"""Jobs from the client's side: show, list, cancel, follow, read logs, download."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint.arm import invocation as invocation_wire
from batchpoint.arm import job as wire
from batchpoint.client.requests import Requests, segment
from batchpoint.client.transfer.evidence import Evidence
from batchpoint.client.transfer.files import fetch, place_in
from batchpoint.client.uploads import quoted
from batchpoint.entities.data import Invocation
from batchpoint.entities.job import TERMINAL, Job, JobEdit, step_refusal
from batchpoint.entities.noun import ListView
from batchpoint.entities.workspace import Workspace
from batchpoint.errors import ResourceConflict, ResourceNotFound

#: The log that ``stream_events`` follows.
EXECUTION_LOG = "logs/azureml/executionlogs.txt"
#: More than any list is long.
_TOP_MAX = 1_000_000_000


@dataclass(frozen=True)
class JobEvent:
    """What is new about a job since the last event."""

    job: Job
    #: New whole lines of the execution log.
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogFile:
    """A log that a job has written so far."""

    path: str
    size: int


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, requests: Requests, workspace: Workspace) -> None:
        self._requests = requests
        self._path = f"{workspace.arm_id}/jobs"
        #: What ended jobs can show for themselves.
        self.evidence = Evidence(requests)

    def get(self, name: str) -> Job:
        return wire.from_json(self._requests.json("GET", f"{self._path}/{segment(name)}"))

    def list(self, limit: int | None = None, view: ListView = "ActiveOnly", parent: str | None = None) -> Sequence[Job]:
        """Newest first; with ``parent`` the one step of that job."""
        found: list[Job] = []
        query = {"listViewType": view} | ({"$top": str(min(limit, _TOP_MAX))} if limit else {})
        query |= {"parentJobName": parent} if parent else {}
        for body in self._requests.pages(self._path, query):
            if limit and len(found) == limit:
                break
            found.append(wire.from_json(body))
        return found

    def cancel(self, name: str) -> None:
        """ResourceConflict if the job has ended or is writing its output."""
        self._requests.json("POST", f"{self._path}/{segment(name)}/cancel")

    def redrive(self, name: str, wanted: Invocation) -> Job:
        """Score again what failed, with the job's deployment as it stands now or the one that ``wanted`` names.

        ResourceConflict if the job has not ended, or nothing of it failed.
        """
        body = invocation_wire.to_json(wanted)
        if wanted.deployment_name:
            body["deploymentName"] = wanted.deployment_name
        return self._begin_again(name, "redrive", body)

    def resume(self, name: str) -> Job:
        """Go on with a job that failed or was canceled. ResourceConflict if it has not ended, or is Completed."""
        return self._begin_again(name, "resume", None)

    def rerun(self, name: str) -> Job:
        """Start a new job with the frozen settings of one that has ended, and an output folder of its own.

        ResourceConflict if it has not ended, or if its code, model or input is gone.
        """
        return self._begin_again(name, "rerun", None)

    def _begin_again(self, name: str, verb: str, body: dict[str, Any] | None) -> Job:
        headers = {"repeatability_request-id": str(uuid.uuid4())}
        return wire.from_json(
            self._requests.json("POST", f"{self._path}/{segment(name)}/{verb}", body, headers=headers)
        )

    def archive(self, name: str, *, archived: bool = True) -> None:
        """Hide a job that has ended from lists, or show it again. ResourceConflict while it has not ended."""
        # A PUT to a name that is not there would be about making a job.
        self.get(name)
        self._requests.json("PUT", f"{self._path}/{segment(name)}", {"properties": {"isArchived": archived}})

    def update(self, name: str, edit: JobEdit) -> Job:
        """Change what may be changed of a job: display name, description and tags; properties are added to."""
        return wire.from_json(self._requests.json("PUT", f"{self._path}/{segment(name)}", wire.edit_to_json(edit)))

    def delete(self, name: str) -> None:
        """Forget a job that has ended, with its logs; its output stays. ResourceConflict if it has not ended."""
        self._requests.delete(f"{self._path}/{segment(name)}", f"job {name}")

    def stream_events(self, name: str, poll_s: float = 0.2, slowest_poll_s: float = 2.0) -> Iterator[JobEvent]:
        """What happens to the job, until it has ended; the last event carries the ended job.

        The pause between two looks grows from ``poll_s`` to ``slowest_poll_s`` while nothing happens.
        """
        offset, rest, pause, before = 0, b"", poll_s, None
        while True:
            # The job first: what it logged before it ended is then in the log. It says how it ended when it has.
            job = self.get(name)
            if job.parent_job_name:
                raise step_refusal(name, "streamed", "job stream")
            is_over = job.status.is_terminal and self._has_said_all(name)
            chunk = self._all_from(name, offset)
            offset += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            if is_over and rest:
                whole, rest = [*whole, rest], b""
            if whole or job != before:
                yield JobEvent(job, tuple(line.decode("utf-8", "replace") for line in whole))
                pause = poll_s
            if is_over:
                return
            before = job
            time.sleep(pause)
            pause = min(pause * 1.3, slowest_poll_s)

    def _has_said_all(self, name: str) -> bool:
        """Whether nothing is added to the logs of a job that has ended."""
        return self._requests.json("GET", f"{_ours(name)}/logs").boolean("isComplete") is not False

    def _all_from(self, name: str, offset: int) -> bytes:
        """The execution log from ``offset`` to its present end."""
        found = b""
        while chunk := self.read_log(name, EXECUTION_LOG, offset + len(found)):
            found += chunk
        return found

    def logs(self, name: str) -> Sequence[LogFile]:
        found = self._requests.pages(f"{_ours(name)}/logs")
        return [LogFile(body.text("path") or "", body.integer("size") or 0) for body in found]

    def read_log(self, name: str, path: str, offset: int = 0) -> bytes:
        """The log from byte ``offset`` on, at most one chunk of it; empty at the end, and before it has been begun."""
        return self._requests.raw(f"{_ours(name)}/logs/{quoted(path)}", {"offset": str(offset)})

    def download(self, name: str, folder: Path) -> Sequence[Path]:
        """Put the job's output files straight into ``folder``; answers what was written.

        Raises ResourceConflict while the job has not ended, ResourceNotFound when it published nothing.
        """
        job = self.get(name)
        if not job.status.is_terminal:
            allowed = ", ".join(sorted(TERMINAL))
            message = f"Job {name} is {job.status}; its output can be downloaded when it is one of: {allowed}."
            raise ResourceConflict(message, target=name)
        entries = [body.text("path") or "" for body in self._requests.pages(f"{_ours(name)}/outputs")]
        if not entries:
            message = f"Job {name} is {job.status} and published no output in {job.settings.output_uri}."
            if job.progress.rows:
                message += f" What it had scored by then: job download --name {name} --partial"
            raise ResourceNotFound(message, target=name)
        address = f"{_ours(name)}/outputs"
        return [fetch(self._requests, f"{address}/{quoted(path)}", place_in(folder, path)) for path in entries]


def _ours(name: str) -> str:
    return f"/batchpoint/v1/jobs/{segment(name)}"
