"""What the demos have in common: they print a command, run it, and show what it says."""

import argparse
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

#: The command beside the interpreter that runs the demo.
BATCHPOINT = Path(sys.executable).parent / "batchpoint"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def chosen_home(program: str, description: str) -> Path:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--home", type=Path, default=Path(".demo/home"))
    home = parser.parse_args().home.resolve()
    os.environ["BATCHPOINT_HOME"] = str(home)
    return home


def near(path: Path) -> str:
    """The path as seen from here, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def step(title: str) -> None:
    print(bold(f"\n{title}"), flush=True)


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOUR else text


def run(folder: Path, *command: str, shown: str) -> None:
    """Run a command in the folder of an example; a failure ends the demo."""
    print(f"  $ {shown}", flush=True)
    ended = subprocess.run(command, cwd=folder, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


def batchpoint(folder: Path, line: str) -> None:
    run(folder, str(BATCHPOINT), *line.split(), shown=f"batchpoint {line}")


def answer(folder: Path, line: str, quiet: bool = False) -> str:
    """What a command prints on stdout, for the next one."""
    if not quiet:
        print(f"  $ batchpoint {line}", flush=True)
    ended = subprocess.run([BATCHPOINT, *line.split()], cwd=folder, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(ended.returncode)
    if not quiet:
        print(f"  {ended.stdout.strip()}", flush=True)
    return ended.stdout.strip()


def seconds_of(job: dict) -> float:
    return (datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
