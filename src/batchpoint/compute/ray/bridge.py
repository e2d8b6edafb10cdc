"""The bridge between one driver and a Ray cluster: a process of its own, so that Ray's threads, chatter and crashes
never reach the driver. Started by ``pool`` as ``python -m batchpoint.compute.ray.bridge``; frames come on descriptor 0
and go on descriptor 1. It ends with its driver, and every instance ends with it.
"""

import contextlib
import logging
import os
import select
import sys
import threading
import time
from pathlib import Path

from batchpoint.compute.ray.cluster import Cluster
from batchpoint.compute.ray.frames import Header, Unframer, frame
from batchpoint.compute.ray.instance import GOODBYE_S, Errand, Instance
from batchpoint.compute.ray.supplies import Supplies
from batchpoint.entities.compute import Place
from batchpoint.errors import ComputeUnavailable, JobFailed

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 18
_TICK_S = 0.5
#: Seconds between two looks at what the cluster has room for.
_LOOK_EVERY_S = 2.0
#: Seconds of waiting that are worth a word.
_SAY_AFTER_S = 3.0


class Bridge:
    """The instances of one job."""

    def __init__(self, opening: Header, answers: int) -> None:
        self._answers = answers
        self._guard = threading.Lock()
        place = Place.model_validate(opening["place"])
        self._place = place
        self._patience_s: float = opening["patience_s"]
        cluster = Cluster(place, f"batchpoint-{opening['job']}", opening["log_limit_bytes"])
        cargo = opening["cargo"]
        supplies = Supplies(
            opening["job_folder"],
            cargo["code"],
            cargo["model"],
            cargo["package"],
            cargo["python"],
            is_own=cargo["is_own_python"],
        )
        folder = Path(opening["job_folder"])
        self._joined = threading.Event()
        self._errand = Errand(
            opening["name"],
            folder,
            cluster,
            supplies,
            self._joined,
            opening["silence_s"],
            self._tell,
            opening["always_ship"],
        )
        self._instances: dict[int, Instance] = {}
        self._generation = 0
        #: Instance of every worker.
        self._seats: dict[int, Instance] = {}
        #: Since when there has been no instance.
        self._since = time.monotonic()
        self._has_said = False
        threading.Thread(target=self._attend, name="cluster", daemon=True).start()

    def take(self, header: Header, raw: bytes) -> None:
        """An order of the driver."""
        if header["t"] == "start":
            self._start(header)
        elif (instance := self._seats.get(header["worker"])) is not None:
            instance.order(header, raw)
            if header["t"] == "kill":
                del self._seats[header["worker"]]

    def _start(self, header: Header) -> None:
        number = header["slot"][0]
        instance = self._instances.get(number)
        if instance is None or not instance.order(header):
            self._generation += 1
            instance = self._instances[number] = Instance(number, self._generation, self._errand)
            instance.order(header)
        self._seats[header["worker"]] = instance

    def tick(self) -> None:
        """Look at how long has been waited."""
        now = time.monotonic()
        if not self._instances or any(
            one.settled.is_set() and not one.ended.is_set() for one in self._instances.values()
        ):
            self._since, self._has_said = now, False
            return
        waited = now - self._since
        if waited > self._patience_s:
            message = (
                f"Compute {self._place.compute} could not give a single instance within {self._patience_s:g} s "
                f"(setting ray_patience_s). Waited for {self._errand.cluster.waits_for}."
            )
            self._tell({"t": "failed", "code": ComputeUnavailable.code, "message": message}, b"")
            self._since = float("inf")
        elif waited > _SAY_AFTER_S and not self._has_said:
            self._has_said = True
            self._tell({"t": "waiting", "message": self._errand.cluster.waits_for}, b"")

    def close(self) -> None:
        """End all instances, within some seconds."""
        partings = [threading.Thread(target=one.say_goodbye, daemon=True) for one in self._instances.values()]
        partings.append(threading.Thread(target=self._no_more, daemon=True))
        for parting in partings:
            parting.start()
        deadline = time.monotonic() + GOODBYE_S + 1.0
        for parting in partings:
            parting.join(max(0.0, deadline - time.monotonic()))

    def _no_more(self) -> None:
        """Nothing may be placed any more."""
        self._joined.clear()

    def _attend(self) -> None:
        """Join the cluster; then keep track of what there is room for."""
        try:
            while not self._joined.is_set():
                try:
                    self._errand.cluster.join()
                    self._joined.set()
                except OSError as error:
                    log.info("waiting for %s", error)
                    time.sleep(_TICK_S)
            while True:
                with contextlib.suppress(OSError):
                    self._errand.cluster.look_for_room()
                time.sleep(_LOOK_EVERY_S)
        except JobFailed as error:
            self._tell({"t": "failed", "code": error.code, "message": error.message}, b"")

    def _tell(self, header: Header, raw: bytes) -> None:
        data = memoryview(frame(header, raw))
        with self._guard, contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._answers, data) :]


def main() -> int:
    """Serve one driver until it says close, or is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever Ray prints goes to the log
    unframer, bridge = Unframer(), None
    while True:
        ready, _, _ = select.select([0], [], [], _TICK_S)
        block = os.read(0, _READ_BYTES) if ready else b""
        if ready and not block:
            break
        for header, raw in unframer.feed(block):
            if header["t"] == "open":
                bridge = Bridge(header, answers)
            elif bridge is not None:
                bridge.take(header, raw)
        if bridge is not None:
            bridge.tick()
    if bridge is not None:
        bridge.close()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
