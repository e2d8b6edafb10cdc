"""Finds on a node the interpreter that a copied virtual environment rests on, and joins the two.

A virtual environment is links and packages; the Python itself must be on the node, in the same minor version.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from batchpoint.compute.ray.frames import Header

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
_ANSWER_S = 20.0
#: Scripts of an environment begin with its own path; longer first lines are no such path.
_FIRST_LINE_MAX = 1024


def version_of(path: str) -> str | None:
    """``3.11`` of the interpreter at ``path``; None when it does not start."""
    command = [path, "-I", "-S", "-c", _VERSION]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def find(minor: str, known: str) -> str | None:
    """An interpreter of this minor version: at the path that the driver's machine has, or where they usually are."""
    return next((path for path in _places(minor, known) if version_of(path) == minor), None)


def _places(minor: str, known: str) -> Iterator[str]:
    yield known
    yield getattr(sys, "_base_executable", "") or sys.executable
    yield shutil.which(f"python{minor}") or ""
    roots = (os.environ.get("PYENV_ROOT", "") + "/versions", "~/.pyenv/versions", "~/.local/share/uv/python")
    for root in roots:
        folder = Path(root).expanduser()
        if root.startswith(("/", "~")) and folder.is_dir():
            yield from (str(path) for path in sorted(folder.glob(f"*{minor}*/bin/python{minor}")))


def settle(aside: Path, final: Path, venv: Header) -> None:
    """Make the copied packages an environment again, on the interpreter that was found."""
    base, scripts = Path(venv["base"]), aside / "bin"
    scripts.mkdir(exist_ok=True)
    for name in ("python", "python3", f"python{venv['minor']}"):
        (scripts / name).unlink(missing_ok=True)
        (scripts / name).symlink_to(base)
    site = "true" if venv["system_site_packages"] else "false"
    text = f"home = {base.parent}\ninclude-system-site-packages = {site}\nversion = {venv['minor']}\n"
    (aside / "pyvenv.cfg").write_text(text, encoding="utf-8")
    old, new = os.fsencode(venv["was"]), os.fsencode(final)
    for script in scripts.iterdir():
        if script.is_file() and not script.is_symlink():
            _mend(script, b"#!" + old + b"/", b"#!" + new + b"/")


def _mend(script: Path, old: bytes, new: bytes) -> None:
    with script.open("rb") as file:
        if not file.readline(_FIRST_LINE_MAX).startswith(old):
            return
    mode = script.stat().st_mode
    script.write_bytes(script.read_bytes().replace(old, new, 1))
    script.chmod(mode)
