"""A whole job with a model and no script: files that do not fit cost themselves alone, and one execution each."""

from pathlib import Path

import pytest

from batchpoint.entities.job import JobStatus
from tests.process.engine_jobs import Ended, Engine
from tests.process.model_workers import flavours, made

GOOD = "a,b,c,d\n5,5,0,0\n-5,-5,0,0\n"
MISSING = "a,b,c\n1,2,3\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(flavours(), tmp_path_factory.mktemp("models"), "sklearn") / "sklearn"


def scored(engine: Engine, model: Path, **settings: object) -> Ended:
    source = engine.outside / "in"
    source.mkdir()
    for number in range(8):
        (source / f"{number}.csv").write_text(MISSING if number == 5 else GOOD)
    (source / "notes.txt").write_text("no table")
    chosen = {"scoring_script": "", "model_path": str(model), "python": flavours(), "mini_batch_size": 9, **settings}
    return engine.run("good.py", source, **chosen)  # type: ignore[arg-type]


def test_the_others_of_a_mini_batch_are_scored_without_the_files_that_do_not_fit(engine: Engine, model: Path) -> None:
    ended = scored(engine, model, error_threshold=2)
    assert ended.lines == [f"{row},{1 - row},{number}.csv" for number in (0, 1, 2, 3, 4, 6, 7) for row in (0, 1)]
    assert (ended.progress.items_succeeded, ended.progress.items_failed) == (7, 2)
    lost = {row.first_item: (row.reason_code, row.reason) for row in ended.rows if row.failed_items}
    assert {code for code, _ in lost.values()} == {"ItemRejected"}
    assert lost[5][1].startswith("5.csv: the model's signature wants the column 'd', which is not in the file")
    assert lost[8][1].startswith("notes.txt: no file of this kind (.txt) is read")
    # Executed as a whole, and then along the halves that hold them, never twice.
    assert max(row.attempt for row in ended.rows) <= 13
    assert ended.log("sys/node/0/process000.txt").count("is taken apart after 1 failed try:") == 1


def test_a_job_beyond_its_error_threshold_says_which_file_does_not_fit(engine: Engine, model: Path) -> None:
    ended = scored(engine, model, error_threshold=0)
    assert ended.status is JobStatus.FAILED
    assert ended.error.code == "ErrorThresholdExceeded"
    assert (
        "5.csv: the model's signature wants the column 'd'" in ended.error.message or "notes.txt" in ended.error.message
    )
