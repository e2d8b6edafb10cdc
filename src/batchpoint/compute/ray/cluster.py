"""The Ray cluster: joined, asked for instances, spoken to. The only module of ours that imports Ray.

It lives in the bridge's process. Calls may block while the cluster cannot be reached, so threads of the bridge make
them. Failures leave it as OSErrors: ConnectionResetError when an instance is gone for good, ConnectionError when it
may come back; JobFailed when nothing can help.
"""

import contextlib
import hashlib
import importlib
import io
import logging
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

from batchpoint.compute.ray.frames import checked
from batchpoint.entities.compute import Place
from batchpoint.errors import ComputeUnavailable

log = logging.getLogger(__name__)

#: Tokens exist from here on.
OLDEST_RAY = (2, 52)
_CONNECT_S = 5.0
#: What runs on nodes, relative to the folder of ``batchpoint``. All of it needs the standard library alone.
SHIPPED = (
    "compute/local.py",
    "compute/machine.py",
    "compute/oom.py",
    "compute/orphans.py",
    "compute/pipes.py",
    "compute/pool.py",
    "compute/strays.py",
    "compute/ray/frames.py",
    "compute/ray/node/agent.py",
    "compute/ray/node/inbox.py",
    "compute/ray/node/interpreters.py",
    "compute/ray/node/parcels.py",
    "compute/ray/node/returns.py",
    "compute/ray/node/seats.py",
    "compute/ray/node/surroundings.py",
)


class Cluster:
    """The cluster that a compute names."""

    def __init__(self, place: Place, namespace: str, log_limit_bytes: int) -> None:
        self._place = place
        self._namespace = namespace
        self._log_limit_bytes = log_limit_bytes
        self._ray: Any = None
        self._actor_class: Any = None
        self._archive: Any = None
        self._digest = ""
        #: What is being waited for, for people.
        self.waits_for = f"the Ray cluster at {place.address}"

    def join(self) -> None:
        """Connect. Raises ComputeUnavailable where waiting does not help, ConnectionError where it may."""
        ray = self._loaded()
        self._look_for_listener()
        self.waits_for = self._why_unreached("")
        try:
            ray.init(
                address=self._place.address,
                namespace=self._namespace,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, TimeoutError) as error:
            self.waits_for = self._why_unreached(str(error))
            raise ConnectionError(self.waits_for) from error
        except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
            if "ersion" in str(error):
                raise ComputeUnavailable(self._skew(str(error)), target=self._place.address) from error
            self.waits_for = self._why_unreached(str(error))
            raise ConnectionError(self.waits_for) from error
        archive, self._digest = pack()
        self._archive = ray.put(archive)
        module = importlib.import_module("batchpoint.compute.ray.node.actor")
        ray.cloudpickle.register_pickle_by_value(module)
        self._actor_class = ray.remote(module.NodeActor)
        self._ray = ray

    def _loaded(self) -> Any:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            message = (
                f"Compute {self._place.compute} is a Ray cluster, and Ray is not installed: pip install batchpoint[ray]"
            )
            raise ComputeUnavailable(message, target=self._place.compute) from error
        if tuple(map(int, ray.__version__.split(".")[:2])) < OLDEST_RAY:
            message = f"Ray {ray.__version__} has no tokens; install 2.52 or later here and on the cluster."
            raise ComputeUnavailable(message, target=self._place.compute)
        return ray

    def _look_for_listener(self) -> None:
        """Ray itself takes a minute to say that nobody is there."""
        host, colon, port = self._place.address.removeprefix("ray://").rpartition(":")
        if not colon or not port.isdigit():
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
        except OSError as error:
            self.waits_for = f"a Ray cluster; nothing answers at {host}:{port} ({error.strerror or error})"
            raise ConnectionError(self.waits_for) from error

    def _why_unreached(self, said: str) -> str:
        if self._place.address == "auto":
            return "a Ray cluster on this machine (address: auto); `ray start --head` starts one"
        token = self._place.token_path
        hint = (
            f"its token must be the one in {token}" if token else "if it wants a token, give the compute a token_path"
        )
        told = f" (Ray says: {said.strip().splitlines()[0][:200]})" if said.strip() else ""
        return f"the Ray cluster at {self._place.address} to let us in; {hint}{told}"

    def _skew(self, said: str) -> str:
        ours = f"Ray {importlib.import_module('ray').__version__} on Python {sys.version_info[0]}.{sys.version_info[1]}"
        told = " ".join(said.split())[:300]
        return (
            f"The Ray cluster at {self._place.address} has other versions than Batchpoint's {ours}. Start the cluster "
            f"with the same Ray version and the same minor version of Python. Ray says: {told}"
        )

    def place(self, name: str) -> Any:
        """Ask for an instance; Ray decides where and when."""
        place = self._place
        options = {
            "num_cpus": place.cpus,
            "num_gpus": place.gpus,
            "memory": place.memory or None,
            "resources": dict(place.resources),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 8,
            "scheduling_strategy": "SPREAD",
        }
        return self._actor_class.options(**options).remote(self._archive, self._digest, name, self._log_limit_bytes)

    def call(self, actor: Any, method: str, message: bytes) -> Any:
        """Begin a call; ``result`` waits for it."""
        with self._as_connection_errors():
            return getattr(actor, method).remote(message)

    def result(self, call: Any, timeout_s: float) -> bytes | None:
        """The bytes that a call answered; None while it has not."""
        with self._as_connection_errors():
            try:
                return checked(self._ray.get(call, timeout=timeout_s))
            except self._ray.exceptions.GetTimeoutError:
                return None

    @contextlib.contextmanager
    def _as_connection_errors(self) -> Any:
        raised = self._ray.exceptions
        try:
            yield
        except raised.ActorUnavailableError as error:
            raise ConnectionError(_sentence(error)) from error
        except raised.RayError as error:
            log.info("Ray reports: %s", error)
            raise ConnectionResetError(_sentence(error)) from error
        except ValueError as error:
            raise ConnectionResetError(_sentence(error)) from error

    def end(self, actor: Any) -> None:
        """Kill an instance at once."""
        with contextlib.suppress(OSError, ValueError, RuntimeError), self._as_connection_errors():
            self._ray.kill(actor, no_restart=True)

    def leave(self) -> None:
        """Disconnect."""
        if self._ray is not None:
            self._ray.shutdown()

    def look_for_room(self) -> None:
        """Note what an instance wants, and what the cluster has. Raises OSError when it does not say."""
        wanted = {"CPU": self._place.cpus, "GPU": self._place.gpus, **self._place.resources}
        if self._place.memory:
            wanted["memory"] = self._place.memory
        with self._as_connection_errors():
            total, free = self._ray.cluster_resources(), self._ray.available_resources()
        parts = [
            f"{amount:g} {name} ({free.get(name, 0):g} of {total.get(name, 0):g} free)"
            for name, amount in wanted.items()
            if amount
        ]
        told = ", ".join(parts) or "any node"
        self.waits_for = f"room for an instance in the Ray cluster at {self._place.address}: {told}"


def _sentence(error: Exception) -> str:
    """The part of Ray's words that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("The actor is dead because")]
    return (told or lines[-1:] or [type(error).__name__])[0][:300]


def pack() -> tuple[bytes, str]:
    """The code that runs on nodes as a zip that Python can import from, and its hash."""
    folder = Path(__file__).parents[2]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for package in ("", "compute/", "compute/ray/", "compute/ray/node/"):
            file.writestr(zipfile.ZipInfo(f"batchpoint/{package}__init__.py"), "")
        for name in SHIPPED:
            file.writestr(zipfile.ZipInfo(f"batchpoint/{name}"), (folder / name).read_bytes())
    return archive.getvalue(), hashlib.sha256(archive.getvalue()).hexdigest()
