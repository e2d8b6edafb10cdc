"""Instances in the store: given to a job all at once, free when it has ended, whoever dies in between."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from batchpoint.entities.compute import Compute, Place
from batchpoint.entities.job import Job, JobError, JobStatus, Progress
from batchpoint.errors import ResourceConflict
from batchpoint.store.allotment import Decision, Situation, decide
from batchpoint.store.store import Store, open_store
from tests.contract.made import ELSEWHERE, W, job
from tests.contract.test_store import await_first_migration, file_of, schema_of

Rule = Callable[[Situation], Decision]


def rule(*, server: bool = True, later_s: float = 0.0) -> Rule:
    return partial(decide, now=datetime.now(UTC) + timedelta(seconds=later_s), keeps_idle=server)


def wanting(name: str, count: int = 1, each: int = 1, compute: str = "cpu", endpoint: str = "digits") -> Job:
    """A job that asks for ``count`` instances with ``each`` workers."""
    made = job(name, endpoint=endpoint)
    settings = {"instance_count": count, "max_concurrency_per_instance": each}
    return made.model_copy(update={"compute": compute, "settings": made.settings.model_copy(update=settings)})


def found(store: Store, name: str) -> Job:
    there = store.find_job(name)
    assert there
    return there


def fail(store: Store, name: str) -> None:
    """Let a driver take the job and end it."""
    claimed = store.claim(name, store.epoch_of(name), f"driver of {name}", "host", 1)
    assert claimed
    store.fail(claimed.fence, JobError(code="X", message="x"), Progress(), ())


@pytest.fixture
def cpu(store: Store) -> Store:
    """A store with the compute ``cpu``, which has up to four instances."""
    store.put_compute(W, Compute(name="cpu"))
    return store


def test_a_job_waits_until_it_has_its_instances_and_needs_a_driver_from_then_on(cpu: Store) -> None:
    cpu.create_job(W, wanting("j", 2))
    assert cpu.placed_jobs() == []
    assert [one.name for one in cpu.open_jobs()] == ["j"]
    cpu.settle(W, "cpu", rule(), 0)
    placed = found(cpu, "j")
    assert (placed.status, placed.instances, placed.waiting_for) == (JobStatus.PREPARING, (0, 1), "")
    assert placed.placed_at
    assert cpu.placed_jobs() == [placed]
    assert [(one.number, one.job) for one in cpu.situation(W, "cpu").instances] == [(0, "j"), (1, "j")]


def test_a_job_without_a_compute_waits_for_nothing(store: Store) -> None:
    store.create_job(W, job("j"))
    assert [one.name for one in store.placed_jobs()] == ["j"]
    assert store.situations() == []


def test_who_finds_no_room_is_queued_and_says_what_for(cpu: Store) -> None:
    cpu.create_job(W, wanting("first", 3))
    cpu.create_job(W, wanting("second", 2))
    cpu.settle(W, "cpu", rule(), 0)
    second = found(cpu, "second")
    assert second.status is JobStatus.QUEUED
    assert second.waiting_for == "Waits for 2 instances of compute cpu: 3 of 4 are used by first."
    assert second.instances == ()
    assert cpu.list_jobs(W)[0] == second
    assert [one.is_next for one in cpu.situation(W, "cpu").waiting] == [True]


def test_instances_are_free_by_the_end_of_their_job_alone(cpu: Store) -> None:
    cpu.create_job(W, wanting("first", 4))
    cpu.create_job(W, wanting("second", 4))
    cpu.settle(W, "cpu", rule(), 0)
    node_ids = [one.node_id for one in cpu.situation(W, "cpu").instances]
    fail(cpu, "first")
    assert [one.job for one in cpu.situation(W, "cpu").instances] == [""] * 4
    cpu.settle(W, "cpu", rule(), 0)
    assert found(cpu, "second").instances == (0, 1, 2, 3)
    assert [one.node_id for one in cpu.situation(W, "cpu").instances] == node_ids


def test_an_instance_is_idle_since_its_job_ended(cpu: Store) -> None:
    cpu.create_job(W, wanting("j"))
    cpu.settle(W, "cpu", rule(), 0)
    fail(cpu, "j")
    (one,) = cpu.situation(W, "cpu").instances
    assert one.since == found(cpu, "j").ended_at
    cpu.settle(W, "cpu", rule(later_s=119), 0)
    assert len(cpu.situation(W, "cpu").instances) == 1
    cpu.settle(W, "cpu", rule(later_s=121), 0)
    assert cpu.situations() == []


def test_a_minimum_is_made_and_kept(store: Store) -> None:
    store.put_compute(W, Compute(name="cpu", min_instances=2))
    store.settle(W, "cpu", rule(), 0)
    assert [(one.number, one.job) for one in store.situation(W, "cpu").instances] == [(0, ""), (1, "")]
    store.settle(W, "cpu", rule(later_s=1e6), 0)
    assert len(store.situation(W, "cpu").instances) == 2
    store.settle(W, "cpu", rule(server=False), 0)
    assert store.situation(W, "cpu").instances == ()


def test_a_queued_job_is_canceled_at_once_and_waits_no_more(cpu: Store) -> None:
    cpu.create_job(W, wanting("first", 4))
    cpu.create_job(W, wanting("second"))
    cpu.settle(W, "cpu", rule(), 0)
    canceled = cpu.request_cancel(W, "second")
    assert (canceled.status, found(cpu, "second").waiting_for) == (JobStatus.CANCELED, "")
    assert cpu.situation(W, "cpu").waiting == ()


def test_a_job_whose_compute_was_deleted_fails_while_it_waits_and_goes_on_while_it_runs(cpu: Store) -> None:
    cpu.create_job(W, wanting("runs", 3))
    cpu.create_job(W, wanting("waits", 2))
    cpu.settle(W, "cpu", rule(), 0)
    cpu.delete_compute(W, "cpu")
    cpu.settle(W, "cpu", rule(), 0)
    failed = found(cpu, "waits")
    assert failed.status is JobStatus.FAILED and failed.ended_at
    assert failed.error and failed.error.code == "ComputeDeleted"
    assert "waited for 2 of its instances" in failed.error.message
    assert found(cpu, "runs").status is JobStatus.PREPARING
    assert len(cpu.situation(W, "cpu").instances) == 3
    fail(cpu, "runs")
    cpu.settle(W, "cpu", rule(), 0)
    assert cpu.situations() == []
    with pytest.raises(ResourceConflict):
        cpu.request_cancel(W, "waits")


def test_a_job_that_the_compute_has_become_too_small_for_waits_until_it_grows(cpu: Store) -> None:
    cpu.create_job(W, wanting("j", 3))
    cpu.put_compute(W, Compute(name="cpu", max_instances=2))
    cpu.settle(W, "cpu", rule(), 0)
    assert "may have 2 now" in found(cpu, "j").waiting_for
    cpu.put_compute(W, Compute(name="cpu", max_instances=3))
    cpu.settle(W, "cpu", rule(), 0)
    assert found(cpu, "j").instances == (0, 1, 2)


def test_computes_of_one_name_in_two_workspaces_share_nothing(cpu: Store) -> None:
    cpu.put_compute(ELSEWHERE, Compute(name="cpu", max_instances=1))
    cpu.create_job(W, wanting("here", 4))
    cpu.create_job(ELSEWHERE, wanting("there", 1))
    for situation in cpu.situations():
        cpu.settle(situation.workspace, situation.compute, rule(), 0)
    assert (found(cpu, "here").instances, found(cpu, "there").instances) == ((0, 1, 2, 3), (0,))


def test_jobs_that_share_a_machine_see_different_gpus(cpu: Store) -> None:
    cpu.put_compute(W, Compute(name="other"))
    cpu.create_job(W, wanting("first", 1, each=2))
    cpu.create_job(W, wanting("second", 2, each=1, compute="other"))
    mine = wanting("own choice", 1, each=4)
    chosen = mine.settings.model_copy(update={"environment_variables": {"CUDA_VISIBLE_DEVICES": "3"}})
    cpu.create_job(W, mine.model_copy(update={"settings": chosen}))
    for compute in ("cpu", "other"):
        cpu.settle(W, compute, rule(), 3)
    assert found(cpu, "first").gpus == (0, 1)
    assert found(cpu, "second").gpus == (2,)
    assert found(cpu, "own choice").gpus == ()
    elsewhere = wanting("on ray", 1, compute="other")
    ray = elsewhere.settings.model_copy(update={"place": Place(compute="other", type="ray")})
    cpu.create_job(W, elsewhere.model_copy(update={"settings": ray}))
    cpu.settle(W, "other", rule(), 3)
    assert found(cpu, "on ray").gpus == ()
    fail(cpu, "first")
    cpu.create_job(W, wanting("third", 1, each=1))
    cpu.settle(W, "cpu", rule(), 3)
    assert found(cpu, "third").gpus == (0,)


def test_what_fails_half_way_gives_no_instance_to_anybody(cpu: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu.create_job(W, wanting("first", 2))
    cpu.create_job(W, wanting("second", 2))

    def torn(situation: Situation) -> Decision:
        return Decision(grants={"first": (0, 1), "nobody": (2, 3)})

    with pytest.raises(Exception, match="no job nobody"):
        cpu.settle(W, "cpu", torn, 0)
    assert cpu.situation(W, "cpu").instances == ()
    assert (found(cpu, "first").instances, len(cpu.situation(W, "cpu").waiting)) == ((), 2)


def test_ten_thousand_queued_jobs_are_told_once(cpu: Store) -> None:
    cpu.create_job(W, wanting("first", 4))
    cpu.settle(W, "cpu", rule(), 0)
    with cpu._database.writing() as connection:
        raw = connection.connection.cursor()
        raw.execute(
            "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 10000) "
            "INSERT INTO jobs SELECT sequence + n.value, 'j' || n.value, workspace, endpoint, deployment, 'Preparing',"
            " 0, 0, '', 0, '', 0, 0, 0, '', 0, progress, json_set(document, '$.name', 'j' || n.value) FROM jobs, n"
        )
        raw.execute("INSERT INTO waiting SELECT name, workspace, 'cpu', endpoint, 1, 0, '' FROM jobs WHERE epoch = 0")
        raw.execute("DELETE FROM waiting WHERE job = 'first'")
        raw.close()
    assert len(cpu.settle(W, "cpu", rule(), 0).sentences) == 10_000
    assert cpu.settle(W, "cpu", rule(), 0) == Decision(next_job="j1")
    assert len(cpu.situation(W, "cpu").waiting) == 20, "of a long queue only its head is looked at"
    assert [one.name for one in cpu.placed_jobs()] == ["first"]
    fail(cpu, "first")
    assert list(cpu.settle(W, "cpu", rule(), 0).grants) == ["j1", "j2", "j3", "j4"]


def test_jobs_that_ask_for_too_much_hide_nobody_however_many_they_are(cpu: Store) -> None:
    cpu.put_compute(W, Compute(name="cpu", max_instances=1))
    for number in range(25):
        cpu.create_job(W, wanting(f"large{number}", 2))
    cpu.settle(W, "cpu", rule(), 0)
    cpu.create_job(W, wanting("small", 1))
    cpu.settle(W, "cpu", rule(), 0)
    assert found(cpu, "small").instances == (0,)


# --- a home of the version before


OPEN = {"code_path": "/c", "scoring_script": "s.py", "input": {"path": "/i"}, "output_folder": "/o"}


def old_home(home: Path) -> None:
    """A home that the first version left: a job that runs, one that nobody has claimed, and one that has ended."""
    from alembic import command

    from batchpoint.store.database import Database
    from batchpoint.store.migrations.upgrade import configuration

    await_first_migration(home)
    database = Database(home / "batchpoint.db", 5.0)
    with database.migrating() as connection:
        command.upgrade(configuration(connection), "0001")
    database.close()
    with file_of(home) as file:
        for sequence, (name, status, nonce, count) in enumerate(
            [("runs", "Running", "n", 2), ("new", "Preparing", "", 3), ("done", "Completed", "n", 4)]
        ):
            _insert_old_job(file, sequence, name, status, nonce, count)
        compute = json.dumps({"name": "cpu"})
        file.execute("INSERT INTO computes VALUES (?, 'cpu', ?)", (W, compute))


def _insert_old_job(file: sqlite3.Connection, sequence: int, name: str, status: str, nonce: str, count: int) -> None:
    document = {
        "name": name,
        "endpoint_name": "digits",
        "deployment_name": "first",
        "compute": "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/computes/cpu",
        "settings": {**OPEN, "instance_count": count},
    }
    values = (
        *(sequence, name, W, "digits", "first", status, 0, bool(nonce), nonce, 1, "host", 1, 0, 0, "", 0),
        *("{}", json.dumps(document)),
    )
    file.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(values))})", values)


def test_a_home_of_the_first_version_is_upgraded_with_its_open_jobs(tmp_path: Path) -> None:
    old_home(tmp_path / "old")
    open_store(tmp_path / "fresh").close()
    with open_store(tmp_path / "old") as store:
        assert schema_of(tmp_path / "old") == schema_of(tmp_path / "fresh")
        situation = store.situation(W, "cpu")
        assert [(one.number, one.job) for one in situation.instances] == [(0, "runs"), (1, "runs")]
        assert [(one.job, one.instances) for one in situation.waiting] == [("new", 3)]
        assert [one.name for one in store.placed_jobs()] == ["runs"]
        store.settle(W, "cpu", rule(), 0)
        assert "2 of 4 are used by runs" in found(store, "new").waiting_for
        fail(store, "runs")
        store.settle(W, "cpu", rule(), 0)
        assert found(store, "new").instances == (0, 1, 2)
