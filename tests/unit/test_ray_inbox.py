"""Input that travels to a node lies there until the piece that it is for was answered."""

import os
from pathlib import Path

from batchpoint.compute.ray.frames import Unframer
from batchpoint.compute.ray.freight import Input
from batchpoint.compute.ray.node.inbox import Inbox
from batchpoint.engine import messages
from batchpoint.engine.preparation.pieces import Piece
from batchpoint.engine.preparation.plan import write_plan


def test_two_pieces_of_one_mini_batch_may_be_with_one_worker(tmp_path: Path) -> None:
    source, node = tmp_path / "in", tmp_path / "node"
    source.mkdir()
    node.mkdir()
    (node / "plan").touch()
    names = [b"%d" % number for number in range(6)]
    for name in names:
        (source / os.fsdecode(name)).write_bytes(name)
    plan = write_plan(tmp_path / "plan.items", tmp_path / "plan.json", str(source), names, 6)
    freight, inbox = Input(), Inbox(node / "memory", node / "disk", node / "plan")
    inbox.admit(7)
    start = {"t": "Start", "input_root": str(source), "plan_items": str(plan.file)}
    work = [
        [0, attempt, *piece[1:], *plan.range(piece)] for attempt, piece in ((4, Piece(0, 0, 2)), (5, Piece(0, 3, 3)))
    ]
    unframer = Unframer()
    for line in (start, {"t": "Score", "work": work}):
        for frame in freight.frames(7, messages.line(line)):
            for header, raw in unframer.feed(frame):
                inbox.take(header, raw)
    there = Path(inbox.root(7))
    assert sorted(os.listdir(there)) == ["0", "1", "3", "4", "5"]
    inbox.answered(7, 0, 4)
    assert sorted(os.listdir(there)) == ["3", "4", "5"]
    inbox.answered(7, 0, 5)
    assert os.listdir(there) == []
