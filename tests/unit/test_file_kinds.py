"""The endings of files are written twice, for the worker and for us: they are the same, and stand in the guide."""

from pathlib import Path

import pytest

from batchpoint.entities.tables import file_kinds
from batchpoint.entities.tables.file_kinds import kind_of
from batchpoint_worker.tables import reading

GUIDE = Path(__file__).parents[2] / "docs/guide/mlflow.md"


def test_the_worker_reads_the_endings_that_we_know() -> None:
    known = {
        **{ending: ending[1:] for ending in (*reading.SEPARATORS, ".json")},
        **dict.fromkeys(reading.JSON_LINES, "jsonl"),
        **dict.fromkeys(reading.PARQUET, "parquet"),
        **dict.fromkeys(reading.ARROW, "arrow"),
        **dict.fromkeys(reading.IMAGES, "image"),
    }
    assert known == file_kinds.KINDS
    assert file_kinds.PACKED == reading.PACKED


@pytest.mark.parametrize("ending", [*file_kinds.KINDS, *file_kinds.PACKED])
def test_the_guide_names_every_ending(ending: str) -> None:
    assert ending.removeprefix(".") in GUIDE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b.csv", ("csv", "")),
        ("B.CSV.GZ", ("csv", "gzip")),
        ("x.ndjson.xz", ("jsonl", "xz")),
        ("x.gz", ("", "gzip")),
        ("x.txt", ("", "")),
        (".csv", ("", "")),
    ],
)
def test_a_name_says_what_a_file_is_and_how_it_is_packed(name: str, kind: tuple[str, str]) -> None:
    assert kind_of(name) == kind
