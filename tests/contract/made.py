"""Jobs and ledger rows for tests of the store: valid, small, and different where a test asks for it."""

from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.store.records import LedgerRow, Part

W = "sub/group/space"
ELSEWHERE = "sub/group/other"


def job(name: str, endpoint: str = "digits", deployment: str = "first", output_folder: str = "") -> Job:
    """A job that waits for its driver."""
    settings = JobSettings(
        code_path="/code",
        scoring_script="score.py",
        input=Input(path="/images"),
        output_folder=output_folder or f"/out/{name}",
    )
    return Job(name=name, endpoint_name=endpoint, deployment_name=deployment, settings=settings)


def row(mini_batch: int, first_item: int = 0, items: int = 10, segment: str = "1.n.0", attempt: int = 1) -> LedgerRow:
    """A mini-batch, or a range of it, that succeeded."""
    part = Part(segment=segment, offset=100 * mini_batch + first_item, length=10 * items, crc=4294967295)
    return LedgerRow(
        mini_batch=mini_batch,
        first_item=first_item,
        items=items,
        succeeded=items,
        failed_items=0,
        rows=items,
        attempt=attempt,
        parts=(part,),
    )


def failed(mini_batch: int, reason: str = "ValueError: bad header", items: int = 10) -> LedgerRow:
    """A mini-batch that was given up on."""
    return LedgerRow(
        mini_batch=mini_batch,
        first_item=0,
        items=items,
        succeeded=0,
        failed_items=items,
        rows=0,
        attempt=3,
        parts=(),
        reason_code="ScriptRaised",
        reason=reason,
    )
