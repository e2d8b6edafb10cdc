"""Environments are really built, once, and stay usable whatever happens to a builder."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batchpoint.entities.assets import Environment
from batchpoint.environments import builder
from batchpoint.environments.builder import Interpreter, ensure
from batchpoint.environments.commands import installer_variables
from batchpoint.environments.interpreters import Python, Wanted, find_python, start
from batchpoint.errors import EnvironmentBuildFailed, LimitExceeded
from batchpoint.server.environments.builds import Builds
from batchpoint.settings import Settings

SRC = Path(__file__).parents[2] / "src"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def asks(python: str, *packages: str) -> Environment:
    return Environment(image="base:1", conda_file={"dependencies": [f"python={python}", {"pip": list(packages)}]})


def output(built: Interpreter, code: str) -> str:
    return subprocess.check_output([built.path, "-c", code], text=True).strip()


def request(home: Path, environment: Environment) -> str:
    written: dict[str, Any] = {
        "environment": environment.model_dump(mode="json"),
        "home": str(home),
        "log": str(home / "log"),
    }
    return json.dumps(written)


def start_builder(home: Path, environment: Environment) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint.environments"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert process.stdin is not None
    process.stdin.write(request(home, environment))
    process.stdin.close()
    process.stdin = None
    return process


def test_an_environment_is_built_and_found_again(home: Path) -> None:
    first = ensure(asks(HERE, "six"), home, home / "log")
    made = os.stat(first.path, follow_symlinks=False).st_mtime_ns
    assert output(first, "import six, sys; print(six.__name__, sys.prefix != sys.base_prefix)") == "six True"
    assert ensure(asks(HERE, "six"), home, home / "log") == first
    assert os.stat(first.path, follow_symlinks=False).st_mtime_ns == made


def test_the_lock_file_pins_hashes_and_names_no_registry(home: Path) -> None:
    built = ensure(asks(HERE, "six"), home, home / "log")
    (lock,) = Path(built.path).parents[2].glob("*.lock")
    text = lock.read_text()
    assert "six==" in text
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_packages_of_ours_are_not_seen_in_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PYTHONPATH", str(SRC))
    monkeypatch.setenv("UV_PYTHON", "3.99")
    built = ensure(asks(HERE), home, home / "log")
    code = "import importlib.util as u; print(u.find_spec('pydantic'), u.find_spec('batchpoint'))"
    assert subprocess.check_output([built.path, "-I", "-c", code], text=True).strip() == "None None"


@pytest.mark.parametrize("wanted", ["3.6.2", "3.7.3"])
def test_an_old_python_of_another_patch_is_taken_with_a_note(home: Path, wanted: str) -> None:
    minor = wanted.rpartition(".")[0]
    try:
        built = ensure(asks(wanted, "six", "azureml-core"), home, home / "log")
    except EnvironmentBuildFailed as error:
        # A machine without that version, and without a way to get it, says so.
        assert f"wants Python {wanted}" in error.message
        return
    assert output(built, "import six, sys; print('%d.%d' % sys.version_info[:2])") == minor
    assert built.version == wanted or any(f"Python {wanted} is not on this machine" in note for note in built.notes)
    assert any("azureml-core" in note for note in built.notes)


def test_two_builders_at_once_build_once(home: Path) -> None:
    racing = [start_builder(home, asks(HERE, "six")) for _ in range(2)]
    answers = [json.loads(process.communicate()[0]) for process in racing]
    assert answers[0] == answers[1]
    assert (home / "log").read_text().count("Built with Python") == 1


def test_a_builder_that_is_killed_leaves_nothing_that_counts(home: Path) -> None:
    environment = asks(HERE, "six")
    process = start_builder(home, environment)
    log = home / "log"
    while not (log.exists() and "pip compile" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    built = ensure(environment, home, log)
    assert log.read_text().count("Building the environment") == 2
    assert output(built, "import six; print(six.__name__)") == "six"


def test_an_installer_that_outlives_its_builder_still_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = f"""
import fcntl, os, signal
from pathlib import Path
from batchpoint.environments.commands import run_logged
lock = open({str(lock)!r}, "ab")
fcntl.flock(lock, fcntl.LOCK_EX)
script = f"kill -9 {{os.getpid()}}; echo $$ > {tmp_path / "pid"}; exec sleep 60"
run_logged(["sh", "-c", script], Path({str(tmp_path / "log")!r}), 60, (lock.fileno(),))
"""
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text().endswith("\n")):
        time.sleep(0.001)
    with lock.open("ab") as mine:
        with pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(pid.read_text()), signal.SIGKILL)
        fcntl.flock(mine, fcntl.LOCK_EX)


def test_a_terminated_builder_takes_its_installer_along(home: Path, tmp_path: Path) -> None:
    process = start_builder(home, asks(HERE, "six"))
    while not (home / "log").exists() or "$ " not in (home / "log").read_text():
        time.sleep(0.001)
    process.terminate()
    process.communicate()
    assert process.returncode in (0, 143)


def test_a_venv_whose_python_is_gone_is_built_again(home: Path) -> None:
    built = ensure(asks(HERE, "six"), home, home / "log")
    Path(built.path).unlink()
    assert ensure(asks(HERE, "six"), home, home / "log") == built
    assert output(built, "import six; print(six.__name__)") == "six"


def test_a_package_that_does_not_exist_is_the_first_thing_said(home: Path) -> None:
    with pytest.raises(EnvironmentBuildFailed) as raised:
        ensure(asks(HERE, "six==99.99"), home, home / "log")
    message = raised.value.message
    assert "six==99.99" in message.split("The environment could not be built")[0]
    assert str(home / "log") in message
    assert not list(home.rglob("complete"))


def test_a_python_that_nobody_has_is_answered_with_what_there_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYENV_ROOT", "HOME", "PATH"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(EnvironmentBuildFailed) as raised:
        ensure(asks("3.99"), home, home / "log")
    assert "wants Python 3.99" in raised.value.message
    assert sys.version.split()[0] in raised.value.message


def test_without_uv_for_so_old_a_python_its_own_venv_and_pip_do_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "uv"
    refusing.write_text("#!/bin/sh\necho 'error: too old' >&2\nexit 2\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(builder, "find_uv", lambda: str(refusing))
    built = ensure(asks(HERE, "six"), home, home / "log")
    assert output(built, "import six; print(six.__name__)") == "six"


def test_no_environment_is_the_python_we_run_on(home: Path) -> None:
    assert ensure(None, home, home / "log") == Interpreter(sys.executable)


def test_an_existing_interpreter_or_folder_is_taken_if_it_starts(home: Path, tmp_path: Path) -> None:
    assert ensure(Environment(python=sys.executable), home, home / "log").path == sys.executable
    assert ensure(Environment(python=sys.prefix), home, home / "log").path == f"{sys.prefix}/bin/python"
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    for python in (str(broken), str(tmp_path), str(tmp_path / "nowhere"), "relative/python"):
        with pytest.raises(EnvironmentBuildFailed, match=python):
            ensure(Environment(python=python), home, home / "log")


def test_a_shim_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(path: Path, text: str) -> str:
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    shim = program(tmp_path / "shims" / "python3.99", "echo 'command not found' >&2; exit 127")
    real = program(tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python3", 'echo 3.99.1; echo "$0"')
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert start(shim) is None
    assert find_python(Wanted("3.99", "3.99.7"), "no uv here", tmp_path / "log") == Python(real, "3.99.1")


@pytest.mark.parametrize(
    ("wanted", "taken"), [("3.99.2", "3.99.1"), ("3.99.4", "3.99.5"), ("3.99.3", "3.99.5"), ("3.99.77", "3.99.15")]
)
def test_the_nearest_patch_is_taken_of_two_as_near_the_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, taken: str
) -> None:
    for version in ("3.99.1", "3.99.5", "3.99.15"):
        program = tmp_path / "versions" / version / "bin" / "python3"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho {version}; echo "$0"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python(Wanted("3.99", wanted), "no uv here", tmp_path / "log").version == taken


def test_what_needs_a_container_fails_the_build_with_a_sentence(home: Path) -> None:
    with pytest.raises(EnvironmentBuildFailed, match="names only the image"):
        ensure(Environment(image="base:1"), home, home / "log")


def test_a_server_builds_no_more_at_once_than_it_may(home: Path) -> None:
    with pytest.raises(LimitExceeded, match="environment_builds_at_once"):
        Builds(Settings(home=home, environment_builds_at_once=0)).begin(asks(HERE), "somebody")


def test_the_program_answers_in_one_line_of_json(home: Path) -> None:
    process = start_builder(home, Environment(image="base:1"))
    told = json.loads(process.communicate()[0])
    assert process.returncode == 1
    assert told["error"]["code"] == "EnvironmentBuildFailed"
    unread = subprocess.run(
        [sys.executable, "-m", "batchpoint.environments"],
        input="not json",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        check=False,
    )
    assert unread.returncode == 1
    assert json.loads(unread.stdout)["error"]["code"] == "InvalidReference"


def test_the_operators_pip_settings_reach_uv_and_ours_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PIP_INDEX_URL": "https://index",
        "PIP_EXTRA_INDEX_URL": "https://a https://b",
        "PIP_FIND_LINKS": "/one /two",
        "PIP_CERT": "/ca.pem",
        "UV_PROJECT_ENVIRONMENT": "/ours",
        "UV_CACHE_DIR": "/cache",
        "PYTHONPATH": "/ours",
        "BATCHPOINT_TOKEN": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    seen = installer_variables()
    assert (seen["UV_DEFAULT_INDEX"], seen["UV_EXTRA_INDEX_URL"]) == ("https://index", "https://a https://b")
    assert (seen["UV_FIND_LINKS"], seen["SSL_CERT_FILE"], seen["UV_CACHE_DIR"]) == ("/one,/two", "/ca.pem", "/cache")
    assert not seen.keys() & {"UV_PROJECT_ENVIRONMENT", "PYTHONPATH", "BATCHPOINT_TOKEN"}
