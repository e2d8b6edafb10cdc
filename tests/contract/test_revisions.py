"""The next revision of a job: what it takes over, who may write, and what it is refused for. SQLite and memory."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchpoint.entities.job import Job, JobError, JobStatus, Progress
from batchpoint.errors import Fenced, ResourceConflict
from batchpoint.store.memory import MemoryLedger
from batchpoint.store.records import Claimed, Fence, JobLedger, RequestKey
from batchpoint.store.store import Store
from tests.contract.made import W, failed, job, row


def claim(store: JobLedger, name: str, nonce: str) -> Claimed:
    claimed = store.claim(name, store.epoch_of(name), nonce, "host", 1)
    assert claimed is not None
    return claimed


def completed(store: JobLedger, name: str) -> Fence:
    """Drives the job to Completed with one mini-batch that failed; answers the fence of its driver."""
    fence = claim(store, name, "n1").fence
    store.start(fence, 2, 20)
    store.commit(fence, [row(0), failed(1)], Progress())
    store.freeze(fence)
    store.complete(fence, "a" * 64, 10, Progress(items=20, items_failed=10), (), {})
    return fence


@pytest.fixture(params=["sqlite", "memory"])
def ended(request: pytest.FixtureRequest) -> tuple[JobLedger, Fence]:
    ledger: JobLedger
    if request.param == "sqlite":
        store: Store = request.getfixturevalue("store")
        store.create_job(W, job("j"))
        ledger = store
    else:
        ledger = MemoryLedger([job("j")])
    return ledger, completed(ledger, "j")


def reopen(ledger: JobLedger) -> Job:
    settings = job("j").settings.model_copy(update={"scoring_script": "mended.py"})
    if isinstance(ledger, MemoryLedger):
        return ledger.reopen("j", settings)
    assert isinstance(ledger, Store)
    return ledger.reopen_job(W, "j", settings, {"batchpoint.redriven_with": "green"})


def test_a_revision_begins_with_what_was_scored_well(ended: tuple[JobLedger, Fence]) -> None:
    ledger, _ = ended
    begun = reopen(ledger)
    assert (begun.status, begun.revision, begun.settings.scoring_script) == (JobStatus.PREPARING, 1, "mended.py")
    assert (ledger.ledger("j", 1), ledger.ledger("j", 0)) == ([row(0)], [row(0), failed(1)])
    claimed = claim(ledger, "j", "n2")
    assert (claimed.fence.revision, claimed.fence.epoch, claimed.replaces) == (1, 2, "a" * 64)
    assert claimed.driver_deaths == 0, "nobody died"
    ledger.start(claimed.fence, 2, 20)
    assert ledger.commit(claimed.fence, [row(1, segment="1.2.n2.0")], Progress()) == {(1, 0)}
    ledger.freeze(claimed.fence)
    ledger.complete(claimed.fence, "b" * 64, 20, Progress(items=20), (), {})
    assert ledger.output_of("j") == ("b" * 64, 20)


def test_rows_that_cannot_be_kept_are_taken_out_before_the_revision_starts_and_never_later(
    ended: tuple[JobLedger, Fence],
) -> None:
    ledger, before = ended
    reopen(ledger)
    fence = claim(ledger, "j", "n2").fence
    with pytest.raises(Fenced):
        ledger.void(before, [row(0)])
    assert ledger.ledger("j", 1) == [row(0)]
    for _ in range(2):
        ledger.void(fence, [row(0)])
        assert (ledger.ledger("j", 1), ledger.ledger("j", 0)) == ([], [row(0), failed(1)])
    ledger.start(fence, 2, 20)
    ledger.commit(fence, [row(0)], Progress())
    with pytest.raises(Fenced):
        ledger.void(fence, [row(0)])
    assert ledger.ledger("j", 1) == [row(0)]


def test_a_driver_of_an_earlier_revision_can_write_nothing(ended: tuple[JobLedger, Fence]) -> None:
    ledger, before = ended
    reopen(ledger)
    for write in (
        lambda: ledger.beat(before, Progress()),
        lambda: ledger.commit(before, [row(1)], Progress()),
        lambda: ledger.complete(before, "c" * 64, 1, Progress(), (), {}),
        lambda: ledger.fail(before, JobError(code="x", message="x"), Progress(), ()),
    ):
        with pytest.raises(Fenced):
            write()
    assert ledger.ledger("j", 1) == [row(0)]


def test_a_job_that_has_not_ended_has_no_next_revision(ended: tuple[JobLedger, Fence]) -> None:
    ledger, _ = ended
    reopen(ledger)
    with pytest.raises(ResourceConflict, match="only a job that has ended"):
        reopen(ledger)


def test_an_output_stays_replaceable_when_a_revision_fails(ended: tuple[JobLedger, Fence]) -> None:
    ledger, _ = ended
    reopen(ledger)
    ledger.fail(claim(ledger, "j", "n2").fence, JobError(code="x", message="x"), Progress(), ())
    assert reopen(ledger).revision == 2
    assert claim(ledger, "j", "n3").replaces == "a" * 64


def test_the_lines_of_a_job_restore_it_with_its_rows() -> None:
    ledger = MemoryLedger([job("j")])
    completed(ledger, "j")
    restored = MemoryLedger()
    assert restored.restore(ledger.lines("j")) == ledger.job("j")
    assert restored.ledger("j", 0) == ledger.ledger("j", 0)
    assert (restored.epoch_of("j"), restored.output_of("j")) == (1, ("a" * 64, 10))
    reopen(ledger)
    half = MemoryLedger()
    assert half.restore(ledger.lines("j")).status is JobStatus.CANCELED, "its process is gone"
    assert half.ledger("j", 1) == [row(0)]
    for other in (["torn {"], [], ["[1]"], ["{}"], [next(ledger.lines("j")), "{}"], [next(ledger.lines("j")), "[1]"]):
        with pytest.raises(ValueError, match=r"Expecting|not the lines of a job|zip"):
            MemoryLedger().restore(other)
    assert json.loads(next(ledger.lines("j")))["job"]["name"] == "j"


def test_a_revision_runs_on_another_compute_and_waits_there(store: Store) -> None:
    store.create_job(W, job("j").model_copy(update={"compute": "azureml:old"}))
    completed(store, "j")
    begun = store.reopen_job(W, "j", job("j").settings, {}, "azureml:new")
    assert begun.compute == "azureml:new" and store.placed_jobs() == []
    assert [one.job for one in store.situation(W, "new").waiting] == ["j"]
    assert store.situation(W, "old").waiting == ()


def test_the_same_key_begins_one_revision_and_a_pruned_job_none(store: Store) -> None:
    store.create_job(W, job("j"))
    completed(store, "j")
    key = RequestKey("k", "asks", "mine")
    assert store.reopen_job(W, "j", job("j").settings, {}, None, key).revision == 1
    assert store.reopen_job(W, "j", job("j").settings, {}, None, key).revision == 1
    store.fail(claim(store, "j", "n2").fence, JobError(code="x", message="x"), Progress(), ())
    assert store.mark_pruned("j", datetime.now(UTC))
    with pytest.raises(ResourceConflict, match="removed to make room"):
        store.reopen_job(W, "j", job("j").settings, {})


def test_two_jobs_never_write_to_one_output_whatever_their_revision(store: Store, tmp_path: Path) -> None:
    store.create_job(W, job("j", output_folder=str(tmp_path)))
    completed(store, "j")
    store.create_job(W, job("other", output_folder=str(tmp_path)))
    with pytest.raises(ResourceConflict, match="Job other is about to write"):
        store.reopen_job(W, "j", job("j", output_folder=str(tmp_path)).settings, {})
