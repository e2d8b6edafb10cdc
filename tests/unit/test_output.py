"""Gathering and publishing: mini-batch order, checked bytes, and never a byte of anybody else's file changed."""

import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpoint.engine.publishing import output
from batchpoint.errors import OutputAlreadyExists, OutputUnwritable, SegmentCorrupt
from batchpoint.storage import atomic
from batchpoint.storage.atomic import aside_path
from batchpoint.store.records import LedgerRow, Part

JOB = "batchjob-1"


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    folder = tmp_path / "seg"
    folder.mkdir()
    return folder


def row(mini_batch: int, segments: Path, *texts: bytes, segment: str = "0.1.n.0") -> LedgerRow:
    """A row whose parts are appended to a segment now."""
    parts = []
    for text in texts:
        with (segments / segment).open("ab") as file:
            parts.append(Part(segment, file.tell(), len(text), zlib.crc32(text)))
            file.write(text)
    return LedgerRow(mini_batch, mini_batch, 1, 1, 0, len(texts), 1, tuple(parts))


def lost(mini_batch: int) -> LedgerRow:
    return LedgerRow(mini_batch, mini_batch, 1, 0, 1, 0, 3, (), "ScriptRaised", "ValueError: x")


def test_parts_are_gathered_in_the_order_of_the_rows(segments: Path, tmp_path: Path) -> None:
    second = row(1, segments, b"b\n")
    first = row(0, segments, b"a1\n", b"a2\n")
    elsewhere = row(2, segments, b"c\n", segment="0.2.m.5")
    final = tmp_path / "deep" / "out" / "predictions.csv"
    published = output.gather([first, second, lost(7), elsewhere], segments, final, JOB)
    assert final.read_bytes() == b"a1\na2\nb\nc\n"
    assert published == output.Published(hashlib.sha256(final.read_bytes()).hexdigest(), 10)
    assert list(final.parent.iterdir()) == [final]


def test_no_rows_are_an_empty_file(segments: Path, tmp_path: Path) -> None:
    final = tmp_path / "out"
    assert output.gather([lost(0), row(1, segments, b"")], segments, final, JOB).length == 0
    assert final.read_bytes() == b""


def test_a_large_output_that_is_replaced_gives_signs_of_life_after_its_last_row(
    segments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(output, "_SYNC_BYTES", 2)
    final, signs, synced = tmp_path / "f", list[int](), list[int]()
    final.write_bytes(b"first")
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    rows = [row(number, segments, b"a\n") for number in range(5)]
    own = [hashlib.sha256(b"first").hexdigest()]
    output.gather(rows, segments, final, JOB, own=own, alive=lambda: signs.append(1))
    assert len(signs) >= len("first") * 2 + len(b"a\n" * 5) * 2, "both are read"
    assert synced == [2, 4, 6, 8, 10], "the last sync has little to do"
    assert final.read_bytes() == b"a\n" * 5


def test_gathering_again_changes_nothing(segments: Path, tmp_path: Path) -> None:
    rows, final = [row(0, segments, b"a\n")], tmp_path / "out" / "f"
    first = output.gather(rows, segments, final, JOB)
    inode = final.stat().st_ino
    assert output.gather(rows, segments, final, JOB) == first
    assert final.stat().st_ino == inode and list(final.parent.iterdir()) == [final]


@pytest.mark.parametrize("theirs", [b"", b"theirs", b"a\nb"])
def test_a_file_of_somebody_else_is_left_alone(segments: Path, tmp_path: Path, theirs: bytes) -> None:
    final = tmp_path / "out" / "f"
    final.parent.mkdir()
    final.write_bytes(theirs)
    with pytest.raises(OutputAlreadyExists, match=str(final)):
        output.gather([row(0, segments, b"a\n")], segments, final, JOB)
    assert final.read_bytes() == theirs and list(final.parent.iterdir()) == [final]


def test_a_folder_or_a_dangling_link_at_the_place_of_the_output_is_left_alone(segments: Path, tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    for final in (folder, link):
        assert output.is_taken(final)
        with pytest.raises(OutputAlreadyExists):
            output.gather([row(0, segments, b"a\n")], segments, final, JOB)
    assert not (tmp_path / "nowhere").exists() and not any(folder.iterdir())


def flipped(segment: Path) -> None:
    content = bytearray(segment.read_bytes())
    content[3] ^= 1
    segment.write_bytes(content)


def linked(segment: Path) -> None:
    segment.symlink_to(segment.rename(segment.with_name("moved")))


def truncated(segment: Path) -> None:
    os.truncate(segment, 5)


@pytest.mark.parametrize("damage", [flipped, linked, truncated, Path.unlink])
def test_bytes_that_are_not_what_was_scored_are_never_published(segments: Path, tmp_path: Path, damage: object) -> None:
    rows = [row(0, segments, b"one\n"), row(1, segments, b"two\n")]
    damage(segments / "0.1.n.0")  # type: ignore[operator]
    final = tmp_path / "out" / "f"
    with pytest.raises(SegmentCorrupt, match=r"0\.1\.n\.0"):
        output.gather(rows, segments, final, JOB)
    assert not any(final.parent.iterdir())


def test_a_part_larger_than_a_block_is_copied_whole(segments: Path, tmp_path: Path) -> None:
    large = os.urandom(output.BLOCK_BYTES) + b"\n" + os.urandom(100)
    rows = [row(0, segments, b"x\n"), row(1, segments, large), row(2, segments, b"y\n")]
    final = tmp_path / "f"
    published = output.gather(rows, segments, final, JOB)
    assert final.read_bytes() == b"x\n" + large + b"y\n"
    assert published.sha256 == hashlib.sha256(final.read_bytes()).hexdigest()


def test_what_a_killed_driver_left_beside_the_output_is_removed(segments: Path, tmp_path: Path) -> None:
    final = tmp_path / "out" / "f"
    rows = [row(0, segments, b"a\n")]
    final.parent.mkdir()
    half = aside_path(final.parent, "batchjob-1")
    half.write_bytes(b"a")
    other = aside_path(final.parent, "batchjob-2")
    other.write_bytes(b"of a job that still runs")
    output.gather(rows, segments, final, JOB)
    assert sorted(final.parent.iterdir()) == sorted([final, other])


# ---- before anything is scored ------------------------------------------------------------------------------------


def test_a_place_that_nothing_can_be_written_to_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with pytest.raises(OutputUnwritable, match="file"):
            output.refuse_unwritable(folder)
    output.refuse_unwritable(tmp_path)
    output.refuse_unwritable(tmp_path / "to" / "be" / "made")
    assert not (tmp_path / "to").exists()


# ---- what scripts write themselves --------------------------------------------------------------------------------


@pytest.fixture
def other_file_system() -> Iterator[Path]:
    """A folder on another file system, where the machine has one in memory."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def staged(tmp_path: Path) -> Path:
    staging = tmp_path / "staging"
    (staging / "a" / "b").mkdir(parents=True)
    (staging / "a" / "b" / "one.json").write_text("1")
    (staging / "two.json").write_text("2")
    return staging


def test_staged_files_are_published_with_their_folders(tmp_path: Path) -> None:
    staging, folder = staged(tmp_path), tmp_path / "out"
    assert output.publish_folder(staging, folder, JOB) == 2
    assert (folder / "a/b/one.json").read_text() == "1" and (folder / "two.json").read_text() == "2"


def test_staged_files_reach_another_file_system(tmp_path: Path, other_file_system: Path) -> None:
    staging = staged(tmp_path)
    assert output.publish_folder(staging, other_file_system / "out", JOB) == 2
    found = sorted(path for path in other_file_system.rglob("*") if path.is_file())
    assert found == [other_file_system / "out/a/b/one.json", other_file_system / "out/two.json"]
    assert [path.read_text() for path in found] == ["1", "2"]


def test_publishing_goes_on_where_a_killed_driver_stopped(tmp_path: Path, other_file_system: Path) -> None:
    for folder in (tmp_path / "out", other_file_system / "out"):
        staging = staged(tmp_path)
        output.publish_folder(staging, folder, JOB)
        (staging / "two.json").write_text("2")  # published, and not yet removed here
        (staging / "three.json").write_text("3")
        assert output.publish_folder(staging, folder, JOB) == 2
        assert (folder / "two.json").read_text() == "2" and (folder / "three.json").read_text() == "3"
        shutil.rmtree(staging)


def test_a_staged_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    staging, folder = staged(tmp_path), tmp_path / "out"
    folder.mkdir()
    (folder / "two.json").write_text("theirs")
    with pytest.raises(OutputAlreadyExists, match=r"two\.json"):
        output.publish_folder(staging, folder, JOB)
    assert [path.name for path in folder.rglob("*")] == ["two.json"], "all of them or none"
    assert (folder / "two.json").read_text() == "theirs"


def test_a_staged_link_is_published_as_the_file_it_leads_to(tmp_path: Path) -> None:
    staging, folder = staged(tmp_path), tmp_path / "out"
    (staging / "latest.json").symlink_to("two.json")
    output.publish_folder(staging, folder, JOB)
    assert (folder / "latest.json").read_text() == "2" and not (folder / "latest.json").is_symlink()


def test_a_staged_file_with_the_name_of_the_gathered_one_is_refused(tmp_path: Path) -> None:
    staging, folder = staged(tmp_path), tmp_path / "out"
    output.refuse_clashes(staging, folder, [folder / "predictions.csv"])
    with pytest.raises(OutputAlreadyExists, match="output_file_name"):
        output.refuse_clashes(staging, folder, [folder / "two.json"])


def test_nothing_staged_makes_no_folder(tmp_path: Path) -> None:
    assert output.publish_folder(tmp_path / "no staging", tmp_path / "out", JOB) == 0
    assert not (tmp_path / "out").exists()
