"""The live bar of a job on a terminal, and the lines that sum a job up; ``job stream`` and ``score`` show both."""

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from batchpoint.entities.job import Progress

#: The bar is drawn at most this often, however often it is told.
REDRAW_S = 0.1


class Bar:
    """Mini-batches, items per second, time left and failures, on stderr; nothing where that is no terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._live = wanted and sys.stderr.isatty()
        self._closing = ExitStack()
        self._rich: RichProgress | None = None
        self._drawn_at = 0.0
        #: When the plan was first seen, and how many items were done by then; the speed counts from there.
        self._first: tuple[float, int] | None = None
        self._speed = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._rich = self._closing.enter_context(_rich_bar())
            self._rich.add_task("Starting", total=None, details="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def show(self, progress: "Progress", status: str = "Running", *, at_once: bool = False) -> None:
        """Draw ``progress``, unless the last drawing was a moment ago."""
        now = time.monotonic()
        if self._rich is None or (not at_once and now - self._drawn_at < REDRAW_S):
            return
        self._drawn_at = now
        done = progress.items_succeeded + progress.items_failed
        self._rich.update(
            self._rich.task_ids[0],
            description=status,
            completed=done,
            total=progress.items or None,
            details=", ".join([*_counts(progress), *self._pace(progress.items, done, now)]),
        )
        self._rich.refresh()

    def _pace(self, items: int, done: int, now: float) -> list[str]:
        """Items per second, and the time left while there is something left."""
        if self._first is None and items:
            self._first = (now, done)
        # Once all is scored the speed stands: what follows is no scoring.
        if self._first and self._first[0] < now and (done < items or not self._speed):
            self._speed = (done - self._first[1]) / (now - self._first[0])
        if not self._speed:
            return []
        left = [f"{_clock((items - done) / self._speed)} left"] if done < items else []
        return [pace(self._speed), *left]


def pace(per_second: float) -> str:
    """Items per second in words, per minute where they are slow."""
    if round(per_second) > 1:
        return f"{per_second:,.0f} items/s"
    count = round(per_second * 60)
    return f"{count} item{'s' * (count != 1)}/min" if count else "less than 1 item/min"


def _rich_bar() -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[details]}"),
        console=Console(stderr=True),
        # Lines for a file or a pipe must reach it; only those for the same terminal go around the bar.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
        auto_refresh=False,
        transient=True,
    )


def _counts(progress: "Progress") -> list[str]:
    if not progress.mini_batches:
        return []
    counts = [f"{progress.mini_batches_done:,} of {progress.mini_batches:,} mini-batches"]
    return counts + ([f"[red]{progress.items_failed:,} items failed[/red]"] if progress.items_failed else [])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(progress: "Progress") -> str:
    """Counts of what became of the items."""
    head = f"{progress.items_succeeded:,} of {progress.items:,} items succeeded"
    if progress.items_failed:
        head += f", {progress.items_failed:,} failed"
    return f"{head}; {progress.rows:,} rows"
