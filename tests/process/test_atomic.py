"""Files come to be whole, and are published without taking the place of others."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.storage import atomic
from batchpoint.storage.atomic import (
    aside_path,
    publish_without_clobber,
    remove_own,
    replace_own,
    sha256_of,
    sweep,
    write_atomically,
)


def test_a_file_is_replaced_whole_and_nothing_stays_aside(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    for data in (b"one", b"two" * 1_000_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == [path.name]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    (target / "x").mkdir(parents=True)
    with pytest.raises(OSError):
        write_atomically(target, b"data")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    write_atomically(tmp_path / "token", b"x", mode=0o600)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def refused(number: int) -> object:
    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return link


@pytest.fixture(params=["hard links", "renameat2", "claim"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three ways to publish; a file system without hard links is the edge that is played."""
    if request.param != "hard links":
        monkeypatch.setattr(atomic.os, "link", refused(errno.EPERM))
    if request.param == "claim":
        monkeypatch.setattr(atomic, "_rename_without_replace", atomic._claim_and_replace)


@pytest.mark.usefixtures("way")
def test_a_file_is_published_once_and_never_over_another(tmp_path: Path) -> None:
    final = tmp_path / "predictions.csv"
    first, second = aside_path(tmp_path), aside_path(tmp_path)
    first.write_text("first")
    second.write_text("second")
    assert publish_without_clobber(first, final)
    assert not publish_without_clobber(second, final)
    assert final.read_text() == "first"
    assert second.read_text() == "second"
    assert not first.exists()


def test_a_repeat_after_a_crash_in_the_middle_still_answers_yes(tmp_path: Path) -> None:
    aside, final = aside_path(tmp_path), tmp_path / "predictions.csv"
    aside.write_text("rows")
    os.link(aside, final)
    assert publish_without_clobber(aside, final)
    assert os.listdir(tmp_path) == ["predictions.csv"]


@pytest.fixture(params=["exchanged", "renamed"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ways to take the place of a file; a file system that exchanges no names is the edge that is played."""
    if request.param == "renamed":
        monkeypatch.setattr(atomic, "_renameat2", lambda source, target, flags: False)


def aside_with(folder: Path, text: str) -> Path:
    aside = aside_path(folder)
    aside.write_text(text)
    return aside


def sha_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.usefixtures("swap")
def test_a_file_takes_the_place_of_our_own_earlier_one_and_of_no_other(tmp_path: Path) -> None:
    final, own = tmp_path / "predictions.csv", [sha_of("first")]
    assert replace_own(aside_with(tmp_path, "first"), final, []), "nothing stood there"
    assert replace_own(aside_with(tmp_path, "second"), final, own)
    twin = aside_with(tmp_path, "second")
    assert not replace_own(twin, final, own), "of others, with the same bytes"
    assert replace_own(twin, final, [*own, sha_of("second")]), "a repeat"
    assert final.read_text() == "second"
    final.write_text("edited")
    refused = aside_with(tmp_path, "third")
    assert not replace_own(refused, final, own)
    assert (final.read_text(), refused.read_text()) == ("edited", "third")
    assert sorted(os.listdir(tmp_path)) == sorted([refused.name, final.name])


@pytest.mark.usefixtures("swap")
def test_only_our_own_file_is_removed(tmp_path: Path) -> None:
    final = tmp_path / "failed_items.jsonl"
    assert remove_own(final, [])
    final.write_text("ours")
    assert remove_own(final, [sha_of("ours")])
    assert remove_own(final, [sha_of("ours")]), "a repeat"
    final.write_text("another's")
    assert not remove_own(final, [sha_of("ours")])
    assert final.read_text() == "another's" and os.listdir(tmp_path) == [final.name]


def test_a_file_that_others_put_there_in_the_last_moment_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "predictions.csv"
    final.write_text("first")
    exchange = atomic._renameat2

    def raced(source: Path, target: Path, flags: int) -> bool:
        if final.read_text() == "first":
            write_atomically(final, b"a stranger's")
        return exchange(source, target, flags)

    monkeypatch.setattr(atomic, "_renameat2", raced)
    assert not replace_own(aside_with(tmp_path, "second"), final, [sha_of("first")])
    assert final.read_text() == "a stranger's"
    assert os.listdir(tmp_path) == [final.name]


@pytest.mark.parametrize("step", range(1, 6))
def test_a_replacement_that_is_killed_anywhere_is_finished_by_a_repeat(tmp_path: Path, step: int) -> None:
    code = """
import os, sys
from pathlib import Path
from batchpoint.storage import atomic
steps = 0
def count(event, arguments):
    global steps
    if event in ("os.rename", "os.remove", "os.link") or (event == "ctypes.dlsym" and arguments[1] == "renameat2"):
        steps += 1
        if steps == int(sys.argv[2]): os._exit(9)
folder = Path(sys.argv[1])
final, aside = folder / "predictions.csv", atomic.aside_path(folder, "job")
aside.write_text("second")
sys.addaudithook(count)
assert atomic.replace_own(aside, final, [atomic.sha256_of(final)])
"""
    final = tmp_path / "predictions.csv"
    final.write_text("first")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(step)], env=environment)
    assert ended.returncode in (0, 9)
    assert (ended.returncode == 9) == (step <= 4), "rename, exchange, remove, and a last look"
    assert final.read_text() in ("first", "second")
    sweep(tmp_path, 0, "job")
    assert replace_own(aside_with(tmp_path, "second"), final, [sha_of("first"), sha_of("second")])
    assert final.read_text() == "second" and os.listdir(tmp_path) == [final.name]
    assert sha256_of(tmp_path / "none") == ""


def test_a_link_to_nothing_at_the_final_name_is_another_file(tmp_path: Path) -> None:
    aside, final = aside_path(tmp_path), tmp_path / "predictions.csv"
    aside.write_text("rows")
    os.symlink("gone", final)
    assert not publish_without_clobber(aside, final)
    assert final.is_symlink()


def test_one_of_many_racing_publishers_wins(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from batchpoint.storage.atomic import aside_path, publish_without_clobber
folder = Path(sys.argv[1])
for number in range(200):
    aside = aside_path(folder)
    aside.write_text(sys.argv[2])
    if publish_without_clobber(aside, folder / str(number)):
        print(number)
    aside.unlink(missing_ok=True)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    commands = [[sys.executable, "-c", code, str(tmp_path), str(name)] for name in range(3)]
    running = [subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, text=True) for c in commands]
    won = [set(process.communicate()[0].split()) for process in running]
    assert sum(map(len, won)) == 200
    assert all((tmp_path / number).read_text() == str(name) for name, numbers in enumerate(won) for number in numbers)
    assert len(os.listdir(tmp_path)) == 200


def test_sweeping_takes_old_leftovers_and_nothing_else(tmp_path: Path) -> None:
    old_file, old_folder, young = aside_path(tmp_path), aside_path(tmp_path), aside_path(tmp_path)
    old_file.touch()
    (old_folder / "inside").mkdir(parents=True)
    young.touch()
    (tmp_path / ".batchpoint-mine").touch()
    for path in (old_file, old_folder):
        os.utime(path, (1, 1))
    assert sweep(tmp_path, 3600) == 2
    assert sorted(os.listdir(tmp_path)) == sorted([young.name, ".batchpoint-mine"])
    assert sweep(tmp_path / "nowhere", 0) == 0
