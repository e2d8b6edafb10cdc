"""What tests of the noun verbs add to ``typed``: an endpoint file, a conda file, and the shortest way to a job."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.typed import Answer, Type

__all__ = ["Answer", "Az", "Gate", "add_files", "invoked", "program_environment", "with_deployment"]

Az = Type


def add_files(work: Path) -> None:
    """Beside what ``typed`` has put there."""
    (work / "endpoint.yml").write_text("name: digits\ndescription: Reads digits\ntags:\n  team: vision\n")
    (work / "conda.yml").write_text("dependencies:\n  - python=3.11\n")


def with_deployment(az: Az) -> None:
    """A compute, an endpoint and its default deployment."""
    az("compute create -n cluster --type amlcompute --min-instances 0 --max-instances 2 -o none")
    az("batch-endpoint create -f endpoint.yml -o none")
    az("batch-deployment create -f deployment.yml --set-default -o none")


def invoked(az: Az, flags: str = "") -> str:
    """The name of a job that scores ``data``."""
    return az(f"batch-endpoint invoke -n digits --input data {flags} --query name -o tsv").out.strip()


def program_environment() -> dict[str, str]:
    """For a command line in a process of its own: what is imported here is importable there."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@dataclass
class Gate:
    """Two pipes: one says that run() has begun, the other lets it go on."""

    path: Path

    def await_run(self) -> None:
        (Path(f"{self.path}.in")).read_bytes()

    def open(self) -> None:
        Path(f"{self.path}.out").write_bytes(b"")
