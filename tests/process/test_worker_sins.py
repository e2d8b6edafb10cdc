"""Scripts that misbehave: each costs its mini-batch alone, with a reason a user can act on."""

import os
import signal

import pytest

from tests.process.conftest import StartWorker
from tests.process.worker_process import SCRIPTS, WorkerProcess


def fails_but_goes_on(w: WorkerProcess, code: str = "ScriptRaised") -> dict[str, str]:
    """The answer to a mini-batch that is sinned on; the one after it is scored by the same process."""
    w.ready()
    answer = w.score("good.txt", "bad.txt")
    assert (answer["t"], answer["code"]) == ("Failed", code), answer
    assert answer["s"] >= 0
    assert w.rows(w.score("c.txt")) == "c.txt: ok\n"
    return answer


def line_of(script: str, text: str) -> int:
    lines = (SCRIPTS / script).read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if text in line)


def test_an_exception_in_run_names_its_place_and_its_causes(worker: StartWorker, python: str) -> None:
    answer = fails_but_goes_on(worker("raises_in_run.py", python=python))
    line = line_of("raises_in_run.py", "RUN_ERROR")
    assert answer["message"] == f"ValueError: bad header (raises_in_run.py:{line})"
    assert "invalid literal for int()" in answer["traceback"]
    assert "direct cause" in answer["traceback"]
    assert "in read_header" in answer["traceback"]
    assert answer["traceback"].endswith("ValueError: bad header\n")


def test_a_traceback_shows_frames_of_the_user_alone(worker: StartWorker) -> None:
    for script in ("raises_in_run.py", "missing_import.py", "raises_in_init.py"):
        w = worker(script, environment={"SIN_ON": ""})
        answer = w.answer()
        if answer["t"] == "Ready":
            answer = w.score("a")
        assert f'File "{SCRIPTS / script}"' in answer["traceback"]
        assert "batchpoint_worker" not in answer["traceback"]
        assert "importlib" not in answer["traceback"]


def test_an_exception_inside_a_library_names_the_line_of_the_script(worker: StartWorker) -> None:
    w = worker("returns_anything.py", environment={"RETURNS": "__import__('json').loads('{')"})
    w.ready()
    answer = w.score("a")
    assert answer["message"].startswith("JSONDecodeError: Expecting property name")
    assert f"(returns_anything.py:{line_of('returns_anything.py', 'return eval')})" in answer["message"]
    assert "json/decoder.py" in answer["traceback"]


def test_only_the_first_line_of_an_exception_is_its_message(worker: StartWorker) -> None:
    w = worker("raises_in_run.py", environment={"RUN_ERROR": "first\nsecond"})
    w.ready()
    answer = w.score("bad")
    assert answer["message"].startswith("ValueError: first (raises_in_run.py:")
    assert "second" in answer["traceback"]


@pytest.mark.parametrize("status", [0, 3])
def test_sys_exit_in_run_is_an_exception_like_others(worker: StartWorker, python: str, status: int) -> None:
    answer = fails_but_goes_on(worker("exits_in_run.py", python=python, environment={"EXIT_STATUS": str(status)}))
    assert answer["message"].startswith(f"SystemExit: {status} (run() must return, not exit) (exits_in_run.py:")


@pytest.mark.parametrize(
    ("raises", "name"),
    [
        ("(_ for _ in ()).throw(KeyboardInterrupt())", "KeyboardInterrupt (run() must return, not exit)"),
        ("(_ for _ in ()).throw(GeneratorExit())", "GeneratorExit (returns_anything.py:"),
        ("next(iter(()))", "StopIteration (returns_anything.py:"),
    ],
)
def test_every_exception_is_caught(worker: StartWorker, raises: str, name: str) -> None:
    w = worker("returns_anything.py", environment={"RETURNS": raises})
    w.ready()
    assert w.score("a")["message"].startswith(name)
    assert w.score("a")["code"] == "ScriptRaised"


def test_an_endless_recursion_is_told_in_one_answer(worker: StartWorker, python: str) -> None:
    answer = fails_but_goes_on(worker("raises_deep_in_run.py", python=python))
    assert answer["message"].startswith("RecursionError: maximum recursion depth exceeded")
    assert "(raises_deep_in_run.py:" in answer["message"]


def test_a_memory_error_is_told(worker: StartWorker) -> None:
    answer = fails_but_goes_on(worker("runs_out_of_memory.py"))
    assert answer["message"].startswith("MemoryError: 1000 bytes were not enough (runs_out_of_memory.py:")


def test_an_exception_that_cannot_be_printed_is_told(worker: StartWorker, python: str) -> None:
    answer = fails_but_goes_on(worker("raises_an_unprintable_exception.py", python=python))
    assert answer["message"].startswith("Unprintable: <unprintable> (raises_an_unprintable_exception.py:")


def test_a_long_exception_loses_its_middle(worker: StartWorker, python: str) -> None:
    answer = fails_but_goes_on(worker("raises_a_long_exception.py", python=python))
    assert answer["message"].startswith("ValueError: begin é")
    assert "characters left out" in answer["traceback"]
    assert answer["traceback"].startswith("Traceback")
    assert answer["traceback"].endswith("é end\n")


def test_a_lone_surrogate_names_its_element(worker: StartWorker) -> None:
    answer = fails_but_goes_on(worker("lone_surrogate.py"), "RowEncodingError")
    assert answer["message"].startswith("element 1 of what run() returned cannot be written as UTF-8")
    assert "U+D800 at character 5" in answer["message"]


def test_failures_leave_no_hole_in_the_segment(worker: StartWorker) -> None:
    w = worker("lone_surrogate.py")
    w.ready()
    parts = [w.rows(w.score(name)) for name in ("a", "b")]
    w.score("bad")
    parts.append(w.rows(w.score("c")))
    assert w.segment.read_text() == "".join(parts)


def test_a_patched_standard_library_is_not_ours(worker: StartWorker, python: str) -> None:
    w = worker("monkeypatches_json.py", python=python)
    w.ready()
    assert w.rows(w.score("a.txt")) == "a.txt: ok\n"
    answer = w.score("bad.txt")
    assert answer["message"].startswith("ValueError: after the patches")
    assert w.rows(w.score("b.txt")) == "b.txt: ok\n"


def test_a_changed_directory_changes_nothing(worker: StartWorker) -> None:
    w = worker("changes_directory.py")
    w.ready()
    assert w.rows(w.score("bad")) == "bad: ok\n"
    assert w.rows(w.score("b")) == "b: ok\n"


@pytest.mark.parametrize("then", ["return", "exit", "raise"])
def test_a_forked_child_has_no_say(worker: StartWorker, python: str, then: str) -> None:
    w = worker("forks_in_run.py", python=python, environment={"FORK_THEN": then})
    w.ready()
    status = {"return": 0, "exit": 7, "raise": 1}[then]
    assert w.rows(w.score("bad")) == f"bad: ok child={status}\n"
    assert w.rows(w.score("b")) == "b: ok\n"
    assert w.shut_down() == 0
    assert w.segment.read_text() == f"bad: ok child={status}\nb: ok\n"


@pytest.mark.parametrize("environment", [{}, {"REOPEN": "1"}, {"CLOSE_FROM": "0"}])
def test_a_script_that_closes_our_descriptors_ends_its_worker(
    worker: StartWorker, python: str, environment: dict[str, str]
) -> None:
    w = worker("closes_all_descriptors.py", python=python, environment=environment)
    w.ready()
    w.post(["bad"])
    with pytest.raises(EOFError):
        w.answer()
    assert w.wait() == 97
    assert w.segment.read_bytes() == b""
    reopened = w.folder / "work" / "reopened"
    assert not reopened.exists() or not reopened.read_bytes()
    if "CLOSE_FROM" not in environment:
        assert "HarnessChannelClosed: the scoring script closed file descriptors" in w.stderr.read_text()


def dies(w: WorkerProcess, *names: str) -> int:
    w.ready()
    w.post(names)
    with pytest.raises(EOFError):
        w.answer()
    return w.wait()


def test_os_exit_gives_no_answer(worker: StartWorker) -> None:
    assert dies(worker("os_exits_in_run.py"), "bad") == 0
    assert dies(worker("os_exits_in_run.py", environment={"EXIT_STATUS": "5"}), "bad") == 5


def test_a_segmentation_fault_leaves_the_stack_of_the_script(worker: StartWorker, python: str) -> None:
    w = worker("segfaults_in_run.py", python=python)
    assert dies(w, "bad") == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in w.stderr.read_text()
    assert "segfaults_in_run.py" in w.stderr.read_text()


def test_what_a_hanging_script_printed_is_visible(worker: StartWorker, python: str) -> None:
    w = worker("hangs_in_run.py", python=python)
    w.ready()
    w.post(["bad"])
    while not w.stdout.read_text().endswith("\n"):
        assert w.process.poll() is None
    assert w.stdout.read_text() == "hanging on /data/in/bad\n"


def test_prints_never_reach_the_channel(worker: StartWorker) -> None:
    w = worker("prints_what_looks_like_an_answer.py")
    assert w.ready()["pid"] == w.process.pid
    assert w.score("a")["n"] == 1


def test_prints_of_any_size_cost_nothing_but_time(worker: StartWorker) -> None:
    w = worker("prints_a_gigabyte.py", environment={"PRINT_BYTES": "20000000"})
    w.ready()
    assert w.rows(w.score("bad")) == "bad: ok\n"
    assert w.stdout.stat().st_size == 20_000_000


def test_prints_are_utf_8_whatever_the_locale(worker: StartWorker, python: str) -> None:
    c_locale = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    w = worker("prints_anything.py", python=python, environment=c_locale)
    w.ready()
    assert w.stdout.read_text(encoding="utf-8") == "init é 你 😀 \\udc80\n"
    assert w.stderr.read_text(encoding="utf-8") == "stderr é\n"


def init_fails(w: WorkerProcess, code: str) -> str:
    answer = w.answer()
    assert (answer["t"], answer["code"]) == ("InitFailed", code), answer
    assert w.wait() == 1
    message: str = answer["message"]
    return message


def test_an_init_that_raises_is_told(worker: StartWorker, python: str) -> None:
    message = init_fails(worker("raises_in_init.py", python=python), "InitFailed")
    assert message == f"ValueError: no such model (raises_in_init.py:{line_of('raises_in_init.py', 'raise')})"


def test_an_init_that_exits_is_told(worker: StartWorker) -> None:
    message = init_fails(worker("exits_in_init.py"), "InitFailed")
    assert message.startswith("SystemExit: 3 (init() must return, not exit) (exits_in_init.py:")


def test_an_init_that_leaves_by_os_exit_is_seen_by_its_status(worker: StartWorker) -> None:
    w = worker("os_exits_in_init.py", environment={"EXIT_STATUS": "4"})
    with pytest.raises(EOFError):
        w.answer()
    assert w.wait() == 4


def test_a_syntax_error_names_its_line(worker: StartWorker, python: str) -> None:
    message = init_fails(worker("syntax_error.py", python=python), "ScriptUnusable")
    line = line_of("syntax_error.py", "outside of any function")
    assert message == f"SyntaxError: 'return' outside function (syntax_error.py:{line})"


def test_a_missing_package_is_named(worker: StartWorker) -> None:
    message = init_fails(worker("missing_import.py"), "ScriptUnusable")
    assert message == "ModuleNotFoundError: No module named 'a_package_that_is_not_installed' (missing_import.py:1)"


@pytest.mark.parametrize(("script", "function"), [("no_run.py", "run(mini_batch)"), ("no_init.py", "init()")])
def test_a_script_without_its_functions_is_unusable(worker: StartWorker, script: str, function: str) -> None:
    message = init_fails(worker(script), "ScriptUnusable")
    assert message.startswith(f"{script} has no function {function}: a scoring script defines both")


def test_a_script_that_is_not_there_is_unusable(worker: StartWorker) -> None:
    message = init_fails(worker("scoer.py"), "ScriptUnusable")
    assert message.startswith("the scoring script scoer.py is not in the code folder; there: allocates_without_end.py")
    message = init_fails(worker("missing/score.py", code_path="/nowhere"), "ScriptUnusable")
    assert message == "the code folder of the scoring script missing/score.py cannot be read: No such file or directory"


def test_a_worker_that_failed_to_start_ends_though_the_script_started_threads(worker: StartWorker) -> None:
    thread = "__import__('threading').Thread(target=__import__('time').sleep, args=(3600,)).start()"
    w = worker("score.py", code_path=str(with_script(worker, f"{thread}\ndef init(): 1/0\ndef run(b): return b\n")))
    init_fails(w, "InitFailed")


def with_script(worker: StartWorker, text: str) -> str:
    folder = worker("good.py").folder / "code"
    folder.mkdir()
    (folder / "score.py").write_text(text)
    return os.fspath(folder)
