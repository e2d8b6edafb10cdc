"""Owns how installers and interpreters are started: with which variables, for how long, and where they write.

The builder and the search for interpreters call it; it knows nothing about packages.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.naming.credentials import masked

#: Variables of the operator that uv may see; its others could redirect it to a project or an environment of ours.
_UV_KEPT = frozenset(
    {
        "UV_CACHE_DIR",
        "UV_DEFAULT_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_HTTP_TIMEOUT",
        "UV_INDEX",
        "UV_INDEX_STRATEGY",
        "UV_INDEX_URL",
        "UV_INSECURE_HOST",
        "UV_KEYRING_PROVIDER",
        "UV_LINK_MODE",
        "UV_NATIVE_TLS",
        "UV_OFFLINE",
        "UV_PYTHON_DOWNLOADS",
        "UV_PYTHON_INSTALL_DIR",
        "UV_PYTHON_INSTALL_MIRROR",
        "UV_SYSTEM_CERTS",
    }
)
#: How to log in to an index that has a name.
_INDEX_LOGIN = re.compile(r"^UV_INDEX_\w+_(?:USERNAME|PASSWORD)$")
#: What would lead a foreign interpreter to our packages, or to the secrets of the server.
_DROPPED = frozenset(
    {
        "BATCHPOINT_TOKEN",
        "CONDA_PREFIX",
        "PYTHONEXECUTABLE",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONPLATLIBDIR",
        "PYTHONSTARTUP",
        "PYTHONUSERBASE",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
    }
)
#: pip's variable → uv's, since uv does not read pip's.
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT": "UV_HTTP_TIMEOUT",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
}
_PROBE_LIMIT_S = 20.0
#: So much of a command's output is searched for the reason of its failure.
_OUTPUT_KEPT = 64 * 1024
_BLOCK = 64 * 1024
#: Seconds between two looks at whether a silent command has ended.
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """How a logged command ended."""

    returncode: int
    #: The end of what it wrote.
    output: str


def installer_variables() -> dict[str, str]:
    """The environment for installers and probes: the operator's, without what would leak from ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _DROPPED and (not name.startswith("UV_") or name in _UV_KEPT or _INDEX_LOGIN.match(name))
    }
    for pip_name, name in _FROM_PIP.items():
        if kept.get(pip_name):
            kept.setdefault(name, kept[pip_name])
    if kept.get("PIP_FIND_LINKS"):
        kept.setdefault("UV_FIND_LINKS", ",".join(kept["PIP_FIND_LINKS"].split()))
    return kept | {
        "PYTHONNOUSERSITE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
    }


def ask(command: list[str], timeout_s: float = _PROBE_LIMIT_S) -> str | None:
    """What ``command`` prints, or None when it does not start, fails, or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=installer_variables(),
            cwd="/",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def run_logged(
    command: list[str],
    log: Path,
    timeout_s: float,
    keep_open: tuple[int, ...] = (),
    *,
    variables: Mapping[str, str] | None = None,
    typed: bytes = b"",
    secrets: Sequence[str] = (),
) -> Outcome:
    """Run ``command`` with its output appended to ``log``; it and its children are killed after ``timeout_s``.

    Credentials are masked line by line, ``secrets`` wherever they stand. The children inherit ``keep_open``: a lock
    held there outlives a killed caller until the last of them is gone.
    """
    environ = installer_variables() if variables is None else {**variables}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd="/",
        # Away from any project whose settings uv would find, and in a group that can be killed as a whole.
        start_new_session=True,
        pass_fds=keep_open,
    )
    kept = _Kept(log, secrets)
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin as writer:
                writer.write(typed)
        returncode = _followed(process, kept, time.monotonic() + timeout_s)
        if returncode is None:
            kept.take(b"error: stopped after %d s\n" % timeout_s)
            returncode = 124
    finally:
        _kill_group(process)
        kept.end()
    return Outcome(returncode, kept.tail)


def _followed(process: "subprocess.Popen[bytes]", kept: "_Kept", deadline: float) -> int | None:
    """Take what it writes until it ends; its exit code, or None at the deadline."""
    assert process.stdout is not None
    output = process.stdout.fileno()
    while (left := deadline - time.monotonic()) > 0:
        ended = process.poll()
        # Grandchildren may keep the pipe open: of a process that has ended only what is there is read.
        if select.select([output], [], [], 0 if ended is not None else min(left, _LOOK_EVERY_S))[0]:
            if block := os.read(output, _BLOCK):
                kept.take(block)
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(left)
                return None
        elif ended is not None:
            return ended
    return None


class _Kept:
    """The output of one command on its way into a log."""

    def __init__(self, log: Path, secrets: Sequence[str]) -> None:
        self._log = log
        self._secrets = secrets
        self._open = b""
        #: The end of what it wrote.
        self.tail = ""

    def take(self, block: bytes) -> None:
        """Whole lines go into the log; what may be the beginning of one waits."""
        lines, _, self._open = (self._open + block).rpartition(b"\n")
        if lines:
            self._write(lines + b"\n")
        if len(self._open) > _BLOCK:
            self.end()

    def end(self) -> None:
        self._write(self._open)
        self._open = b""

    def _write(self, lines: bytes) -> None:
        if lines:
            text = masked(lines.decode(errors="replace"), self._secrets)
            self.tail = (self.tail + text)[-_OUTPUT_KEPT:]
            with self._log.open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(text)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
