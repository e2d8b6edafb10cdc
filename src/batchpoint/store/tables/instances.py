"""Instances and those who wait for them: what the supervisor decides about a compute becomes rows, all or nothing.

``Store`` is made of it; ``allotment`` holds the rules. An instance is free as soon as its job's own row says that the
job has ended.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from batchpoint.entities.compute import Compute
from batchpoint.entities.job import JobError, JobStatus
from batchpoint.errors import ComputeDeleted
from batchpoint.store import lifecycle
from batchpoint.store.allotment import Decision, Instance, Limits, Situation, Waiting, lowest_free_gpus
from batchpoint.store.database import Database
from batchpoint.store.schema import computes, instances, jobs, waiting
from batchpoint.store.tables.jobs import ENDED, locked, save

_EndedAt = jobs.c.document["ended_at"].as_string()
#: Each instance with the job that was given it last, as far as that is still known.
_INSTANCES = (
    select(instances, jobs.c.status, jobs.c.endpoint, _EndedAt.label("ended_at"))
    .outerjoin(jobs, and_(jobs.c.name == instances.c.job, jobs.c.revision == instances.c.revision))
    .order_by(instances.c.workspace, instances.c.compute, instances.c.number)
)
#: Of a long queue only those who may be next are looked at, and those whom nobody has told anything yet.
_LOOKED_AT = 20
_SAME_WISH = (waiting.c.workspace, waiting.c.compute, waiting.c.endpoint, waiting.c.instance_count)
_QUEUE = (
    select(
        waiting,
        jobs.c.sequence,
        func.row_number().over(partition_by=_SAME_WISH, order_by=jobs.c.sequence).label("place"),
    )
    .join(jobs, and_(jobs.c.name == waiting.c.job, jobs.c.status.not_in(ENDED)))
    .subquery()
)
_WAITING = (
    select(_QUEUE)
    .where(or_(_QUEUE.c.place <= _LOOKED_AT, _QUEUE.c.is_next, _QUEUE.c.sentence == ""))
    .order_by(_QUEUE.c.workspace, _QUEUE.c.compute, _QUEUE.c.sequence)
)
_COMPUTES = select(computes)


class InstanceTable:
    """Who has which instance of a compute, and who waits for some."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def situations(self) -> list[Situation]:
        """Every compute with instances, with jobs that wait, or with a minimum of instances."""
        with self._database.reading() as connection:
            there = _by_compute(connection.execute(_INSTANCES))
            wanted = _by_compute(connection.execute(_WAITING))
            documents = {(row.workspace, row.name): row.document for row in connection.execute(_COMPUTES)}
        keeping = {place for place, document in documents.items() if document.get("min_instances")}
        places = sorted({*there, *wanted, *keeping})
        return [_situation(*at, documents.get(at), there.get(at, []), wanted.get(at, [])) for at in places]

    def situation(self, w: str, compute: str) -> Situation:
        """One compute; without limits if there is none of this name."""
        with self._database.reading() as connection:
            return _load(connection, w, compute)

    def settle(self, w: str, compute: str, decide: Callable[[Situation], Decision], gpus: int) -> Decision:
        """Carry out what ``decide`` says of the compute's situation, which is nobody else's meanwhile.

        ``gpus`` is how many the machine has. Answers what was decided.
        """
        with self._database.writing() as connection:
            situation = _load(connection, w, compute)
            decision = decide(situation)
            _change_idle(connection, situation, decision)
            for job, numbers in decision.grants.items():
                _place(connection, situation, job, numbers, gpus)
            for job in decision.hopeless:
                _give_up(connection, situation, job)
            _tell(connection, situation, decision)
        return decision


def _load(connection: Connection, w: str, compute: str) -> Situation:
    at = (w, compute)
    there = connection.execute(_INSTANCES.where(instances.c.workspace == w, instances.c.compute == compute)).all()
    wanted = connection.execute(_WAITING.where(_QUEUE.c.workspace == w, _QUEUE.c.compute == compute)).all()
    document = connection.scalar(
        select(computes.c.document).where(computes.c.workspace == w, computes.c.name == compute)
    )
    return _situation(*at, document, there, wanted)


def _situation(w: str, compute: str, document: Any, there: Sequence[Row[Any]], wanted: Sequence[Row[Any]]) -> Situation:
    return Situation(
        workspace=w,
        compute=compute,
        limits=None if document is None else _limits(Compute.model_validate(document)),
        instances=tuple(_instance(row) for row in there),
        waiting=tuple(Waiting(row.job, row.endpoint, row.instance_count, row.is_next, row.sentence) for row in wanted),
    )


def _limits(compute: Compute) -> Limits:
    return Limits(compute.min_instances, compute.max_instances, compute.idle_time_before_scale_down)


def _instance(row: Row[Any]) -> Instance:
    is_held = row.status is not None and row.status not in ENDED
    since = row.since.replace(tzinfo=UTC)
    if not is_held and row.ended_at:
        since = datetime.fromisoformat(row.ended_at)
    return Instance(
        number=row.number,
        node_id=row.node_id,
        job=row.job if is_held else "",
        status=row.status if is_held else "",
        endpoint=row.endpoint if is_held else "",
        since=since,
        gpus=tuple(row.gpus) if is_held else (),
    )


def _by_compute(rows: Iterable[Row[Any]]) -> dict[tuple[str, str], list[Row[Any]]]:
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in rows:
        found.setdefault((row.workspace, row.compute), []).append(row)
    return found


def _change_idle(connection: Connection, situation: Situation, decision: Decision) -> None:
    at = instances.c.workspace == situation.workspace, instances.c.compute == situation.compute
    if decision.removed:
        connection.execute(delete(instances).where(*at, instances.c.number.in_(decision.removed)))
    for number in decision.added:
        connection.execute(insert(instances).values(_row(situation, number, "", 0, ())))


def _place(connection: Connection, situation: Situation, job: str, numbers: tuple[int, ...], gpus: int) -> None:
    """The job has these instances from now on."""
    record = locked(connection, job, situation.workspace)
    settings = record.job.settings
    each = settings.max_concurrency_per_instance
    # A job that says itself which GPUs it sees is given none, and Ray gives its own.
    is_given_none = "CUDA_VISIBLE_DEVICES" in settings.environment_variables or settings.place.type == "ray"
    wanted = 0 if is_given_none else each * len(numbers)
    found = lowest_free_gpus(wanted, _gpus_in_use(connection) if gpus else (), gpus)
    save(connection, record, lifecycle.placed(record, numbers, found, datetime.now(UTC)))
    there = {one.number for one in situation.instances}
    for position, number in enumerate(numbers):
        row = _row(situation, number, job, record.job.revision, found[position * each : (position + 1) * each])
        if number in there:
            changes = {key: row[key] for key in ("job", "revision", "gpus", "since")}
            key = [instances.c[column] == row[column] for column in ("workspace", "compute", "number")]
            connection.execute(update(instances).where(*key).values(changes))
        else:
            connection.execute(insert(instances).values(row))
    connection.execute(delete(waiting).where(waiting.c.job == job))


def _gpus_in_use(connection: Connection) -> set[int]:
    """Of all computes: they share the machine."""
    return {gpu for row in connection.execute(_INSTANCES) for gpu in _instance(row).gpus}


def _row(situation: Situation, number: int, job: str, revision: int, gpus: Sequence[int]) -> dict[str, object]:
    return {
        "workspace": situation.workspace,
        "compute": situation.compute,
        "number": number,
        "node_id": f"node-{uuid.uuid4().hex[:12]}",
        "job": job,
        "revision": revision,
        "gpus": list(gpus),
        "since": datetime.now(UTC),
    }


def _give_up(connection: Connection, situation: Situation, job: str) -> None:
    record = locked(connection, job, situation.workspace)
    message = (
        f"Compute {situation.compute} was deleted while the job waited for {record.job.settings.instance_count} of its "
        "instances. Create it again, or name another one in the deployment; then invoke again."
    )
    error = JobError(code=ComputeDeleted.code, message=message)
    save(connection, record, lifecycle.fail_waiting(record, error, datetime.now(UTC)))


def _tell(connection: Connection, situation: Situation, decision: Decision) -> None:
    """In a few statements, however many wait."""
    at = waiting.c.workspace == situation.workspace, waiting.c.compute == situation.compute
    before = next((one.job for one in situation.waiting if one.is_next), "")
    if decision.next_job != before:
        connection.execute(update(waiting).where(*at, waiting.c.is_next).values(is_next=False))
        connection.execute(update(waiting).where(waiting.c.job == decision.next_job).values(is_next=True))
    for job, sentence in decision.sentences.items():
        connection.execute(update(waiting).where(waiting.c.job == job).values(sentence=sentence))
    if decision.sentences:
        untold = jobs.c.status == JobStatus.PREPARING.value
        queued = select(waiting.c.job).where(*at, waiting.c.sentence != "")
        connection.execute(update(jobs).where(untold, jobs.c.name.in_(queued)).values(status=JobStatus.QUEUED.value))
