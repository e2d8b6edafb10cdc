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


class Execution(NamedTuple):
    """One try of a mini-batch that has come to an end; a tuple, because there may be a million of them."""

    mini_batch: int
    picked: int
    #: ``<node>/<process>``
    process: str
    #: Seconds since 1970.
    began: float
    items: int
    succeeded: int
    elapsed_s: float
    process_s: float
    run_s: float
    #: Index of its first item in the plan; and the path of that, where somebody will look for it.
    first_item: int
    first_path: str = ""
    status: str = "RUN_DONE"
    error_category: str = ""
    error_message: str = ""


@dataclass(slots=True)
class _Sums:
    mini_batches: int = 0
    failed_tries: int = 0
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    process_s: float = 0.0
    run_s: float = 0.0

    def add(self, status: str, items: int, succeeded: int, process_s: float, run_s: float) -> None:
        if status == "RUN_DONE":
            self.mini_batches += 1
        else:
            self.failed_tries += 1
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
        self._waiting: list[Execution] = []
        self._sums: dict[str, _Sums] = {}
        #: The last second that was written out, and how it reads.
        self._second, self._moment = -1, ""

    def go_on(self) -> None:
        """Take what earlier drivers wrote into the sums."""
        with contextlib.suppress(OSError):
            text = self._processed.read_text(encoding="utf-8", errors="backslashreplace")
            if text and not text.endswith("\n"):
                self._append(self._processed, "\n")  # its driver died in the middle of a line
            for process, status, *numbers in _readable(text):
                items, succeeded, process_s, run_s = map(float, numbers)
                self._sum(process).add(status, int(items), int(succeeded), process_s, run_s)

    def add(self, execution: Execution) -> None:
        """Take a line for the table; ``flush`` writes it."""
        self._waiting.append(execution)

    def told(self) -> dict[str, list[str]]:
        """What waits, as sentences for each process."""
        told: dict[str, list[str]] = {}
        for one in self._waiting:
            told.setdefault(one.process, []).append(
                f"mini-batch {one.mini_batch} ({one.items} items): {one.status}, {one.succeeded} succeeded, "
                f"{one.process_s:.6f} s, of which run() {one.run_s:.6f} s"
            )
        return told

    def flush(self) -> None:
        """Write what waits. A disk that takes no more costs lines."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        lines = [] if self._processed.exists() else [_csv([COLUMNS])]
        for one in waiting:
            lines.append(self._line(one))
            sums = self._sums.get(one.process) or self._sum(one.process)
            sums.add(one.status, one.items, one.succeeded, one.process_s, one.run_s)
        self._append(self._processed, "".join(lines))

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

    def _line(self, one: Execution) -> str:
        """A success has nothing in it that a csv writer would quote."""
        number, picked, process, began, items, succeeded, elapsed_s, process_s, run_s, first, path, status, *error = one
        second = int(began)
        if second != self._second:
            self._second, self._moment = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        head = (
            f"{number},{picked},{process},{self._moment}.{int(1000 * (began - second)):03}Z,{items},{succeeded},"
            f"{items - succeeded},{elapsed_s:.6f},{process_s:.6f},{run_s:.6f},{status}"
        )
        detail = f"items {first}-{first + items - 1}"
        category, message = error
        if not category:
            return f"{head},,,{detail}\n"
        cells = category, _cell(message[:_MESSAGE_MAX]), _cell(f"{detail}, from {path}")
        return f"{head},{_csv([cells])}"

    def _append(self, path: Path, text: str) -> None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text)


def _readable(text: str) -> Iterator[tuple[str, ...]]:
    """Process, status and the numbers that are summed, of every whole line."""
    chosen = [COLUMNS.index(name) for name in ("Process", "Status", "Total", "Succeeded")]
    chosen += [COLUMNS.index(name) for name in ("Process Seconds", "Run Method Seconds")]
    for line in csv.reader(io.StringIO(text, newline="")):
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
