"""Chooses where the workers of a job are placed: processes of this machine, or nodes of a Ray cluster.

``engine.run`` asks for the pool of a job; the choice was frozen in its settings when it was invoked.
"""

from collections.abc import Callable
from pathlib import Path

from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import WorkerPool
from batchpoint.engine.preparation.workers import WORKER_PACKAGE
from batchpoint.entities.job import Job
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder


def open_pool(job: Job, folder: JobFolder, settings: Settings, python: str, note: Callable[[str], None]) -> WorkerPool:
    """The pool for the workers of ``job``, which run on ``python``; ``note`` is told what a person should know."""
    place = job.settings.place
    if place.type != "ray":
        return LocalPool(folder.path, settings.worker_log_limit_bytes)
    from batchpoint.compute.ray.pool import Cargo, RayPool, Terms

    cargo = Cargo(
        code=str(Path(job.settings.code_path)),
        model=job.settings.model_path or "",
        package=str(WORKER_PACKAGE),
        python=python,
        is_own_python=job.settings.environment is None,
    )
    terms = Terms(
        settings.ray_patience_s, settings.ray_silence_s, settings.worker_log_limit_bytes, settings.child_environ()
    )
    return RayPool(place, cargo, folder.path, folder.driver_log, terms, note)


def init_timeout_s(job: Job, settings: Settings) -> float:
    """Seconds from the request for a worker to the end of its init(): a cluster may first have to make room."""
    waits = settings.ray_patience_s if job.settings.place.type == "ray" else 0.0
    return settings.init_timeout_s + waits
