"""Owns how conda packages come into an environment: the process that solves and installs them, and what it says.

The builder calls it; it knows what a build is, and nothing about the Python index.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.naming.credentials import masked
from batchpoint.environments.commands import installer_variables
from batchpoint.environments.conda.dependencies import address, is_public
from batchpoint.environments.conda.prefix import NO_CHANNEL, NOTE, Prefix
from batchpoint.environments.workbench import Workbench
from batchpoint.errors import EnvironmentBuildFailed


@dataclass(frozen=True)
class Asked:
    """How asking the channels ended."""

    #: False where none can be reached: nothing is installed.
    is_made: bool
    #: Sentences about channels that were not asked, and why.
    notes: tuple[str, ...]


class CondaChannels:
    """Packages by conda's names for one build."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        alias = bench.sources.conda_channel_alias
        self._named = {one: address(one, alias) for one in (*bench.spec.channels, *_own_channels(bench)) if one}

    def build(self) -> Asked:
        """A prefix with the packages, unless no channel can be reached and all are public.

        Raises EnvironmentBuildFailed for anything else, the solver's own words first.
        """
        bench, spec = self._bench, self._bench.spec
        prefix = Prefix(
            str(bench.venv),
            str(bench.folder),
            tuple(self._named[one] for one in spec.channels),
            tuple((one.match, self._named.get(one.channel, "")) for one in spec.conda),
            bench.sources.conda_patience_s,
            bench.sources.no_index,
        )
        bench.say(f"Asking the conda channels {', '.join(self._named.values())}")
        # On stdin, and not as arguments: addresses of channels may hold credentials.
        typed = json.dumps(prefix.document()).encode()
        command = [sys.executable, "-m", "batchpoint.environments.conda"]
        outcome = bench.run(command, installer_variables() | {"PYTHONPATH": _own_path()}, typed)
        lines = outcome.output.splitlines()
        notes = tuple(line.removeprefix(NOTE) for line in lines if line.startswith(NOTE))
        if outcome.returncode == NO_CHANNEL:
            shutil.rmtree(bench.venv, ignore_errors=True)
            self._require_public(notes)
            return Asked(is_made=False, notes=notes)
        if outcome.returncode != 0:
            raise bench.failed("its conda packages cannot be solved or installed", outcome, " ".join(notes))
        return Asked(is_made=True, notes=notes)

    def _require_public(self, notes: tuple[str, ...]) -> None:
        own = [channel for channel in self._named if not is_public(channel)]
        if own:
            told, names = "\n".join(notes), ", ".join(masked(one) for one in own)
            raise EnvironmentBuildFailed(
                f"{told}\nThe environment could not be built: {names} cannot be reached, and packages of a channel of "
                "your own are not looked for on the Python index, where their names may belong to somebody else. Make "
                "the channel reachable from this machine, or move its packages below '- pip:'; the whole output is in "
                f"{self._bench.log}.",
                target="channels",
            )


def _own_channels(bench: Workbench) -> tuple[str, ...]:
    return tuple(one.channel for one in bench.spec.conda)


def _own_path() -> str:
    """Where this package is imported from, for a process that inherits nothing else of ours."""
    return str(Path(__file__).parents[3])
