"""Files, functions and folders stay small enough to read in one go, and are named after what they own."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, SRC, Module, functions, modules

FUNCTION_LINES = 40
FILE_LINES = 500
FOLDER_FILES = 10
EVERYTHING = modules("batchpoint") + modules("batchpoint_worker")

FORBIDDEN_WORDS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "handler", "misc"}


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_functions_fit_a_screen(module: Module) -> None:
    lengths = {f"{f.name} (line {f.lineno})": (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions(module)}
    long = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}
    assert not long, f"{module.where}: more than {FUNCTION_LINES} lines: {long}"


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_files_stay_within_the_wall(module: Module) -> None:
    assert len(module.text.splitlines()) <= FILE_LINES


def test_folders_hold_ten_files_at_most() -> None:
    folders: dict[Path, int] = {}
    for module in EVERYTHING:
        if module.path.name != "__init__.py" and module.path.parent.name != "versions":
            folders[module.path.parent] = folders.get(module.path.parent, 0) + 1
    full = {folder.relative_to(SRC).as_posix(): n for folder, n in folders.items() if n > FOLDER_FILES}
    assert not full


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_nothing_is_called_by_an_empty_word(module: Module) -> None:
    names = module.name.split(".")
    names += [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    words = {name: {w.lower() for w in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)} for name in names}
    assert not {name for name, found in words.items() if found & FORBIDDEN_WORDS}


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_a_module_opens_by_saying_what_it_owns(module: Module) -> None:
    if module.text.strip() and "migrations" not in module.name and "shims" not in module.name:
        assert ast.get_docstring(module.tree), f"{module.where} has no docstring"


def test_every_folder_of_tests_is_run_by_a_target() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    run = {Path(p).parts[1] for p in listed["testpaths"]} | {"faults", "compat_az", "flavours"}
    folders = {p.relative_to(ROOT / "tests").parts[0] for p in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= run
