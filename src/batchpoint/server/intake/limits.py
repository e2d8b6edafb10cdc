"""How much there may be of something: each limit is a setting, and who reaches it is told its name and what there is.

``creation``, ``invocation`` and the routers of jobs ask before they store anything. It knows no HTTP and no JSON.
"""

from collections.abc import Mapping

from batchpoint.entities.compute import Compute
from batchpoint.errors import LimitExceeded, QueueFull
from batchpoint.server.lookup import Desk
from batchpoint.settings import Settings


def check_new_endpoint(desk: Desk, count: int) -> None:
    """Raises LimitExceeded when the subscription has, with ``count``, as many endpoints as it may have."""
    name, limit = desk.workspace.subscription, desk.settings.endpoints_per_subscription
    if count >= limit:
        there = f"Subscription {name} has {count} endpoints of {limit} that it may have."
        raise _reached(there, "Delete one", "endpoints_per_subscription")


def check_new_deployment(desk: Desk, endpoint: str, of_endpoint: int, of_subscription: int) -> None:
    """Raises LimitExceeded when endpoint or subscription have as many deployments as they may have."""
    limit = desk.settings.deployments_per_endpoint
    if of_endpoint >= limit:
        there = f"Endpoint {endpoint} has {of_endpoint} deployments of {limit} that it may have."
        raise _reached(there, "Delete one", "deployments_per_endpoint")
    name, limit = desk.workspace.subscription, desk.settings.deployments_per_subscription
    if of_subscription >= limit:
        there = f"Subscription {name} has {of_subscription} deployments of {limit} that it may have."
        raise _reached(there, "Delete one", "deployments_per_subscription")


def check_queue(desk: Desk) -> None:
    """Raises QueueFull when as many jobs of the workspace wait as may; of some that come at once all are let in."""
    count, limit = desk.store.count_waiting(desk.key), desk.settings.queued_jobs_per_workspace
    if count >= limit:
        raise QueueFull(
            f"Workspace {desk.workspace.name} has {count:,} jobs that wait, and may have {limit:,}. Invoke again when "
            "some have begun, cancel some, or raise the setting queued_jobs_per_workspace.",
            target="queued_jobs_per_workspace",
        )


def check_instance_count(settings: Settings, count: int) -> None:
    """Raises LimitExceeded for more instances than any job may ask for."""
    limit = settings.instances_per_job
    if count > limit:
        there = f"instance_count is {count}, and a job may have {limit} instances."
        raise _reached(there, "Ask for fewer", "instances_per_job")


def check_workers(settings: Settings, count: int) -> None:
    """Raises LimitExceeded for more workers on an instance than any job may ask for."""
    limit = settings.workers_per_instance
    if count > limit:
        there = f"max_concurrency_per_instance is {count}, and an instance may have {limit} workers."
        raise _reached(there, "Ask for fewer", "workers_per_instance")


def check_words(
    settings: Settings,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    description: str | None = None,
    display_name: str | None = None,
) -> None:
    """Raises LimitExceeded for what a job's user wrote too much of; None: nothing is said of it."""
    _check_pairs(settings, "tag", tags or {}, "tags_per_job", settings.tags_per_job)
    _check_pairs(settings, "property", properties or {}, "properties_per_job", settings.properties_per_job)
    _check_length("The description", description or "", "description_length", settings.description_length)
    _check_length("The display name", display_name or "", "display_name_length", settings.display_name_length)


def lifetime_s(settings: Settings, compute: Compute) -> float:
    """Seconds that a job may hold instances of the compute."""
    low = compute.tier == "low_priority"
    return settings.low_priority_job_lifetime_s if low else settings.job_lifetime_s


def _check_pairs(settings: Settings, what: str, pairs: Mapping[str, str], setting: str, limit: int) -> None:
    if len(pairs) > limit:
        plural = {"tag": "tags", "property": "properties"}[what]
        there = f"The job would have {len(pairs)} {plural}, and may have {limit}."
        raise _reached(there, "Leave some out", setting)
    for key, value in pairs.items():
        _check_length(f"The key of the {what} {key[:40]!r}", key, "tag_key_length", settings.tag_key_length)
        _check_length(f"The value of the {what} {key!r}", value, "tag_value_length", settings.tag_value_length)


def _check_length(what: str, text: str, setting: str, limit: int) -> None:
    if len(text) > limit:
        raise _reached(f"{what} has {len(text):,} characters, and may have {limit:,}.", "Shorten it", setting)


def _reached(there: str, remedy: str, setting: str) -> LimitExceeded:
    how = f"{remedy}, or raise the setting {setting} (in config.toml of the home, or as BATCHPOINT_{setting.upper()})."
    return LimitExceeded(f"{there} {how}", target=setting)
