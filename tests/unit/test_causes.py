"""What counts as one cause of failures, and how causes are grouped."""

from pathlib import Path

import pytest

from batchpoint.engine.dispatch.reasons import GROUPS_MAX, OTHERS, cause, group
from batchpoint.engine.messages import Failure
from batchpoint.store.records import LedgerRow
from batchpoint_worker.failures import describe
from batchpoint_worker.protocol import cut_in_the_middle

SCRIPT = """\
import json
def nested(text, depth=0):
    if depth < len(text):
        return nested(text, depth + 1)
    raise ValueError("cannot read %r of length %d" % (text, depth))
def run(what, text="x"):
    if what == "nested":
        nested(text)
    elif what == "header":
        raise ValueError("bad header")
    elif what == "footer":
        raise ValueError("bad footer")
    elif what == "chained":
        try:
            {}[text]
        except KeyError as error:
            raise RuntimeError("no entry\\nwith a second line") from error
    elif what == "library":
        json.loads("{")
    elif what == "evaluated":
        exec("1/0")
"""


def raised(folder: Path, what: str, text: str = "x", script: str = SCRIPT) -> Failure:
    """What a worker tells of a script in ``folder`` that raises."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(script)
    space: dict[str, object] = {}
    exec(compile(script, str(folder / "score.py"), "exec"), space)
    try:
        space["run"](what, text)  # type: ignore[operator]
    except Exception as error:
        told = describe(error, "ScriptRaised", str(folder), "run()")
        # Our own frame is not the script's.
        head, _, rest = told.traceback.partition(f'  File "{__file__}"')
        return Failure(told.code, told.message, head + rest.partition("\n")[2].partition("\n")[2] if rest else head)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("what", "wanted"),
    [("header", "ValueError"), ("chained", "RuntimeError"), ("library", "JSONDecodeError")],
)
def test_the_type_of_a_failure_is_the_class_that_its_traceback_ends_with(
    tmp_path: Path, what: str, wanted: str
) -> None:
    assert cause(raised(tmp_path, what))[0] == wanted


def test_the_place_of_a_failure_is_the_line_of_the_script_wherever_it_and_its_environment_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch := tmp_path / "results" / "scratch").mkdir(parents=True)
    monkeypatch.chdir(scratch)  # below the code folder, where a relative name would be looked for
    line = SCRIPT.splitlines().index('        exec("1/0")') + 1
    assert raised(tmp_path, "evaluated").message == f"ZeroDivisionError: division by zero (score.py:{line})"
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    library = compile("1/0", str(tmp_path / ".venv" / "lib" / "pandas.py"), "exec")
    script = compile("exec(library)", str(tmp_path / "score.py"), "exec")
    with pytest.raises(ZeroDivisionError) as error:
        exec(script, {"library": library})
    assert describe(error.value, "ScriptRaised", str(tmp_path), "run()").message.endswith("(score.py:1)")


def test_what_raised_nothing_has_no_type_but_a_fingerprint() -> None:
    error_type, fingerprint = cause(Failure("WorkerCrashed", "The worker crashed with SIGSEGV."))
    assert (error_type, len(fingerprint)) == ("", 12)
    assert fingerprint != cause(Failure("WorkerCrashed", "The worker crashed with SIGABRT."))[1]
    slow = [Failure("MiniBatchTimeout", f"run() took more than {seconds} s") for seconds in (30, 31)]
    assert cause(slow[0]) == cause(slow[1]) != cause(Failure("OutOfMemory", slow[0].message))


def test_values_folders_line_numbers_and_depths_make_no_other_cause(tmp_path: Path) -> None:
    first = cause(raised(tmp_path / "a", "nested", "a"))
    assert cause(raised(tmp_path / "a", "nested", "defghijk")) == first
    assert cause(raised(tmp_path / "elsewhere" / "b", "nested", "abc")) == first
    assert cause(raised(tmp_path / "c", "nested", "abc", "# A remark.\n\n" + SCRIPT)) == first


def test_another_line_of_the_same_function_is_another_cause(tmp_path: Path) -> None:
    found = {what: cause(raised(tmp_path, what))[1] for what in ("nested", "header", "footer", "chained", "evaluated")}
    assert len(set(found.values())) == len(found)


def test_a_text_that_lost_its_middle_has_the_cause_of_the_whole_one(tmp_path: Path) -> None:
    whole = raised(tmp_path, "nested", "y" * 900)
    long = Failure(whole.code, whole.message, whole.traceback + "z" * 100_000)
    cut = Failure(whole.code, whole.message, cut_in_the_middle(long.traceback, 60_000))
    assert "characters left out" in cut.traceback
    assert cause(cut) == cause(whole)


def test_a_message_that_looks_like_a_frame_is_none(tmp_path: Path) -> None:
    plain = raised(tmp_path, "header")
    assert cause(Failure(plain.code, plain.message, f'{plain.traceback}File "a{{}}.py", line 3, in x\n')) == cause(
        plain
    )


def row(item: int, fingerprint: str, *, items: int = 1, message: str = "", mini_batch: int | None = None) -> LedgerRow:
    place = item // 10 if mini_batch is None else mini_batch
    reason = message or f"ValueError: {fingerprint}"
    return LedgerRow(place, item, items, 0, items, 0, 3, (), "ScriptRaised", reason, "ValueError", fingerprint)


def example(mini_batch: int, item: int) -> str:
    return f"{mini_batch}/{item}"


def test_failures_are_grouped_by_cause_and_the_first_item_in_order_is_the_example() -> None:
    rows = [row(3, "aaa", message="ValueError: 'x'"), row(4, "bbb"), row(5, "aaa", message="ValueError: 'y'")]
    rows += [row(21, "aaa", items=4)]
    most, other = group(rows, example)
    assert (most.items, most.mini_batches, most.example, most.fingerprint) == (6, 2, "0/3", "aaa")
    assert (most.code, most.message) == ("ScriptRaised", "ValueError: 'x'")
    assert (other.items, other.mini_batches, other.example) == (1, 1, "0/4")


def test_without_a_fingerprint_what_differs_from_item_to_item_makes_no_group() -> None:
    rows = [row(n, "", message=f"ValueError: bad value 'v{n}' at 0x7f{n:04}") for n in range(5)]
    (only,) = group(rows, example)
    assert only.items == 5


def test_the_groups_that_cost_least_are_one_and_no_item_is_forgotten() -> None:
    rows = [row(n, f"{n % 50:012}") for n in range(3000)]
    rows += [row(3000 + n, "late", items=1) for n in range(500)]
    found = group(rows, example)
    assert len(found) == GROUPS_MAX
    assert sum(reason.items for reason in found) == 3500
    assert (found[0].fingerprint, found[0].items) == ("late", 500)
    assert (found[-1].code, found[-1].message) == OTHERS


def test_a_million_kinds_take_no_more_memory_than_some_thousand() -> None:
    found = group((row(n, f"{n:012}") for n in range(5000)), example)
    assert len(found) == GROUPS_MAX
    assert sum(reason.items for reason in found) == 5000
