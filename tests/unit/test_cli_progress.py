"""What the bar and the summary say of a job."""

import io

import pytest

from batchpoint.cli.output import progress as module
from batchpoint.cli.output.causes import told
from batchpoint.cli.output.progress import Bar, pace, summary
from batchpoint.entities.job import FailureReason, Progress

HALF = Progress(mini_batches=10, mini_batches_done=5, items=100, items_succeeded=48, items_failed=2, rows=48)


class Terminal:
    """Stands in for the drawing, and keeps what was drawn last."""

    task_ids = (0,)

    def __init__(self) -> None:
        self.drawn = ""

    def update(self, _: int, *, description: str, completed: int, total: int | None, details: str) -> None:
        self.drawn = f"{description} {completed}/{total} {details}"

    def refresh(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def drawn_on(terminal: Terminal) -> Bar:
    bar = Bar()
    bar._rich = terminal  # type: ignore[assignment]
    return bar


def test_the_bar_counts_speed_from_when_the_plan_was_there(clock: list[float]) -> None:
    terminal = Terminal()
    bar = drawn_on(terminal)
    bar.show(Progress(), "Preparing")
    assert terminal.drawn == "Preparing 0/None "
    clock[0] += 30
    bar.show(Progress(mini_batches=10, items=100))
    clock[0] += 5
    bar.show(HALF)
    assert terminal.drawn == ("Running 50/100 5 of 10 mini-batches, [red]2 items failed[/red], 10 items/s, 0:05 left")


def test_the_speed_stands_once_all_is_scored(clock: list[float]) -> None:
    terminal = Terminal()
    bar = drawn_on(terminal)
    done = Progress(mini_batches=10, mini_batches_done=10, items=100, items_succeeded=100)
    for seconds, progress in ((0, Progress(mini_batches=10, items=100)), (5, HALF), (60, done), (60, done)):
        clock[0] += seconds
        bar.show(progress)
    assert terminal.drawn.endswith("10 of 10 mini-batches, 10 items/s")


def test_the_bar_is_not_drawn_more_often_than_an_eye_can_see(clock: list[float]) -> None:
    terminal = Terminal()
    bar = drawn_on(terminal)
    bar.show(HALF)
    clock[0] += 0.01
    bar.show(Progress(), "Later")
    assert terminal.drawn.startswith("Running")
    bar.show(Progress(), "Later", at_once=True)
    assert terminal.drawn.startswith("Later")


def test_the_summary_counts() -> None:
    assert summary(HALF) == "48 of 100 items succeeded, 2 failed; 48 rows"


def test_each_cause_is_told_in_the_words_of_the_script_the_commonest_first() -> None:
    reasons = (
        FailureReason(
            code="MiniBatchTimeout", message="run() took more than 30 s", mini_batches=1, items=1, example="a"
        ),
        FailureReason(
            code="ScriptRaised",
            message="ValueError: bad header",
            mini_batches=2,
            items=1999,
            fingerprint="1a2b3c4d5e6f",
        ),
    )
    assert told(reasons, io.StringIO()) == [
        "2,000 items failed for 2 causes:",
        "  ValueError: bad header",
        "    1,999 items (99.9 %) in 2 mini-batches: ScriptRaised, cause 1a2b3c4d5e6f",
        "  run() took more than 30 s",
        "    1 item (< 0.1 %) in 1 mini-batch: MiniBatchTimeout",
        "    first: a",
    ]
    assert told(reasons[:1], io.StringIO())[:1] == ["1 item failed for one cause:"]
    assert told((), io.StringIO()) == []


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_cause_is_red_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    reason = FailureReason(code="ScriptRaised", message="ValueError: x", mini_batches=1, items=1)
    assert told((reason,), Tty())[1] == "  \033[31mValueError: x\033[0m"


@pytest.mark.parametrize(
    ("per_second", "said"),
    [
        (1234.5, "1,234 items/s"),
        (2.0, "2 items/s"),
        (1.4, "84 items/min"),
        (0.37, "22 items/min"),
        (1 / 60, "1 item/min"),
        (0.001, "less than 1 item/min"),
    ],
)
def test_slow_jobs_are_told_by_the_minute(per_second: float, said: str) -> None:
    assert pace(per_second) == said
