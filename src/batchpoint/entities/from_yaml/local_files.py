"""The files that a document names: they exist, hold something, and a script parses.

The rules of the loader call it; it only looks, and reports through the reading.
"""

import ast
import os
import warnings
from pathlib import Path

from batchpoint.entities.from_yaml.changes import KeyPath
from batchpoint.entities.from_yaml.document import read_document, typed
from batchpoint.entities.from_yaml.reading import Reading
from batchpoint.entities.from_yaml.sentences import shown

_CONDA_KEYS = frozenset({"name", "channels", "dependencies", "prefix", "variables", "platforms", "category"})


def resolved(text: str, at: KeyPath, reading: Reading) -> Path:
    """The absolute path that ``text`` names; links in it are left alone, their names matter."""
    path = Path(text[5:].removeprefix("//") if text[:5].lower() == "file:" else text)
    if path.parts[:1] == ("~",):
        path = Path.home().joinpath(*path.parts[1:])
    return Path(os.path.normpath(reading.folder(at) / path))


def is_there(text: str, at: KeyPath, reading: Reading) -> bool:
    """True for a file or folder of this machine."""
    try:
        return resolved(text, at, reading).exists()
    except (OSError, ValueError):
        return False


def existing(text: str, at: KeyPath, reading: Reading, wanted: str = "file or folder") -> Path | None:
    """The absolute path of ``text``, or None after saying what is wrong with it."""
    path = resolved(text, at, reading)
    problem = _problem_with(path, text, wanted)
    if problem:
        reading.problem(at, problem)
        return None
    return path


def _problem_with(path: Path, text: str, wanted: str) -> str | None:
    try:
        if not path.exists():
            return f"there is no {wanted} {shown(text)}; looked for {path}"
        if wanted == "folder" and not path.is_dir():
            return f"{shown(text)} is a file, and a folder is wanted"
        if wanted == "file" and not path.is_file():
            return f"{shown(text)} is a folder, and a file is wanted"
        if path.is_dir() and _is_hollow(path):
            return f"the folder {shown(text)} holds no files; looked in {path}"
    except (OSError, ValueError) as error:
        return f"{shown(text)} cannot be read: {getattr(error, 'strerror', None) or error}"
    return None


def _is_hollow(folder: Path) -> bool:
    """True for a folder without files; a link inside counts as one, following it could go round in circles."""
    return not any(
        files or any((Path(here) / name).is_symlink() for name in folders) for here, folders, files in os.walk(folder)
    )


def conda_file(text: str, at: KeyPath, reading: Reading) -> dict[str, object] | None:
    """What the conda file ``text`` says, or None after saying why not."""
    path = existing(text, at, reading, "file")
    if path is None:
        return None
    document = read_document(path)
    for problem in document.problems:
        line = f" line {problem.line}" if problem.line else ""
        key = f"{problem.key}: " if problem.key else ""
        reading.problem(at, f"{text}{line}: {key}{problem.message}")
    content = typed(document.tree)
    if document.problems or not isinstance(content, dict):
        return None
    wrong = conda_problem(content)
    if wrong:
        reading.problem(at, f"{text}: {wrong}")
    return None if wrong else content


def conda_problem(content: dict[str, object]) -> str | None:
    """Why ``content`` is no conda environment, or None."""
    unknown = sorted(set(content) - _CONDA_KEYS)
    if unknown:
        return f"{', '.join(unknown)} is no key of a conda file; it has name, channels and dependencies"
    if not isinstance(content.get("dependencies"), list):
        return "a conda file needs dependencies: a list such as - python=3.11 and - pip: [numpy]"
    return None


def check_script(code: Path, script: str, at: KeyPath, reading: Reading) -> None:
    """Report a script that is missing, lies outside ``code``, or is not Python."""
    path = Path(os.path.normpath(code / script))
    if path == code or not path.is_relative_to(code):
        reading.problem(at, f"{shown(script)} lies outside the code folder; write its path relative to {code}")
        return
    try:
        if not path.is_file():
            reading.problem(at, f"there is no script {shown(script)} in the code folder {code}{_scripts_in(code)}")
            return
        source = path.read_bytes()
    except (OSError, ValueError) as error:
        reading.problem(at, f"the script {shown(script)} cannot be read: {getattr(error, 'strerror', None) or error}")
        return
    if reading.check_script:
        wrong = _syntax_problem(source)
        if wrong:
            reading.problem(at, f"{path}{wrong}; mend it, or skip this check with --skip-script-validation")


def _scripts_in(code: Path) -> str:
    found = sorted(path.name for path in code.glob("*.py"))[:5]
    return f"; it has {', '.join(found)}" if found else ""


def _syntax_problem(source: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        lines = source.decode("utf-8", "replace").splitlines()
        number = error.lineno or 0
        line = lines[number - 1].strip() if 0 < number <= len(lines) else (error.text or "").strip()
        quoted = f": {line[:120]}" if line else ""
        return f", line {number}: {error.msg}{quoted}" if number else f": {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f": this is not Python source ({error})"
    return None
