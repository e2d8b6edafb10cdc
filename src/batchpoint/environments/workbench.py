"""Owns what every step of a build needs: its folder, its log, the secrets to keep out of it, how programs are run.

The builder makes one and hands it to the index and to conda.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.naming.credentials import masked
from batchpoint.environments.commands import Outcome, run_logged
from batchpoint.environments.reasons import reason_of
from batchpoint.environments.sources import Sources
from batchpoint.environments.spec import EnvironmentSpec
from batchpoint.errors import EnvironmentBuildFailed

_STEP_LIMIT_S = 3600.0


@dataclass
class Workbench:
    """One build."""

    spec: EnvironmentSpec
    folder: Path
    log: Path
    sources: Sources
    uv: str
    #: Descriptors that the programs inherit: the lock, which lasts until the last of them is gone.
    held: tuple[int, ...] = ()

    @property
    def venv(self) -> Path:
        """The environment itself, whether a virtual environment or a conda prefix."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self.spec.secrets, *self.sources.secrets())

    def run(self, command: Sequence[str], variables: Mapping[str, str] | None = None, typed: bytes = b"") -> Outcome:
        """Run a program with its output in the log. ``variables`` and ``typed`` are never shown, arguments are."""
        self.say("$ " + " ".join(command))
        return run_logged(
            list(command), self.log, _STEP_LIMIT_S, self.held, variables=variables, typed=typed, secrets=self.secrets
        )

    def say(self, sentence: str) -> None:
        """A line of the log."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{moment} {masked(sentence, self.secrets)}\n")

    def failed(self, what: str, outcome: Outcome | None, hint: str = "") -> EnvironmentBuildFailed:
        """The installer's own words, then ours."""
        reason = reason_of(outcome.output) if outcome else ""
        text = f"{reason}\n" if reason else ""
        return EnvironmentBuildFailed(
            masked(
                f"{text}The environment could not be built: {what}. {f'{hint} ' if hint else ''}"
                f"Mend the conda file; the whole output is in {self.log}.",
                self.secrets,
            ),
            target="environment",
        )
