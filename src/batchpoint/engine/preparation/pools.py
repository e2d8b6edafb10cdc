"""Chooses where the workers of a job are placed: processes of this machine, or nodes of a Ray cluster.

``engine.run`` asks for the pool of a job; the choice was frozen in its settings when it was invoked.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from batchpoint.compute.containers.command import Box
from batchpoint.compute.local import LocalPool
from batchpoint.compute.pool import WorkerPool
from batchpoint.engine.dispatch import Policy
from batchpoint.engine.preparation.workers import WORKER_PACKAGE, slots
from batchpoint.entities.job import Job
from batchpoint.settings import Settings
from batchpoint.storage.job_folder import JobFolder

#: As the dispatcher's own, for calls that cost a millisecond or two of several processes.
RAY_MESSAGE_S = 0.250
RAY_AHEAD_S = 0.500


def open_pool(
    job: Job, folder: JobFolder, settings: Settings, python: str, box: Box | None, note: Callable[[str], None]
) -> WorkerPool:
    """The pool for the workers of ``job``, which run on ``python``, in containers where there is a ``box`` for them.

    ``note`` is told what a person should know.
    """
    pool = _pool(job, folder, settings, python, note) if box is None else _containers(box, folder, settings)
    if not job.settings.chaos:
        return pool
    from batchpoint.compute.chaos import ChaosPool, ChaosTerms

    note("The job is under fire: workers and drivers are harmed on purpose; see logs/sys/chaos.csv.")
    # A job without an endpoint is driven by the process of its user.
    terms = ChaosTerms(job.settings.chaos, folder.chaos, job.settings.timeout_s, spares_driver=not job.endpoint_name)
    return ChaosPool(pool, terms)


def _containers(box: Box, folder: JobFolder, settings: Settings) -> WorkerPool:
    from batchpoint.compute.containers.pool import ContainerPool

    return ContainerPool(box, folder.path, folder.channels, settings.worker_log_limit_bytes, settings.child_environ())


def _pool(job: Job, folder: JobFolder, settings: Settings, python: str, note: Callable[[str], None]) -> WorkerPool:
    place = job.settings.place
    if place.type != "ray":
        return LocalPool(folder.path, settings.worker_log_limit_bytes)
    from batchpoint.compute.ray.pool import Cargo, RayPool, Terms

    cargo = Cargo(
        code=str(Path(job.settings.code_path)) if job.settings.code_path else "",
        model=job.settings.model_path or "",
        package=str(WORKER_PACKAGE),
        python=python,
        is_own_python=job.settings.environment is None,
    )
    terms = Terms(
        settings.ray_patience_s, settings.ray_silence_s, settings.worker_log_limit_bytes, settings.child_environ()
    )
    return RayPool(place, cargo, folder.path, folder.driver_log, terms, note)


def policy_of(job: Job, settings: Settings) -> Policy:
    """What the dispatcher is asked: by the deployment, and by how far away the workers are."""
    chosen = job.settings
    policy = Policy(
        slots(job),
        chosen.max_retries,
        chosen.timeout_s,
        settings.init_timeout_s,
        chosen.error_threshold,
        isolate=chosen.isolate_failures,
        pieces_per_worker=chosen.max_mini_batches_per_worker,
    )
    if chosen.place.type != "ray":
        return policy
    # A cluster may first have to make room, and input travels while the mini-batch before it is scored.
    waits = settings.init_timeout_s + settings.ray_patience_s
    return replace(policy, init_timeout_s=waits, message_s=RAY_MESSAGE_S, ahead_s=RAY_AHEAD_S)
