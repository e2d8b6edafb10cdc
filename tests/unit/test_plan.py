"""The frozen plan: which items make which mini-batch, and that a second driver reads what the first one wrote."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.engine.preparation import plan as plans
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import Plan, read_plan, write_plan
from batchpoint.errors import SegmentCorrupt


def written(folder: Path, paths: list[bytes], size: int, root: str = "/in") -> Plan:
    return write_plan(folder / "plan.items", folder / "plan.json", root, paths, size)


def read(folder: Path) -> Plan | None:
    return read_plan(folder / "plan.items", folder / "plan.json")


def of(folder: Path, plan: Plan, piece: Piece) -> list[bytes]:
    """The paths of a piece as a worker reads them."""
    offset, length = plan.range(piece)
    *paths, rest = (folder / "plan.items").read_bytes()[offset : offset + length].split(b"\0")
    assert rest == b""
    return paths


def mini_batch(folder: Path, plan: Plan, index: int) -> list[bytes]:
    return of(folder, plan, Piece(index, plan.first_item(index), plan.size(index)))


@given(paths=st.lists(st.binary(min_size=1).filter(lambda name: b"\0" not in name), min_size=1), size=st.integers(1, 9))
def test_every_item_is_in_one_mini_batch_in_order(
    tmp_path_factory: pytest.TempPathFactory, paths: list[bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    plan = written(folder, paths, size)
    assert plan.mini_batches == -(-len(paths) // size)
    assert [path for index in range(plan.mini_batches) for path in mini_batch(folder, plan, index)] == paths
    assert [plan.size(index) for index in range(plan.mini_batches)] == [
        len(mini_batch(folder, plan, index)) for index in range(plan.mini_batches)
    ]
    assert [plan.first_item(index) for index in range(plan.mini_batches)] == list(range(0, len(paths), size))
    assert read(folder) == plan


@given(count=st.integers(1, 25), size=st.integers(1, 9), data=st.data())
def test_any_range_of_a_mini_batch_can_be_handed_out(
    tmp_path_factory: pytest.TempPathFactory, count: int, size: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    paths = [b"x" * (number % 7) + b"%d" % number for number in range(count)]
    plan = written(folder, paths, size)
    index = data.draw(st.integers(0, plan.mini_batches - 1))
    first = plan.first_item(index) + data.draw(st.integers(0, plan.size(index) - 1))
    items = data.draw(st.integers(1, plan.first_item(index) + plan.size(index) - first))
    assert of(folder, plan, Piece(index, first, items)) == paths[first : first + items]
    assert plan.item(first) == paths[first]
    assert [path for each in range(plan.mini_batches) for path in plan.paths(each)] == paths


def test_only_the_last_mini_batch_is_short(tmp_path: Path) -> None:
    plan = written(tmp_path, [b"%d" % number for number in range(25)], 10)
    assert [plan.size(index) for index in range(plan.mini_batches)] == [10, 10, 5]


def test_without_a_header_there_is_no_plan(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    written(tmp_path, [b"a", b"b"], 1)
    (tmp_path / "plan.json").unlink()
    assert read(tmp_path) is None, "the header is written last: without it the items may be half a list"


@pytest.mark.parametrize("damage", [b"a\0c\0", b"a\0", b"", b"a\0b\0c\0"])
def test_a_plan_that_was_changed_is_refused(tmp_path: Path, damage: bytes) -> None:
    written(tmp_path, [b"a", b"b"], 1)
    (tmp_path / "plan.items").write_bytes(damage)
    with pytest.raises(SegmentCorrupt, match="plan"):
        read(tmp_path)


def test_a_plan_whose_items_are_lost_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [b"a", b"b"], 1)
    (tmp_path / "plan.items").unlink()
    with pytest.raises(SegmentCorrupt, match="plan"):
        read(tmp_path)


def test_the_path_of_an_item_is_told_as_text_that_can_be_stored(tmp_path: Path) -> None:
    names = [b"a b/c\n.png", os.fsencode("\U0001f600"), b"\xff\xfe.txt"]
    plan = written(tmp_path, names, 1)
    told = [plan.path(index) for index in range(3)]
    assert told == ["/in/a b/c\n.png", "/in/\U0001f600", "/in/\\udcff\\udcfe.txt"]
    for text in told:
        text.encode("utf-8")


def test_absolute_paths_need_no_root(tmp_path: Path) -> None:
    plan = written(tmp_path, [b"/data/one.png"], 1, root="")
    assert plan.path(0) == "/data/one.png"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("block", [1, 4, 5, 11, 1000])
def test_a_plan_is_cut_the_same_wherever_its_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, block: int
) -> None:
    monkeypatch.setattr(plans, "_BLOCK_BYTES", block)
    monkeypatch.setattr(plans, "_AT_ONCE", block)
    paths = [b"x" * (1 + number % 5) for number in range(23)]
    plan = written(tmp_path, paths, size)
    assert read(tmp_path) == plan
    assert plan.items == len(paths)
    cut = [mini_batch(tmp_path, plan, index) for index in range(plan.mini_batches)]
    assert cut == [paths[first : first + size] for first in range(0, len(paths), size)]
