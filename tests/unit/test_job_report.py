"""The tables of a job: whole lines, whatever users write into their errors and file names."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.observability.job_report import COLUMNS, FailedTry, JobReport, Scored

TIME = 1_637_000_000.25


def scored(mini_batch: int, process: str = "0/process000") -> Scored:
    return mini_batch, 1, process, TIME, 10, 9, 0.5, 0.4, 0.3, 10 * mini_batch


def raised(mini_batch: int, message: str, path: str = "0.png") -> FailedTry:
    told = (mini_batch, 2, "1/process000", TIME, 10, 0, 0.5, 0.4, 0.3, 0)
    return FailedTry(told, "RUN_EXCEPTION", "ScriptRaised", message, path)


def table(folder: Path, name: str = "processed_mini-batches") -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_line_has_every_column(tmp_path: Path) -> None:
    report = JobReport(tmp_path)
    report.scored(scored(4))
    report.failed(raised(5, "ValueError: no"))
    report.flush()
    assert [tuple(line) for line in table(tmp_path)] == [COLUMNS, COLUMNS]
    assert list(table(tmp_path)[0].values()) == [
        *("4", "1", "0/process000", "2021-11-15T18:13:20.250Z", "10", "9", "1"),
        *("0.500000", "0.400000", "0.300000", "RUN_DONE", "", "", "items 40-49"),
    ]
    assert list(table(tmp_path)[1].values())[-4:] == [
        "RUN_EXCEPTION",
        "ScriptRaised",
        "ValueError: no",
        "items 0-9, from 0.png",
    ]


@given(message=st.text(max_size=200), path=st.text(max_size=50))
def test_what_users_write_stays_in_its_cell(tmp_path_factory: pytest.TempPathFactory, message: str, path: str) -> None:
    folder = tmp_path_factory.mktemp("report")
    report = JobReport(folder)
    report.failed(raised(0, message, path))
    report.scored(scored(1))
    report.flush()
    first, second = table(folder)
    assert second["Mini-batch Id"] == "1"
    for cell, text in ((first["Error Message"], message), (first["Mini-batch Detail"], f"items 0-9, from {path}")):
        assert cell.lstrip("'") == text.lstrip("'")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_driver_goes_on_with_the_sums_of_the_one_before(tmp_path: Path) -> None:
    first = JobReport(tmp_path)
    for number in range(3):
        first.scored(scored(number, f"0/process00{number % 2}"))
    first.flush()
    with (tmp_path / "processed_mini-batches.csv").open("a") as file:
        file.write("3,1,0/process000,2021-")  # killed while it wrote
    second = JobReport(tmp_path)
    second.go_on()
    second.failed(raised(3, "=cmd|' /C calc'!A0"))
    second.flush()
    second.summarise()
    assert [line["Mini-batch Id"] for line in table(tmp_path)] == ["0", "1", "2", "3", "3"]
    by_process = {line["Process"]: line for line in table(tmp_path, "process_summary")}
    assert by_process["0/process000"]["Mini-batches"] == "2" and by_process["0/process001"]["Mini-batches"] == "1"
    nodes = {line["Node"]: line for line in table(tmp_path, "node_summary")}
    assert list(nodes["0"].values()) == ["0", "3", "0", "30", "27", "3", "1.200000", "0.900000"]
    assert (nodes["1"]["Failed Tries"], nodes["1"]["Mini-batches"]) == ("1", "0")


def test_what_was_not_flushed_is_not_lost_to_a_full_disk_alone(tmp_path: Path) -> None:
    report = JobReport(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("no folder can be made here")
    report.scored(scored(0))
    report.flush()
    report.summarise()
    assert (tmp_path / "file").read_text() == "no folder can be made here"
