"""Twenty-four kinds of strange input, each from a folder of this machine and from an object store (moto's S3).

What becomes of each is a row or a documented code, never a hang, and never a driver that grows with its input; the
guide on data has the same list. Where a kind cannot exist in a place, what comes nearest to it stands there. Thousands
of objects take moto long to make: those are among the fault tests.
"""

import gzip
import os
import signal
import socket
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from batchpoint.storage import bring
from tests.object_stores import S3Service
from tests.process.engine_jobs import Ended, Engine
from tests.process.test_engine_elsewhere import Elsewhere
from tests.websites import site

#: A job of this file takes a second or two; one that takes longer hangs.
HANGS_S = 60
DRIVER_GROWTH_MAX = 300_000_000
#: What is refused by size or shape is the script's own affair: it raises.
READS = """
import csv, gzip, os, struct, zlib

def init(): pass

def run(paths): return ["%r %s" % (os.path.basename(path), read(path)) for path in paths]

def read(path):
    mischief(path)
    kind = path.rpartition(".")[2]
    if kind == "gz":
        with gzip.open(path) as opened:
            data = opened.read(10_000_001)
        if len(data) > 10_000_000: raise ValueError("more than 10 MB when unpacked")
        return len(data)
    if kind == "png":
        with open(path, "rb") as opened: data = opened.read()
        (length,) = struct.unpack(">I", data[8:12])
        (sum_of_it,) = struct.unpack(">I", data[16 + length:20 + length])
        if zlib.crc32(data[12:16 + length]) != sum_of_it: raise ValueError("damaged")
        return "png"
    if kind == "csv":
        with open(path, "rb") as opened: raw = opened.read()
        text = raw.decode("utf-16" if raw[:2] in (b"\\xff\\xfe", b"\\xfe\\xff") else "utf-8-sig")
        return [row for row in csv.reader(text.splitlines(True))]
    with open(path, "rb") as opened: opened.read(1000)
    return os.path.getsize(path)

def mischief(path):
    folder, name = os.path.split(path)
    if name != "a-first": return
    for victim in os.listdir(folder):
        other = os.path.join(folder, victim)
        if victim.endswith(".vanishes"): os.unlink(other)
        if victim.endswith(".replaced"):
            with open(other + "-new", "wb") as opened: opened.write(b"new")
            os.rename(other + "-new", other)
        if victim.endswith(".grows"):
            with open(other, "ab") as opened: opened.write(b"more")
        if victim.endswith(".shrinks"): os.truncate(other, 1)
"""
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 1) + b"IHDR" + b"x" + struct.pack(">I", zlib.crc32(b"IHDRx"))
BOMB = gzip.compress(b"\0" * 60_000_000, 6)


@dataclass(frozen=True)
class Kind:
    """One kind of input, and what its job comes to."""

    files: Mapping[str | bytes, bytes] = field(default_factory=dict)
    #: More than files can say: changes the folder, or the bucket that a client speaks to.
    local: Callable[[Path], None] | None = None
    s3: Callable[[Any, str], None] | None = None
    #: Rows; ``...`` in place of a list: that many.
    rows: Any = ()
    #: Items that fail, each alone, and the codes of their reasons.
    failed: int = 0
    reasons: frozenset[str] = frozenset()
    #: Code of a job that fails as a whole.
    code: str = ""
    #: Words of the job's log.
    noted: str = ""
    #: Settings of the job.
    settings: Mapping[str, Any] = field(default_factory=dict)


def sizes(*names: str, size: int = 1) -> list[str]:
    return [f"{name!r} {size}" for name in names]


def same(names: list[str]) -> Kind:
    """Files of such names are items like all others."""
    rows = sizes(*(name.rpartition("/")[2] for name in sorted(names, key=os.fsencode)))
    return Kind(dict.fromkeys(names, b"x"), rows=rows)


def sparse(folder: Path) -> None:
    with (folder / "sparse.bin").open("wb") as opened:
        opened.truncate(5_000_000_000)


def deep(folder: Path) -> None:
    """A path of more than 4,096 bytes cannot be opened by its name: whoever makes it goes down step by step."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        at, above = os.open("d" * 250, os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def links(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b").write_bytes(b"x")
    (folder / "sub" / "up").symlink_to(folder)
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "c").write_bytes(b"x")
    (folder / "out").symlink_to(folder.parent / "elsewhere")


def devices(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(".", os.O_RDONLY)
        os.chdir(folder)  # the address of a socket is short
        one.bind("socket")
        os.fchdir(here)
        os.close(here)
    (folder / "null").symlink_to("/dev/null")


def unreadable(folder: Path) -> None:
    # Nothing is unreadable to root, but what is not there.
    (folder / "b").symlink_to("nowhere") if os.geteuid() == 0 else (folder / "b").chmod(0)


def frozen(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="in/b", Body=b"x", StorageClass="GLACIER")


MANY = [f"{number:04}" for number in range(1001)]
CHANGED = {"a-first": b"1", "b.same": b"1"}
CSV = {
    "bom.csv": b"\xef\xbb\xbfa,b\r\n1,2\r\n",
    "newline.csv": b'"two\nlines",2\n',
    "nul.csv": b"a\0b,2\n",
    "ragged.csv": b"1\n1,2,3\n",
    "utf16.csv": "é,2\n".encode("utf-16"),
}
CSV_ROWS = [
    "'bom.csv' [['a', 'b'], ['1', '2']]",
    "'newline.csv' [['two\\nlines', '2']]",
    "'nul.csv' [['a\\x00b', '2']]",
    "'ragged.csv' [['1'], ['1', '2', '3']]",
    "'utf16.csv' [['é', '2']]",
]
TWINS = [normalize(form, "é.txt") for form in ("NFC", "NFD")] + ["\u202egnp.exe", "😀"]

LOCAL = {
    "1 empty folder": Kind(code="InputEmpty"),
    "2 file of zero bytes": Kind({"a": b""}, rows=sizes("a", size=0)),
    "3 sparse file of 5 GB": Kind(local=sparse, rows=["'sparse.bin' 5000000000"]),
    "4 ten thousand tiny files": Kind(
        {f"{number:05}": b"x" for number in range(10_000)}, rows=10_000, settings={"mini_batch_size": 1000}
    ),
    "5 spaces, quotes, $() in names": same(["a b", "'a'", '"b"', "$(touch x)", "`y`", "a;b", "*"]),
    "6 newline, CR, tab in names": same(["a\nb", "a\rb", "a\tb"]),
    "7 names that are no UTF-8": Kind({b"\xff\xfe": b"x"}, rows=["'\\udcff\\udcfe' 1"]),
    "8 twins of one name, right to left, emoji": same(TWINS),
    "9 name of 255 bytes": same(["n" * 255, "d/" * 100 + "leaf"]),
    "9 path of more than 4,096 bytes": Kind(
        {"a": b"x"}, local=deep, code="InputUnreadable", noted="File name too long"
    ),
    "10 leading -, ., .., ~": Kind(
        {"-rf": b"x", ".hidden": b"x", "..x": b"x", "~": b"x"}, rows=sizes("-rf", "~"), noted="2 names that begin with"
    ),
    "11 links that go round and out of the tree": Kind(
        {"a": b"x"}, local=links, rows=sizes("a", "c", "b"), noted="1 links that lead back"
    ),
    "12 one file under two names": Kind(
        {"a": b"x"}, local=lambda folder: (folder / "b").hardlink_to(folder / "a"), rows=sizes("a", "b")
    ),
    "13 pipe, socket, device": Kind({"a": b"x"}, local=devices, rows=sizes("a"), noted="3 sockets, pipes and devices"),
    "14 unreadable file": Kind(
        {"a": b"x", "b": b"x"},
        local=lambda folder: (folder / "b").unlink() or unreadable(folder) if os.geteuid() == 0 else unreadable(folder),
        rows=sizes("a"),
        failed=1,
        reasons=frozenset({"ScriptRaised"}),
    ),
    "15 vanishes after it was listed": Kind(
        {**CHANGED, "v.vanishes": b"1"}, rows=sizes("a-first", "b.same"), failed=1, reasons=frozenset({"ScriptRaised"})
    ),
    "16 replaced while the job runs": Kind(
        {**CHANGED, "r.replaced": b"1"}, rows=[*sizes("a-first", "b.same"), "'r.replaced' 3"]
    ),
    "17 grows or shrinks while it is read": Kind(
        {**CHANGED, "g.grows": b"1", "s.shrinks": b"123"},
        rows=[*sizes("a-first", "b.same"), "'g.grows' 5", "'s.shrinks' 1"],
    ),
    "18 truncated archives and pictures": Kind(
        {"a.gz": gzip.compress(b"123"), "b.gz": gzip.compress(b"123")[:-6], "c.png": PNG, "d.png": PNG[:-4]},
        rows=["'a.gz' 3", "'c.png' png"],
        failed=2,
        reasons=frozenset({"ScriptRaised"}),
    ),
    "19 CSV of every kind": Kind(CSV, rows=CSV_ROWS),
    "20 formula cells": Kind({"a.csv": b"=1+1,@x,+y,-z\n"}, rows=["'a.csv' [['=1+1', '@x', '+y', '-z']]"]),
    "21 decompression bomb": Kind(
        {"a": b"x", "bomb.gz": BOMB}, rows=sizes("a"), failed=1, reasons=frozenset({"ScriptRaised"})
    ),
    "22 names that differ in case or would be one when cleaned": same(["A.txt", "a.txt", "a b", "a_b", "a%20b", "a+b"]),
    "24 more than a thousand files": Kind(
        dict.fromkeys(MANY, b"x"), rows=sizes(*MANY), settings={"mini_batch_size": 500}
    ),
}

FETCHED = frozenset({"InputUnreadable"})
S3 = {
    **{name: LOCAL[name] for name in LOCAL if name.split()[0] in {"1", "2", "5", "8", "10", "18", "19", "20", "21"}},
    "3 large object": Kind({"large": b"\0" * 48_000_000}, rows=["'large' 48000000"]),
    "6 tab in names, the one that moto stores": same(["a\tb"]),
    "7 names that look like no UTF-8": same(["%FF%FE", "\\xff"]),
    "9 part of a name longer than 255 bytes": Kind(
        {"a": b"x", "n" * 256: b"x"}, rows=sizes("a"), failed=1, reasons=FETCHED
    ),
    "11 object that is also the folder of others": Kind(
        {"a": b"x", "a/b": b"x"}, rows=sizes("b"), failed=1, reasons=FETCHED
    ),
    "12 the same bytes under two names": same(["a", "b"]),
    "13 names that are no paths": Kind({"a": b"x", "c//d": b"x"}, rows=sizes("a"), failed=1, reasons=FETCHED),
    "14 object in an archive that cannot be read": Kind(
        {"a": b"x"}, s3=frozen, rows=sizes("a"), failed=1, reasons=FETCHED
    ),
    "15 vanishes after it was listed": Kind(
        {"a": b"x", "b": b"x"},
        s3=lambda client, bucket: client.delete_object(Bucket=bucket, Key="in/b"),
        rows=sizes("a"),
        failed=1,
        reasons=FETCHED,
        settings={"after_listing": True},
    ),
    "16 replaced by one of another size": Kind(
        {"a": b"x", "b": b"x"},
        s3=lambda client, bucket: client.put_object(Bucket=bucket, Key="in/b", Body=b"123"),
        rows=sizes("a"),
        failed=1,
        reasons=FETCHED,
        settings={"after_listing": True},
    ),
    "17 replaced by one of the same size": Kind(
        {"a": b"x", "b": b"x"},
        s3=lambda client, bucket: client.put_object(Bucket=bucket, Key="in/b", Body=b"y"),
        rows=sizes("a", "b"),
        settings={"after_listing": True},
    ),
    "22 names that differ in case or would be one when cleaned": same(["A.txt", "a.txt", "a b", "a_b", "a%20b", "a+b"]),
}
MANY_OBJECTS = Kind(
    {**dict.fromkeys(MANY, b"x"), "sub/": b"", "sub/z": b"x"},
    rows=sizes(*MANY, "z"),
    settings={"mini_batch_size": 500},
)


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    signal.alarm(HANGS_S)
    yield
    signal.alarm(0)


def memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field))


def run(engine: Engine, kind: Kind, source: Path, **settings: Any) -> Ended:
    """The job, driven in this process, which must not grow with what the input holds."""
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    chosen = {"mini_batch_size": 4, "max_retries": 1, "timeout_s": 30, "max_concurrency_per_instance": 2}
    ended = engine.run(engine.script(READS), source, **{**chosen, **kind.settings, **settings})
    assert memory("VmHWM") - before < DRIVER_GROWTH_MAX
    return ended


def check(ended: Ended, kind: Kind) -> None:
    if kind.code:
        assert ended.error.code == kind.code
        assert kind.noted in ended.error.message
        return
    if isinstance(kind.rows, int):
        assert len(ended.lines) == kind.rows
    else:
        assert ended.lines == list(kind.rows)
    assert ended.progress.items_failed == kind.failed
    assert {reason.code for reason in ended.job.failures} == set(kind.reasons)
    assert kind.noted in ended.log("azureml/executionlogs.txt")


@pytest.mark.parametrize("name", LOCAL)
def test_a_strange_folder_becomes_rows_or_a_documented_code(engine: Engine, name: str) -> None:
    kind = LOCAL[name]
    source = engine.files([])
    for path, body in kind.files.items():
        file = os.path.join(os.fsencode(source), os.fsencode(path))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as opened:
            opened.write(body)
    if kind.local:
        kind.local(source)
    check(run(engine, kind, source), kind)


@pytest.mark.parametrize("name", S3)
def test_strange_objects_become_rows_or_a_documented_code(
    engine: Engine, s3_service: S3Service, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_objects(engine, s3_service, S3[name], monkeypatch)


def check_objects(engine: Engine, s3_service: S3Service, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, bucket = dict(kind.settings), f"kinds-{uuid.uuid4().hex}"
    s3_service.bucket(bucket, {f"in/{os.fsdecode(path)}": body for path, body in kind.files.items()})
    with closing(s3_service.client()) as client:
        if kind.s3 and not settings.pop("after_listing", False):
            kind.s3(client, bucket)
        elif kind.s3:
            change, transfer = kind.s3, bring._Transfer.run

            def run_late(transfer_of_job: bring._Transfer) -> None:
                change(client, bucket)
                transfer(transfer_of_job)

            monkeypatch.setattr(bring._Transfer, "run", run_late)
        place = Elsewhere(engine, s3_service.datastore(bucket))
        chosen = Kind(**{**kind.__dict__, "settings": settings})
        check(run(engine, chosen, engine.outside / "unused", **place.input("in/")), chosen)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"whole", ""),
        (206, b"part", "InputUnreadable"),
        (404, b"", "InputUnreadable"),
        (500, b"", "InputUnreadable"),
    ],
)
def test_a_strange_answer_to_a_url_is_a_row_or_a_documented_code(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, code: str
) -> None:
    """Redirects, short and slow bodies are in ``test_fetch``."""
    from batchpoint.entities.data import Input

    with site(lambda path: (status, "application/octet-stream", body)) as host:
        monkeypatch.setattr(engine, "settings", engine.settings.__class__(home=engine.home, input_hosts_allowed=host))
        wanted = Input(type="uri_file", path=f"http://{host}/rows.bin")
        kind = Kind(rows=["'rows.bin' 5"], code=code)
        check(run(engine, kind, engine.outside / "unused", input=wanted), kind)
