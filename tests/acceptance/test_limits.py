"""Limits are settings; who reaches one is told its name, the setting that raises it and what there is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import Invocation
from batchpoint.entities.deployment import Resources
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import JobEdit
from batchpoint.errors import LimitExceeded
from batchpoint.local import connect
from batchpoint.server.intake import limits
from batchpoint.server.supervisor import lock_of
from batchpoint.settings import Settings
from batchpoint.storage.lock import try_lock
from tests.process.homes import deploy


@dataclass
class Place:
    """A home with an endpoint ``ep1`` and its deployment ``dp1``, in which nothing is run."""

    client: Client
    home: Path
    invocation: Invocation

    def invoke(self, **changes: object) -> None:
        self.client.endpoints.invoke("ep1", self.invocation.model_copy(update=changes))

    def deploy(self, name: str = "dp2", instances: int = 1, workers: int = 1) -> None:
        found = self.client.deployments.get("ep1", "dp1")
        resources = Resources(instance_count=instances)
        changes = {"name": name, "resources": resources, "max_concurrency_per_instance": workers}
        self.client.deployments.create_or_update(found.model_copy(update=changes), skip_script_validation=True)


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Iterator[Place]:
    with try_lock(lock_of(home)), connect(Settings.load()) as client:
        yield Place(client, home, deploy(client, tmp_path / "files", "good.py"))


@dataclass(frozen=True)
class Case:
    setting: str
    value: int
    #: What reaches the limit.
    act: Callable[[Place], object]
    #: What the message says beside the name of the setting.
    says: str
    #: The same one step below the limit.
    allowed: Callable[[Place], object] = lambda place: None


CASES = [
    Case(
        "endpoints_per_subscription",
        1,
        lambda place: place.client.endpoints.create_or_update(Endpoint(name="ep2")),
        "has 1 endpoints of 1 that it may have",
        lambda place: place.client.endpoints.create_or_update(Endpoint(name="ep1")),
    ),
    Case(
        "deployments_per_subscription",
        1,
        lambda place: place.deploy(),
        "has 1 deployments of 1 that it may have",
        lambda place: place.deploy("dp1"),
    ),
    Case("deployments_per_endpoint", 1, lambda place: place.deploy(), "Endpoint ep1 has 1 deployments of 1"),
    Case(
        "instances_per_job",
        2,
        lambda place: place.invoke(instance_count=3),
        "instance_count is 3, and a job may have 2 instances",
        lambda place: place.invoke(instance_count=2),
    ),
    Case("instances_per_job", 2, lambda place: place.deploy(instances=3), "instance_count is 3"),
    Case(
        "workers_per_instance",
        2,
        lambda place: place.invoke(max_concurrency_per_instance=3),
        "max_concurrency_per_instance is 3, and an instance may have 2 workers",
        lambda place: place.invoke(max_concurrency_per_instance=2),
    ),
    Case("workers_per_instance", 2, lambda place: place.deploy(workers=3), "max_concurrency_per_instance is 3"),
    Case(
        "tags_per_job",
        2,
        lambda place: place.invoke(tags={"a": "1", "b": "2", "c": "3"}),
        "would have 3 tags, and may have 2",
        lambda place: place.invoke(tags={"a": "1", "b": "2"}),
    ),
    Case(
        "properties_per_job",
        1,
        lambda place: place.invoke(properties={"a": "1", "b": "2"}),
        "would have 2 properties, and may have 1",
        lambda place: place.invoke(properties={"a": "1"}),
    ),
    Case(
        "tag_key_length",
        4,
        lambda place: place.invoke(tags={"abcde": "1"}),
        "The key of the tag 'abcde' has 5 characters, and may have 4",
        lambda place: place.invoke(tags={"abcd": "1"}),
    ),
    Case(
        "tag_value_length",
        4,
        lambda place: place.invoke(properties={"a": "12345"}),
        "The value of the property 'a' has 5 characters, and may have 4",
        lambda place: place.invoke(properties={"a": "1234"}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.setting}, {case.says[:20]}")
def test_a_limit_names_itself_its_setting_and_what_there_is(case: Case, place: Place) -> None:
    (place.home / "config.toml").write_text(f"{case.setting} = {case.value}\n")
    with connect(Settings.load()) as client:
        limited = replace(place, client=client)
        case.allowed(limited)
        with pytest.raises(LimitExceeded) as caught:
            case.act(limited)
    assert case.says in caught.value.message
    assert case.setting in caught.value.message
    assert f"BATCHPOINT_{case.setting.upper()}" in caught.value.message
    assert caught.value.target == case.setting


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"description": "x" * 5001}, "The description has 5,001 characters, and may have 5,000"),
        ({"display_name": "x" * 257}, "The display name has 257 characters, and may have 256"),
        ({"tags": {"k" * 101: "v"}}, "has 101 characters, and may have 100"),
        ({"tags": {"k": "v" * 1001}}, "has 1,001 characters, and may have 1,000"),
        ({"properties": {str(n): "" for n in range(51)}}, "would have 51 properties, and may have 50"),
    ],
)
def test_what_may_be_said_of_a_job_has_the_usual_lengths(words: dict[str, object], says: str, home: Path) -> None:
    with pytest.raises(LimitExceeded, match=says):
        limits.check_words(Settings(home=home), **words)  # type: ignore[arg-type]


def test_a_job_that_exists_is_held_to_the_same(place: Place) -> None:
    job = place.client.endpoints.invoke("ep1", place.invocation).name
    with pytest.raises(LimitExceeded, match="would have 51 tags, and may have 50"):
        place.client.jobs.update(job, JobEdit(tags={str(number): "x" for number in range(51)}))
    with pytest.raises(LimitExceeded, match="The display name has 257 characters"):
        place.client.jobs.update(job, JobEdit(display_name="x" * 257))
    changed = place.client.jobs.update(job, JobEdit(tags={str(number): "x" for number in range(50)}))
    assert changed.tags["49"] == "x"


def test_a_job_may_live_as_long_as_its_compute_s_tier_allows(place: Place) -> None:
    job = place.client.endpoints.invoke("ep1", place.invocation)
    assert place.client.jobs.get(job.name).settings.lifetime_s == 21 * 86400
    place.client.computes.create_or_update(Compute(name="cpu", tier="low_priority"))
    job = place.client.endpoints.invoke("ep1", place.invocation)
    assert place.client.jobs.get(job.name).settings.lifetime_s == 7 * 86400
