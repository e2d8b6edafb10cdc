"""How variables are set in each kind of shell, quoted so that any value arrives as it is."""

import shlex
from collections.abc import Callable, Mapping

#: PowerShell takes each of these for a single quotation mark.
_POWERSHELL_QUOTES = "'\u2018\u2019\u201a\u201b"


def _bash(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    quoted = "".join(letter * 2 if letter in _POWERSHELL_QUOTES else letter for letter in value)
    return f"$env:{name} = '{quoted}'"


def _python(name: str, value: str) -> str:
    return f"os.environ[{name!r}] = {value!a}"


_LINES: dict[str, Callable[[str, str], str]] = {
    "bash": _bash,
    "zsh": _bash,
    "sh": _bash,
    "fish": _fish,
    "powershell": _powershell,
    "python": _python,
}
SHELLS = tuple(_LINES)
#: How a shell is made to run what a command prints.
_RUNNERS = {
    "bash": 'eval "$({})"',
    "zsh": 'eval "$({})"',
    "sh": 'eval "$({})"',
    "fish": "{} | source",
    "powershell": "{} | Out-String | Invoke-Expression",
    "python": "exec(subprocess.check_output({!r}, shell=True))",
}


def lines(shell: str, variables: Mapping[str, str]) -> str:
    """What sets ``variables`` in ``shell``, one line each."""
    before = ["import os"] if shell == "python" else []
    return "\n".join([*before, *(_LINES[shell](name, value) for name, value in variables.items())]) + "\n"


def runner(shell: str, command: str) -> str:
    """What is typed in ``shell`` to run the lines that ``command`` prints."""
    return _RUNNERS[shell].format(command)
