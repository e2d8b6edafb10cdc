"""Owns how installers and interpreters are started: with which variables, for how long, and where they write.

The builder and the search for interpreters call it; it knows nothing about packages.
"""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Outcome:
    """How a logged command ended."""

    returncode: int
    #: The end of what it wrote.
    output: str


def variables() -> dict[str, str]:
    """The environment for installers and probes: the operator's, without what would leak from ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _DROPPED and (not name.startswith("UV_") or name in _UV_KEPT)
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
            env=variables(),
            cwd="/",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def run_logged(command: list[str], log: Path, timeout_s: float, keep_open: tuple[int, ...] = ()) -> Outcome:
    """Run ``command`` with its output appended to ``log``; it and its children are killed after ``timeout_s``.

    The children inherit ``keep_open``: a lock held there outlives a killed caller until the last of them is gone.
    """
    with log.open("ab") as writer:
        start = writer.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            env=variables(),
            cwd="/",
            # Away from any project whose settings uv would find, and in a group that can be killed as a whole.
            start_new_session=True,
            pass_fds=keep_open,
        )
        try:
            returncode = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            writer.write(b"error: stopped after %d s\n" % timeout_s)
            returncode = 124
        finally:
            _kill_group(process)
    return Outcome(returncode, _tail(log, start))


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as reader:
        size = reader.seek(0, os.SEEK_END)
        reader.seek(max(start, size - _OUTPUT_KEPT))
        return reader.read().decode(errors="replace")
