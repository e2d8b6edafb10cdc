"""What a script does to its own process stays there: a crash leaves no core, no object gets out, no patch binds us."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.engine_jobs import Engine, good

CRASHES = """
import mmap, os, resource, signal, tempfile

def init():
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0, "a core would be written"

def run(paths):
    if "bad" in paths[0]: os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
    if "mapped" in paths[0]:
        with tempfile.TemporaryFile() as opened:
            opened.truncate(mmap.PAGESIZE)
            beyond = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
            opened.truncate(0)
            beyond[0]
    return [os.path.basename(path) + ": ok" for path in paths]
"""


@pytest.fixture
def cores_on() -> Iterator[None]:
    """As in a shell where somebody allowed cores; the limit that nobody may raise stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.usefixtures("cores_on")
@pytest.mark.parametrize("name", ["SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"])
def test_a_crash_is_told_by_its_signal_and_leaves_no_core(engine: Engine, name: str) -> None:
    source = engine.files(["a.txt", "bad.txt", "mapped.txt"] if name == "SIGBUS" else ["a.txt", "bad.txt"])
    script = engine.script(CRASHES)
    ended = engine.run(script, source, mini_batch_size=1, max_retries=1, environment={"SIGNAL": name})
    assert ended.lines == good(["a.txt"])
    assert ended.reason.code == "WorkerCrashed" and name in ended.reason.message
    assert not [path for path in engine.outside.rglob("core*") if path.is_file() and not path.suffix]


EVIL = """
import os

def canary(): os.close(os.open(os.environ["CANARY"], os.O_CREAT))

class Evil:
    def __reduce__(self): return (canary, ())
    def __str__(self): return "evil"

class EvilText(str):
    def __reduce__(self): return (canary, ())
    def __len__(self): canary_if_driver(); return 0
    def __add__(self, other): canary_if_driver(); return "added"
    def encode(self, *how): canary_if_driver(); return b"encoded"

class EvilFloat(float):
    def __reduce__(self): return (canary, ())

class EvilList(list):
    def __reduce__(self): return (canary, ())
    def __len__(self): canary_if_driver(); return 7

ME = os.getpid()

def canary_if_driver():
    if os.getpid() != ME: canary()

def init(): pass

def run(paths): return EvilList([Evil(), EvilText("text"), EvilFloat(1.5)])
"""


def test_no_object_of_a_script_reaches_the_driver(engine: Engine, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    ended = engine.run(engine.script(EVIL), engine.items(2), environment={"CANARY": str(canary)})
    assert ended.lines == ["evil", "text", "1.5"]
    assert not canary.exists()


TURNS_EVERYTHING_OVER = """
import builtins, io, json, locale, os, signal, sys, time, zlib

def init(): pass

def run(paths):
    names = [os.path.basename(path) for path in paths]
    os.environ.clear()
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(number, signal.SIG_IGN)
    for name in ("C", "C.UTF-8", "POSIX"):
        try: locale.setlocale(locale.LC_ALL, name)
        except locale.Error: pass
    os.umask(0o777)
    os.chdir("/")
    sys.stdout = sys.stderr = None
    sys.path[:] = []
    nothing = lambda *args, **kwargs: 1 / 0
    for module, name in ((json, "dumps"), (json, "loads"), (os, "write"), (os, "read"), (os, "fstat"), (os, "getpid"),
                         (os, "pread"), (zlib, "crc32"), (time, "perf_counter"), (os, "ftruncate"), (os, "_exit")):
        setattr(module, name, nothing)
    return [name + ": ok" for name in names]
"""


def test_a_script_that_turns_everything_over_harms_nobody_but_itself(engine: Engine) -> None:
    ended = engine.run(engine.script(TURNS_EVERYTHING_OVER), engine.items(8), max_concurrency_per_instance=2)
    assert ended.lines == good([f"{number:03}.txt" for number in range(8)])
    assert ended.progress.failed_attempts == 0
    assert os.access(ended.output, os.R_OK)
