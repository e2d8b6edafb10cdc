"""What the store forgets on purpose, and what it answers to whoever tidies up."""

import threading
from datetime import UTC, datetime

import pytest

from batchpoint.entities.assets import Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Input
from batchpoint.entities.job import Job, JobError, Progress
from batchpoint.errors import ResourceConflict, ResourceNotFound
from batchpoint.store.allotment import Decision
from batchpoint.store.records import Fence, RequestKey
from batchpoint.store.store import Store, open_store
from batchpoint.store.tables.retention import PRUNED, Coverage
from tests.contract.made import ELSEWHERE, W, job, row


def running(store: Store, name: str) -> Fence:
    """A job with 20 items, the first half of them scored."""
    store.create_job(W, job(name), RequestKey(f"key of {name}"))
    granted = store.claim(name, 0, "mine", "host", 7)
    assert granted
    store.start(granted.fence, 2, 20)
    store.commit(granted.fence, [row(0)], Progress(rows=10))
    return granted.fence


def failed(store: Store, name: str) -> None:
    store.fail(running(store, name), JobError(code="c", message="m"), Progress(), ())


def test_a_job_that_has_ended_is_forgotten_and_its_name_and_key_are_free(store: Store) -> None:
    failed(store, "j")
    store.delete_job(W, "j")
    assert store.find_job("j") is None and store.kept_jobs() == [] and store.coverage() == {}
    again = store.create_job(W, job("j"), RequestKey("key of j"))
    assert again.status == "Preparing" and store.ledger("j", 0) == []


def test_only_the_job_that_is_named_is_forgotten(store: Store) -> None:
    failed(store, "j1")
    failed(store, "j2")
    store.delete_job(W, "j1")
    assert [kept.job.name for kept in store.kept_jobs()] == ["j2"]
    assert len(store.ledger("j2", 0)) == 1
    assert store.create_job(W, job("j3"), RequestKey("key of j2")).name == "j2"


def test_a_job_that_has_not_ended_is_not_forgotten_and_the_way_to_end_it_is_named(store: Store) -> None:
    running(store, "j")
    with pytest.raises(ResourceConflict, match=r"j is Running; .* job cancel --name j"):
        store.delete_job(W, "j")
    assert len(store.ledger("j", 0)) == 1


def test_a_job_of_another_workspace_is_not_there(store: Store) -> None:
    failed(store, "j")
    with pytest.raises(ResourceNotFound):
        store.delete_job(ELSEWHERE, "j")
    assert store.find_job("j")


def test_a_job_stays_whole_when_its_folder_cannot_go(store: Store) -> None:
    failed(store, "j")
    before = store.find_job("j")

    def refuse() -> None:
        raise OSError("the folder is held")

    with pytest.raises(OSError, match="held"):
        store.delete_job(W, "j", refuse)
    assert store.find_job("j") == before and len(store.ledger("j", 0)) == 1


def test_what_was_pruned_stands_in_the_job_and_only_once_it_has_ended(store: Store) -> None:
    fence = running(store, "j")
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert not store.mark_pruned("j", moment)
    store.fail(fence, JobError(code="c", message="m"), Progress(), ())
    assert store.mark_pruned("j", moment) and store.mark_pruned("j", datetime(2027, 1, 1, tzinfo=UTC))
    found = store.find_job("j")
    assert found and found.properties == {PRUNED: "2026-01-02T00:00:00+00:00"}


def test_every_job_is_listed_with_what_its_ledger_covers(store: Store) -> None:
    running(store, "j1")
    store.create_job(ELSEWHERE, job("j2"))
    first, second = store.kept_jobs()
    assert (first.workspace, first.job.name, first.epoch, first.planned_items) == (W, "j1", 1, 20)
    assert (second.workspace, second.job.name, second.epoch, second.output_sha256) == (ELSEWHERE, "j2", 0, "")
    assert store.coverage() == {("j1", 0): Coverage(rows=1, items=10)}


def test_every_hash_in_a_document_counts_as_a_reference(store: Store) -> None:
    hashes = [digit * 64 for digit in "abcde"]
    store.put_asset(W, Model(name="m", version="1", path=f"/d/LocalUpload/{hashes[0]}/model"))
    store.archive_asset(W, Model, "m", "1", archived=True)
    store.put_asset(ELSEWHERE, DataAsset(name="d", version="1", path=f"azureml://x/LocalUpload/{hashes[1]}/in/"))
    settings = job("j").settings.model_copy(update={"input": Input(path=f"/d/{hashes[2]}/in"), "code_path": hashes[3]})
    store.create_job(W, Job(**{**dict(job("j")), "settings": settings}))
    assert store.referenced_hashes() == set(hashes[:4])
    store.request_cancel(W, "j")
    store.delete_job(W, "j")
    assert store.referenced_hashes() == set(hashes[:2])


def test_nobody_writes_while_the_store_is_still_and_everybody_reads(store: Store) -> None:
    wrote = threading.Event()

    def write() -> None:
        store.create_job(W, job("late"))
        wrote.set()

    writer = threading.Thread(target=write)
    with store.still():
        writer.start()
        assert not wrote.wait(0.2)
        assert store.find_job("late") is None and store.referenced_hashes() == set()
    writer.join()
    assert store.find_job("late")


def test_what_was_forgotten_is_forgotten_by_whoever_opens_the_home_next(store: Store) -> None:
    failed(store, "j")
    store.delete_job(W, "j")
    with open_store(store._database.path.parent) as other:
        assert other.find_job("j") is None


def test_an_instance_of_a_deleted_job_is_idle_and_not_taken_for_that_of_the_next_of_its_name(store: Store) -> None:
    store.put_compute(W, Compute(name="cpu"))

    def placed() -> Job:
        return store.create_job(W, job("j").model_copy(update={"compute": "cpu"}))

    placed()
    store.settle(W, "cpu", lambda situation: Decision(grants={"j": (0,)}), 0)
    assert [one.job for one in store.situation(W, "cpu").instances] == ["j"]
    failing = store.claim("j", 0, "mine", "host", 7)
    assert failing
    store.fail(failing.fence, JobError(code="c", message="m"), Progress(), ())
    idle = store.situation(W, "cpu").instances
    store.delete_job(W, "j")
    assert store.situation(W, "cpu").instances == idle and idle[0].job == ""
    placed()
    assert [one.job for one in store.situation(W, "cpu").instances] == [""]
