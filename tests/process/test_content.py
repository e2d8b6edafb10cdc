"""Models and code are kept once by content hash, whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.entities.workspace import Workspace
from batchpoint.errors import NotSupported, ReferenceInvalid, ResourceNotFound
from batchpoint.settings import DEFAULT_SUBSCRIPTION
from batchpoint.storage.content import content_hash, store_content
from batchpoint.storage.datastores import DEFAULT_DATASTORE, default_datastore, local_path

HERE = Workspace(DEFAULT_SUBSCRIPTION, "default", "default")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(os.urandom(3_000_000))
    (folder / "sub" / "two words\n.txt").write_text("x")
    (folder / "empty").touch()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_keeps_its_base_name_and_its_bytes(model: Path, tmp_path: Path) -> None:
    stored = store_content(model, tmp_path / "store")
    assert stored.path == f"LocalUpload/{content_hash(model)}/model/"
    assert tree(tmp_path / "store" / stored.path) == tree(model)
    assert content_hash(tmp_path / "store" / stored.path) == stored.content_hash


def test_a_file_keeps_its_base_name_and_its_bytes(model: Path, tmp_path: Path) -> None:
    stored = store_content(model / "weights.bin", tmp_path / "store")
    assert stored.path == f"LocalUpload/{stored.content_hash}/weights.bin"
    assert (tmp_path / "store" / stored.path).read_bytes() == (model / "weights.bin").read_bytes()


def test_the_same_content_is_not_copied_twice(model: Path, tmp_path: Path) -> None:
    first = store_content(model, tmp_path / "store")
    before = (tmp_path / "store" / first.path / "weights.bin").stat().st_ino
    (model / "weights.bin").touch()
    assert store_content(model, tmp_path / "store") == first
    assert (tmp_path / "store" / first.path / "weights.bin").stat().st_ino == before


def test_the_hash_changes_with_bytes_names_and_executable_bits_only(model: Path) -> None:
    first = content_hash(model)
    os.utime(model / "weights.bin", (1, 1))
    (model / "an_empty_folder").mkdir()
    assert content_hash(model) == first
    (model / "empty").chmod(0o755)
    executable = content_hash(model)
    (model / "empty").chmod(0o644)
    (model / "empty").write_text("y")
    written = content_hash(model)
    (model / "empty").rename(model / "renamed")
    assert len({first, executable, written, content_hash(model)}) == 4


def test_moving_bytes_from_one_name_to_the_next_changes_the_hash(tmp_path: Path) -> None:
    for folder, a, b in (("one", "xy", "z"), ("two", "x", "yz")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text(a)
        (tmp_path / folder / "b").write_text(b)
    assert content_hash(tmp_path / "one") != content_hash(tmp_path / "two")


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({".gitignore": "*.log\n/data/\n!keep.log\n"}, {".gitignore", "a.py", "keep.log", "sub/data/y"}),
        (
            {".amlignore": "sub/\n", ".gitignore": "*.py\n"},
            {".amlignore", ".gitignore", "a.py", "x.log", "keep.log", "data/x"},
        ),
        ({".amlignore": "/*\n!/data/\n"}, {"data/x"}),
        ({}, {"a.py", "x.log", "keep.log", "data/x", "sub/data/y", "sub/z.log"}),
    ],
)
def test_ignore_files_at_the_top_are_honoured(tmp_path: Path, files: dict[str, str], kept: set[str]) -> None:
    code = tmp_path / "code"
    everything = [
        "a.py",
        "x.log",
        "keep.log",
        "data/x",
        "sub/data/y",
        "sub/z.log",
        "__pycache__/a.pyc",
        "sub/__pycache__/b",
        ".git/HEAD",
    ]
    for name, text in {**dict.fromkeys(everything, "x"), **files}.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(text)
    stored = store_content(code, tmp_path / "store")
    assert set(tree(tmp_path / "store" / stored.path)) == kept


def test_links_are_stored_as_what_they_point_to_and_loops_end(model: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "deep").write_text("deep")
    os.symlink("../shared", model / "linked")
    os.symlink("weights.bin", model / "alias")
    os.symlink("..", model / "sub" / "up")
    os.mkfifo(model / "pipe")
    stored = tmp_path / "store" / store_content(model, tmp_path / "store").path
    assert (stored / "linked" / "deep").read_text() == "deep"
    assert not (stored / "alias").is_symlink()
    assert not (stored / "pipe").exists()
    assert not (stored / "sub" / "up").exists()


def test_a_link_to_nothing_and_a_missing_source_are_named(model: Path, tmp_path: Path) -> None:
    os.symlink("gone", model / "broken")
    with pytest.raises(ReferenceInvalid, match="broken cannot be read"):
        store_content(model, tmp_path / "store")
    with pytest.raises(ResourceNotFound, match="nowhere"):
        store_content(tmp_path / "nowhere", tmp_path / "store")


def test_many_at_once_leave_one_copy_and_nothing_aside(model: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from batchpoint.storage.content import store_content; "
    code += "print(store_content(Path(sys.argv[1]), Path(sys.argv[2])).path)"
    command = [sys.executable, "-c", code, str(model), str(tmp_path / "store")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    paths = {process.communicate()[0].strip() for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(paths) == 1
    assert tree(tmp_path / "store" / paths.pop()) == tree(model)
    assert len(os.listdir(tmp_path / "store" / "LocalUpload")) == 1


def test_a_datastore_resolves_paths_inside_itself_only(tmp_path: Path) -> None:
    datastore = default_datastore(tmp_path, HERE)
    root = tmp_path / "datastores" / DEFAULT_DATASTORE
    assert local_path(datastore, "a/b/") == root / "a" / "b"
    assert local_path(datastore, "/etc/passwd") == root / "etc" / "passwd"
    for path in ("../x", "a/../../x", "a\0b"):
        with pytest.raises(ReferenceInvalid):
            local_path(datastore, path)


def test_a_datastore_of_another_kind_is_refused_with_what_to_do(tmp_path: Path) -> None:
    blob = default_datastore(tmp_path, HERE).model_copy(update={"type": "azure_blob", "name": "blob"})
    with pytest.raises(NotSupported, match="Name one in a datastore of type local"):
        local_path(blob, "a")
