"""T-C10 and T-C12, bytes that are not those that were scored, or may not be: never published, and scored again."""

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from batchpoint.engine import run
from batchpoint.entities.job import JobStatus
from batchpoint.errors import StoreUnavailable
from batchpoint.store.records import LedgerRow
from tests.process.driver_deaths import Patient
from tests.process.engine_jobs import Engine, W, good
from tests.process.fork_server import ForkServer

Damage = Callable[[Path, int, int], None]


def flipped(where: float) -> Damage:
    """One bit of a byte of the extent: 0 its first one, 1 its last one."""

    def flip(segment: Path, offset: int, length: int) -> None:
        content = bytearray(segment.read_bytes())
        content[offset + round(where * (length - 1))] ^= 0x10
        segment.write_bytes(content)

    return flip


def cut(segment: Path, offset: int, length: int) -> None:
    segment.write_bytes(segment.read_bytes()[: offset + length - 1])


def zeroed(segment: Path, offset: int, length: int) -> None:
    content = segment.read_bytes()
    segment.write_bytes(content[:offset] + bytes(length) + content[offset + length :])


def emptied(segment: Path, offset: int, length: int) -> None:
    segment.write_bytes(b"")


def removed(segment: Path, offset: int, length: int) -> None:
    segment.unlink()


DAMAGES: dict[str, Damage] = {
    "the first byte": flipped(0),
    "a byte in the middle": flipped(0.5),
    "the last byte": flipped(1),
    "the end cut off": cut,
    "a page of zeros": zeroed,
    "an empty file": emptied,
    "no file": removed,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_segment_fails_the_job_and_resuming_scores_again_what_is_damaged_and_nothing_else(
    engine: Engine, fork_server: ForkServer, damage: Damage
) -> None:
    patient = Patient(engine, fork_server)
    patient.dies_at("D13")
    before = patient.ended()
    part = before.rows[3].parts[0]
    damage(before.folder.segments / part.segment, part.offset, part.length)
    affected = unreadable(before.rows, before.folder.segments)
    assert before.rows[3] in affected

    failed = patient.carry_on()
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "SegmentCorrupt")
    assert part.segment in failed.error.message and "Resume the job" in failed.error.message
    assert not failed.output.exists()

    engine.store.reopen_job(W, "job", failed.job.settings, {})
    calls = len(failed.called())
    patient.before = []
    patient.carry_on()
    done = patient.check()
    again = {name for call in done.called()[calls:] for name in call}
    assert again == {f"{row.first_item + n:03}.txt" for row in affected for n in range(row.items)}
    assert f"What was scored of {len(again)} items is damaged" in done.log("azureml/executionlogs.txt")


def test_a_segment_whose_sync_failed_is_never_synced_again_nor_referred_to(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-C12: the system may have thrown the bytes away, and answers the next sync as if nothing had been."""
    poisoned: list[Path] = []
    really = run.fsync_file

    def sync(path: Path) -> None:
        assert path not in poisoned, "the second sync would lie"
        if path.parent.name == "seg" and len(poisoned) < 2:
            poisoned.append(path)
            raise OSError(errno.EIO, "Input/output error")
        really(path)

    monkeypatch.setattr(run, "fsync_file", sync)
    engine.job("good.py", engine.items(8))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"cannot be synced.*Input/output"):
            engine.drive("job")
    done = engine.drive("job")
    assert done.lines == good([f"{number:03}.txt" for number in range(8)])
    assert len(poisoned) == 2
    assert not {part.segment for row in done.rows for part in row.parts} & {path.name for path in poisoned}


def unreadable(rows: Sequence[LedgerRow], segments: Path) -> list[LedgerRow]:
    """Rows whose text is not there: told by what the script returns, not by any checksum."""
    found = []
    for row in rows:
        (part,) = row.parts
        path = segments / part.segment
        content = path.read_bytes()[part.offset : part.offset + part.length] if path.exists() else b""
        expected = "".join(f"{row.first_item + n:03}.txt: ok\n" for n in range(row.items))
        if content != expected.encode():
            found.append(row)
    return found
