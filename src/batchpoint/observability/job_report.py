"""Writes the tables under ``logs/sys/job_report``: what was done with each mini-batch, and sums by process and node.

``JobLogs`` owns one. Lines gather in memory and go to the file when the driver commits, before the ledger knows their
mini-batches: whatever the ledger has, the table has too, also after the driver was killed.
"""

import contextlib
import csv
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

COLUMNS = (
    "Mini-batch Id",
    "Picked Count",
    "Process",
    "Process Start Time",
    "Total",
    "Succeeded",
    "Failed",
    "Elapsed Seconds",
    "Process Seconds",
    "Run Method Seconds",
    "Status",
    "Error Category",
    "Error Message",
    "Mini-batch Detail",
)
SUMMARY_COLUMNS = (
    "Mini-batches",
    "Failed Tries",
    "Total",
    "Succeeded",
    "Failed",
    "Process Seconds",
    "Run Method Seconds",
)
#: A cell that begins so would be computed by a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Characters kept of an error message.
_MESSAGE_MAX = 2000


#: A scored mini-batch, as a plain tuple because there may be a million of them: its number, how often it was picked,
#: ``<node>/<process>``, when it began (seconds since 1970), its items, those that succeeded, the seconds that it took
#: as the driver sees it, in the worker, and in run(), and the index of its first item.
Scored = tuple[int, int, str, float, int, int, float, float, float, int]


class FailedTry(NamedTuple):
    """A try that came to nothing."""

    #: The same as for a scored mini-batch; nothing succeeded.
    told: Scored
    #: RUN_EXCEPTION or RUN_TIMEOUT.
    status: str
    error_category: str
    error_message: str
    #: Path of the mini-batch's first item.
    first_path: str


@dataclass(slots=True)
class _Sums:
    mini_batches: int = 0
    failed_tries: int = 0
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    process_s: float = 0.0
    run_s: float = 0.0

    def add(self, items: int, succeeded: int, process_s: float, run_s: float) -> None:
        self.total += items
        self.succeeded += succeeded
        self.failed += items - succeeded
        self.process_s += process_s
        self.run_s += run_s

    def join(self, other: "_Sums") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def cells(self) -> list[object]:
        numbers = [getattr(self, name) for name in self.__slots__]
        return [f"{number:.6f}" if isinstance(number, float) else number for number in numbers]


class JobReport:
    """The tables of one job, which every driver of it goes on with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processed = folder / "processed_mini-batches.csv"
        self._waiting: list[Scored] = []
        self._sums: dict[str, _Sums] = {}
        #: The last second that was written out, and how it reads.
        self._second, self._moment = -1, ""

    def go_on(self) -> None:
        """Take what earlier drivers wrote into the sums."""
        with contextlib.suppress(OSError), self._processed.open("rb") as file:
            file.seek(-min(1, file.seek(0, io.SEEK_END)), io.SEEK_END)
            if file.read(1) not in (b"", b"\n"):
                self._write("\n")  # its driver died in the middle of a line
        with (
            contextlib.suppress(OSError),
            self._processed.open(encoding="utf-8", errors="backslashreplace", newline="") as lines,
        ):
            for process, status, *numbers in _readable(lines):
                sums = self._sum(process)
                sums.mini_batches += status == "RUN_DONE"
                sums.failed_tries += status != "RUN_DONE"
                items, succeeded, process_s, run_s = map(float, numbers)
                sums.add(int(items), int(succeeded), process_s, run_s)

    def scored(self, told: Scored) -> None:
        """Take a line for the table; ``flush`` writes it."""
        self._waiting.append(told)

    def failed(self, one: FailedTry) -> None:
        """Write the line of a failed try, after those that wait."""
        self.flush()
        _, _, process, _, items, succeeded, _, process_s, run_s, _ = one.told
        message, detail = one.error_message[:_MESSAGE_MAX], f"{_items(one.told)}, from {one.first_path}"
        cells = one.status, one.error_category, _cell(message), _cell(detail)
        self._write(f"{self._head(one.told)},{_csv([cells])}")
        sums = self._sum(process)
        sums.failed_tries += 1
        sums.add(items, succeeded, process_s, run_s)

    def sentences(self) -> dict[str, list[str]]:
        """What waits, for each process."""
        told: dict[str, list[str]] = {}
        for number, _, process, _, items, succeeded, _, process_s, run_s, _ in self._waiting:
            told.setdefault(process, []).append(
                f"mini-batch {number} ({items} item{'s' * (items != 1)}): {succeeded} succeeded, {process_s:.6f} s, "
                f"of which run() {run_s:.6f} s"
            )
        return told

    def flush(self) -> None:
        """Write what waits. A disk that takes no more costs lines."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        # A success has nothing in it that a csv writer would quote.
        self._write("".join([f"{self._head(one)},RUN_DONE,,,{_items(one)}\n" for one in waiting]))
        by_process: dict[str, list[Scored]] = {}
        for one in waiting:
            by_process.setdefault(one[2], []).append(one)
        for process, lines in by_process.items():
            _, _, _, _, items, succeeded, _, process_s, run_s, _ = zip(*lines, strict=True)
            sums = self._sum(process)
            sums.mini_batches += len(lines)
            sums.add(sum(items), sum(succeeded), sum(process_s), sum(run_s))

    def summarise(self) -> None:
        """Write the sums by process and by node anew."""
        nodes: dict[str, _Sums] = {}
        for process, sums in self._sums.items():
            nodes.setdefault(process.partition("/")[0], _Sums()).join(sums)
        for name, word, table in (("process", "Process", self._sums), ("node", "Node", nodes)):
            lines = [[key, *sums.cells()] for key, sums in sorted(table.items())]
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                text = _csv([(word, *SUMMARY_COLUMNS), *lines])
                (self._folder / f"{name}_summary.csv").write_text(text, encoding="utf-8")

    def _sum(self, process: str) -> _Sums:
        return self._sums.setdefault(process, _Sums())

    def _head(self, one: Scored) -> str:
        number, picked, process, began, items, succeeded, elapsed_s, process_s, run_s, _ = one
        second = int(began)
        if second != self._second:
            self._second, self._moment = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return (
            f"{number},{picked},{process},{self._moment}.{int(1000 * (began - second)):03}Z,{items},{succeeded},"
            f"{items - succeeded},{elapsed_s:.6f},{process_s:.6f},{run_s:.6f}"
        )

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._processed.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text if file.tell() else _csv([COLUMNS]) + text)


def _items(one: Scored) -> str:
    return f"items {one[9]}-{one[9] + one[4] - 1}"


def _readable(lines: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Process, status and the numbers that are summed, of every whole line."""
    chosen = [COLUMNS.index(name) for name in ("Process", "Status", "Total", "Succeeded")]
    chosen += [COLUMNS.index(name) for name in ("Process Seconds", "Run Method Seconds")]
    for line in csv.reader(lines):
        if len(line) == len(COLUMNS) and line[0].isdigit():
            yield tuple(line[index] for index in chosen)


def _csv(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    # The writer quotes what is in its line terminator: with "\n" alone a "\r" would break a line for its readers.
    rows = csv.writer(text, lineterminator="\r\n")
    whole = []
    for line in lines:
        text.seek(0)
        text.truncate()
        rows.writerow(line)
        whole.append(text.getvalue()[:-2] + "\n")
    return "".join(whole)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
