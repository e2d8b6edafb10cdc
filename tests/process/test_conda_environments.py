"""Conda packages from a channel made here, what happens where none can be reached, and what never shows."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from batchpoint.client import Client
from batchpoint.entities.assets import Environment
from batchpoint.environments.builder import Interpreter, ensure
from batchpoint.environments.sources import Sources
from batchpoint.errors import EnvironmentBuildFailed, LocalPathNotAllowed
from tests.process.conda_channel import PLATFORM, CondaChannel, Hosting, write_wheel
from tests.process.engine_jobs import Engine
from tests.process.test_environments import output, start_builder

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:9"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SCORES = "import tall\ndef init(): pass\ndef run(files): return [tall.told() for _ in files]\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> CondaChannel:
    """Python and what needs it; made once."""
    channel = CondaChannel(tmp_path_factory.mktemp("channel"))
    channel.add_python()
    channel.add_module("pure", "1.0", "python >=3.6")
    told = b"import pure\n\n\ndef told():\n    return 'pure ' + pure.VERSION\n"
    library = f"lib/python{MINOR}/site-packages"
    channel.add("tall", "2.0", {f"{library}/tall.py": told}, f"python {MINOR}.*", "pure >=1", old_format=True)
    channel.add_module("wants-more", "1.0", "pure >=9")
    return channel


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def channel(whole: CondaChannel, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CondaChannel:
    """A channel of the test's own, and packages that were unpacked once for all."""
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(cache))
    shutil.copytree(whole.folder, tmp_path / "channel", copy_function=os.link)
    for index in (tmp_path / "channel").rglob("repodata.json"):
        # Links share their bytes with the others'.
        text = index.read_bytes()
        index.unlink()
        index.write_bytes(text)
    return CondaChannel(tmp_path / "channel")


def asks(channels: str | list[str], *packages: str, pip: tuple[str, ...] = ()) -> Environment:
    named = [channels] if isinstance(channels, str) else channels
    below = [{"pip": list(pip)}] if pip else []
    return Environment(image="base:1", conda_file={"channels": named, "dependencies": [*packages, *below]})


def refusal(home: Path, environment: Environment, sources: Sources | None = None) -> str:
    with pytest.raises(EnvironmentBuildFailed) as raised:
        ensure(environment, home, home / "log", sources=sources)
    return raised.value.message


def broken(built: Interpreter) -> None:
    """Leave of an environment what a rebuild finds."""
    folder = Path(built.path).parents[2]
    shutil.rmtree(folder / "venv")
    (folder / "complete").unlink()


def test_packages_of_a_channel_are_solved_installed_and_joined_by_those_of_pip(
    home: Path, channel: CondaChannel, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels", "thin", "3.0")
    sources = Sources(wheels_folder=tmp_path / "wheels", no_index=True)
    # What conda has installed stays as it is: pip's package wants pure, too.
    environment = asks(channel.address, "tall", pip=("thin", "setuptools"))
    write_wheel(tmp_path / "wheels", "setuptools", "70.0")
    built = ensure(environment, home, home / "log", sources=sources)
    assert output(built, "import tall, thin; print(tall.told(), thin.VERSION)") == "pure 1.0 3.0"
    assert output(built, "import sys; print(sys.prefix == sys.base_prefix)") == "True"
    folder = Path(built.path).parents[2]
    listed = (folder / f"conda-{PLATFORM}.lock").read_text()
    assert "@EXPLICIT" in listed
    assert f"{channel.address}/noarch/pure-1.0-0.conda#" in listed
    assert f"{channel.address}/{PLATFORM}/tall-2.0-0.tar.bz2#" in listed
    assert ensure(environment, home, home / "log", sources=sources) == built


def test_a_job_is_scored_on_it(engine: Engine, channel: CondaChannel) -> None:
    ended = engine.run(engine.script(SCORES), engine.items(3), asset=asks(channel.address, "tall"))
    assert len(ended.lines) == 3
    assert all("pure 1.0" in line for line in ended.lines)


def test_a_rebuild_installs_what_was_chosen_first_whatever_the_channel_has_by_now(
    home: Path, channel: CondaChannel
) -> None:
    built = ensure(asks(channel.address, "pure"), home, home / "log")
    channel.add_module("pure", "1.1", "python >=3.6")
    broken(built)
    assert (
        output(ensure(asks(channel.address, "pure"), home, home / "log"), "import pure; print(pure.VERSION)") == "1.0"
    )
    assert "stand in the lock" in (home / "log").read_text()
    newer = ensure(asks(channel.address, "pure>=1.0"), home, home / "log")
    assert output(newer, "import pure; print(pure.VERSION)") == "1.1"


def test_what_was_chosen_and_is_withdrawn_is_chosen_anew_at_the_second_try(
    home: Path, channel: CondaChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = asks(channel.address, "wanting")
    channel.add_module("wanting", "1.0", "pure")
    built = ensure(environment, home, home / "log")
    channel.add_module("wanting", "1.1", "pure")
    (channel.folder / "noarch" / "wanting-1.0-0.conda").unlink()
    broken(built)
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(tmp_path / "empty"))
    assert "wanting-1.0-0.conda" in refusal(home, environment)
    assert output(ensure(environment, home, home / "log"), "import wanting; print(wanting.VERSION)") == "1.1"


def test_a_builder_that_is_killed_while_it_installs_leaves_nothing_that_counts(
    home: Path, channel: CondaChannel
) -> None:
    process = start_builder(home, asks(channel.address, "tall"))
    log = home / "log"
    while not (log.exists() and "Solved" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(home.rglob("complete"))
    assert output(ensure(asks(channel.address, "tall"), home, log), "import tall; print(tall.told())") == "pure 1.0"


def test_what_cannot_be_solved_is_told_in_the_solvers_own_words_first(home: Path, channel: CondaChannel) -> None:
    said = refusal(home, asks(channel.address, "wants-more"))
    assert said.startswith("Cannot solve the request because of: wants-more")
    assert "pure >=9, for which no candidates were found" in said.partition("The environment could not be built")[0]
    assert str(home / "log") in said
    assert not list(home.rglob("complete"))


def test_where_no_channel_can_be_reached_the_python_index_has_packages_of_the_same_name(
    home: Path, channel: CondaChannel, tmp_path: Path
) -> None:
    for name, version in (("thin", "3.0"), ("thin", "3.1"), ("torch", "1.0"), ("setuptools", "70.0")):
        write_wheel(tmp_path, name, version)
    with Hosting(tmp_path) as empty:
        sources = Sources(conda_channel_alias=NOWHERE, wheels_folder=tmp_path, index_url=f"http://{empty.host}/simple")
        asked = ("thin=3.0=py_0", "pytorch=1.0", "cudatoolkit=10", f"python={MINOR}", "pip")
        built = ensure(asks(["defaults", "pytorch"], *asked), home, home / "log", sources=sources)
        assert "No conda channel can be reached" in refusal(home, asks("conda-forge", "thin=9.9"), sources)
    assert output(built, "import thin, torch; print(thin.VERSION)") == "3.0"
    notes = "\n".join(built.notes)
    assert "defaults is not asked: its packages are taken from conda-forge" in notes
    assert f"{NOWHERE}/conda-forge cannot be reached: Connection refused" in notes
    assert "thin=3.0=py_0 is taken from the Python index, as thin==3.0." in notes
    assert "pytorch=1.0 is taken from the Python index, as torch==1.0.*." in notes
    assert "cudatoolkit=10 is left out" in notes
    program = asks("conda-forge", "ffmpeg")
    assert "ffmpeg is no Python package, so only a conda channel has it" in refusal(home, program, sources)


def test_a_name_of_a_channel_of_ones_own_is_not_looked_for_where_others_may_own_it(home: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path, "thin", "3.0")
    said = refusal(
        home, asks([f"{NOWHERE}/t/tok-1234/own", "conda-forge"], "thin"), Sources(conda_channel_alias=NOWHERE)
    )
    assert f"{NOWHERE}/t/***/own cannot be reached" in said
    assert "their names may belong to somebody else" in said
    assert "tok-1234" not in said + (home / "log").read_text()


def test_a_channel_that_is_not_there_is_no_channel_out_of_reach(home: Path, tmp_path: Path) -> None:
    with Hosting(tmp_path) as hosting:
        said = refusal(home, asks("conda-forge", "six"), Sources(conda_channel_alias=f"http://{hosting.host}"))
        assert said.startswith(f"The conda channel http://{hosting.host}/conda-forge cannot be used")
    assert "cannot be used" in refusal(home, asks((tmp_path / "none").as_uri(), "six"))


def test_a_channel_that_says_nothing_is_not_waited_for_long(home: Path, tmp_path: Path) -> None:
    silence = threading.Event()
    write_wheel(tmp_path, "thin", "3.0")
    write_wheel(tmp_path, "setuptools", "70.0")

    def waits(path: str, headers: Mapping[str, str]) -> int:
        silence.wait(30)
        return 500

    with Hosting(tmp_path, waits) as hosting:
        sources = Sources(f"http://{hosting.host}", conda_patience_s=0.3, wheels_folder=tmp_path)
        built = ensure(asks("conda-forge", "thin", f"python={MINOR}"), home, home / "log", sources=sources)
        silence.set()
    assert any("nothing came within 0.3 s" in note for note in built.notes)


def test_credentials_open_channels_and_indexes_and_show_nowhere(
    home: Path, channel: CondaChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(tmp_path / "own"))
    hosted, lines, logins = tmp_path / "hosted", [], []
    (hosted / "t" / "tok-1234").mkdir(parents=True)
    (hosted / "t" / "tok-1234" / "own").symlink_to(channel.folder)
    (hosted / "simple").mkdir()

    def looks(path: str, headers: Mapping[str, str]) -> int:
        # What everybody on the machine can read while it happens.
        lines.extend(file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline"))
        logins.append(headers.get("Authorization", ""))
        return 200

    with Hosting(hosted, looks) as hosting:
        index = f"--extra-index-url http://ana:pass-5678@{hosting.host}/simple"
        environment = asks(f"http://{hosting.host}/t/tok-1234/own", "pure", pip=(index, "six"))
        built = ensure(environment, home, home / "log")
        broken(built)
        shutil.rmtree(tmp_path / "own")
        again = ensure(environment, home, home / "log")
        said = refusal(home, asks(f"http://{hosting.host}/t/tok-1234/own", "pure", pip=(index, "six==99")))
    assert output(again, "import pure, six; print(pure.VERSION)") == "1.0"
    assert f"Basic {base64.b64encode(b'ana:pass-5678').decode()}" in logins
    folder = Path(built.path).parents[2]
    locks = "".join(path.read_text() for path in folder.glob("conda-*"))
    assert "/t/***/own" in locks
    shown = "\n".join([(home / "log").read_text(), locks, *built.notes, said])
    for secret in ("tok-1234", "pass-5678"):
        assert secret not in shown
        assert not any(secret.encode() in line for line in lines)


def test_credentials_of_the_operator_show_nowhere_either(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hosting(tmp_path, lambda path, headers: 401) as locked:
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://ana:pass-5678@{locked.host}/one")
        sources = Sources(index_url=f"http://bob:word%2D9012@{locked.host}/two")
        environment = Environment(conda_file={"dependencies": [f"python={MINOR}", {"pip": ["six"]}]})
        shown = refusal(home, environment, sources) + (home / "log").read_text()
    assert locked.host in shown
    for secret in ("pass-5678", "word%2D9012", "word-9012"):
        assert secret not in shown


def test_without_an_index_the_folder_of_wheels_is_all_there_is(home: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path, "thin", "3.0")
    write_wheel(tmp_path, "setuptools", "70.0")
    sources = Sources(wheels_folder=tmp_path, no_index=True)
    environment = Environment(conda_file={"dependencies": [f"python={MINOR}", {"pip": ["thin"]}]})
    assert output(ensure(environment, home, home / "log", sources=sources), "import thin; print(thin.VERSION)") == "3.0"
    missing = Environment(conda_file={"dependencies": [f"python={MINOR}", {"pip": ["six"]}]})
    assert "six was not found in the provided package locations" in refusal(home, missing, sources)


def test_a_folder_of_wheels_that_is_not_there_is_said_before_anything_is_built(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHPOINT_WHEELS_FOLDER", "/no/such/folder")
    process = start_builder(home, Environment(conda_file={"dependencies": [f"python={MINOR}"]}))
    assert "wheels_folder" in json.loads(process.communicate()[0])["error"]["message"]


def test_who_comes_second_waits_says_for_whom_and_nothing_is_built_twice(home: Path, channel: CondaChannel) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def waits(path: str, headers: Mapping[str, str]) -> int:
        asked.set()
        go_on.wait(60)
        return 200

    with Hosting(channel.folder, waits) as hosting:
        environment = asks(f"http://{hosting.host}", "tall")
        first = _builder(home, environment, "job first", home / "first.log")
        assert asked.wait(60)
        second = _builder(home, environment, "job second", home / "second.log")
        while "being built already for job first: waiting" not in _text(home / "second.log"):
            assert second.poll() is None
            time.sleep(0.005)
        go_on.set()
        answers = [json.loads(process.communicate()[0]) for process in (first, second)]
    assert answers[0] == answers[1]
    assert "Built with Python" in _text(home / "first.log")
    assert "Built with Python" not in _text(home / "second.log")


def _builder(home: Path, environment: Environment, caller: str, log: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "batchpoint.environments"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    document = {"environment": environment.model_dump(mode="json"), "home": str(home), "log": str(log)}
    with process.stdin as writer:
        writer.write(json.dumps({**document, "caller": caller}).encode())
    process.stdin = None
    return process


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


# ---- by name --------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(client: Client, channel: CondaChannel) -> Iterator[Client]:
    """A client whose workspace knows a good and a bad environment, each with a secret."""
    index = "--extra-index-url http://ana:pass-5678@127.0.0.1:9/simple"
    for name, package in (("good", "tall"), ("bad", "wants-more")):
        asked = asks([channel.address, f"{NOWHERE}/t/tok-1234/own"], package, pip=(index,))
        client.environments.create_or_update(asked.model_copy(update={"name": name, "version": "1"}))
    return client


def test_an_environment_is_built_by_name_and_its_log_told_to_the_end(known: Client, home: Path) -> None:
    events = list(known.environment_builds.build("good", "1"))
    lines = [line for event in events for line in event.lines]
    assert any("Solved 3 conda packages" in line for line in lines)
    assert "Built with Python" in lines[-1]
    state = events[-1].state
    assert (state.state, state.python) == ("built", sys.version.split()[0])
    assert subprocess.check_output([state.interpreter, "-c", "import tall; print(tall.told())"]) == b"pure 1.0\n"
    assert "tall-2.0-0.tar.bz2" in state.packages
    assert state.size > 1_000_000
    assert known.environment_builds.get("good", "1") == state
    assert [one.name for one in known.environment_builds.list()] == ["good"]
    assert "tok-1234" not in "\n".join(lines) + state.model_dump_json()
    assert list(known.environment_builds.build("good", "1"))[-1].state.built_at == state.built_at


def test_a_build_by_name_that_fails_says_why_and_is_remembered(known: Client) -> None:
    state = list(known.environment_builds.build("bad", "1"))[-1].state
    assert state.state == "failed"
    assert state.error.startswith("Cannot solve the request because of: wants-more")
    assert "/t/***/own cannot be reached" in state.error
    assert known.environment_builds.get("bad", "1") == state
    assert known.environment_builds.list() == []
    assert "tok-1234" not in state.model_dump_json()


def test_a_conda_file_is_shown_without_credentials_and_keeps_them(known: Client, channel: CondaChannel) -> None:
    shown = known.environments.get("good", "1")
    assert "tok-1234" not in str(shown)
    assert "pass-5678" not in str(shown) + str(known.environments.list()) + str(known.environments.list("good"))
    assert "http://***@127.0.0.1:9/simple" in str(shown.conda_file)
    known.environments.update(shown.model_copy(update={"description": "for digits"}))
    with pytest.raises(EnvironmentBuildFailed) as raised:
        ensure(asks(f"{NOWHERE}/t/tok-1234/own", "x"), channel.folder, channel.folder / "log")
    assert "tok-1234" not in raised.value.message
    state = list(known.environment_builds.build("good", "1"))[-1].state
    assert state.path.endswith(_hash_with("tok-1234", channel))


def _hash_with(token: str, channel: CondaChannel) -> str:
    from batchpoint.environments.spec import read_spec

    index = "--extra-index-url http://ana:pass-5678@127.0.0.1:9/simple"
    return read_spec(asks([channel.address, f"{NOWHERE}/t/{token}/own"], "tall", pip=(index,))).content_hash


def test_only_the_owner_names_channels_in_folders_of_the_server(tmp_path: Path, home: Path) -> None:
    from tests.callers import callers_on, workspace

    with callers_on(home) as callers:
        callers.owner.put(workspace("own"), json={}).raise_for_status()
        ana = callers.of("ana", "Contributor")
        body = {"properties": {"condaFile": {"channels": [tmp_path.as_uri()], "dependencies": ["x"]}}}
        ana.put(f"{workspace('own')}/environments/e/versions/1", json=body).raise_for_status()
        place = workspace("own").split("/")
        ours = f"/batchpoint/v1/environments/{place[2]}/{place[4]}/{place[8]}/e/versions/1"
        answer = ana.post(f"{ours}/build")
        assert answer.json()["error"]["code"] == LocalPathNotAllowed.code
        assert ana.get(ours).json()["state"] == "absent"
