"""`make demo`: the example from its first command to its last, each printed before it runs.

Everything is kept in one home, .demo/home below the current folder or the one named by --home; remove it to start anew.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: The command beside the interpreter that runs this file.
BATCHPOINT = Path(sys.executable).parent / "batchpoint"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> int:
    start = time.monotonic()
    home = chosen_home()
    os.environ["BATCHPOINT_HOME"] = str(home)
    step("The images, their labels and a classifier")
    run(sys.executable, "prepare.py", shown="python prepare.py")

    step("A compute, an endpoint, and a deployment behind it")
    batchpoint("compute create --name batch-cluster --type amlcompute --min-instances 0 --max-instances 5 -o none")
    batchpoint("batch-endpoint create --file endpoint.yml -o none")
    batchpoint("batch-deployment create --file deployment.yml --set-default -o none")

    step("One invocation; the scoring runs in the background, and we watch it")
    job = answer("batch-endpoint invoke --name digits --input-local-path images --query name -o tsv")
    batchpoint(f"job stream --name {job}")

    step("The result")
    report(json.loads(answer(f"job show --name {job}", quiet=True)), labels())
    print(f"  logs       {near(home / 'jobs' / job / 'logs')}")
    print(f"\nAll of this took {time.monotonic() - start:.0f} s.\n")
    next_commands(home, job)
    return 0


def chosen_home() -> Path:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".demo/home"))
    return parser.parse_args().home.resolve()


def near(path: Path) -> str:
    """The path as seen from here, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def step(title: str) -> None:
    print(bold(f"\n{title}"), flush=True)


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOUR else text


def batchpoint(line: str) -> None:
    run(str(BATCHPOINT), *line.split(), shown=f"batchpoint {line}")


def run(*command: str, shown: str) -> None:
    print(f"  $ {shown}", flush=True)
    ended = subprocess.run(command, cwd=HERE, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


def answer(line: str, quiet: bool = False) -> str:
    """What a command prints on stdout, for the next one."""
    if not quiet:
        print(f"  $ batchpoint {line}", flush=True)
    ended = subprocess.run([BATCHPOINT, *line.split()], cwd=HERE, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(ended.returncode)
    if not quiet:
        print(f"  {ended.stdout.strip()}", flush=True)
    return ended.stdout.strip()


def labels() -> dict[str, str]:
    with (HERE / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["digit"] for row in csv.DictReader(file)}


def report(job: dict, truth: dict[str, str]) -> None:
    output = Path(job["settings"]["output_folder"]) / job["settings"]["output_file_name"]
    rows = output.read_text(encoding="utf-8").splitlines()
    right = [truth[file] == digit for file, digit in (row.split(": ") for row in rows)]
    unseen = right[898:]
    seconds = (datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
    print(bold(f"  {len(rows):,} of {len(truth):,} digits scored"))
    print(f"  accuracy   {sum(right) / len(right):.1%} of all, {sum(unseen) / len(unseen):.1%} of those it never saw")
    print(f"  speed      {len(rows) / seconds:,.0f} items/s ({seconds:.1f} s, start of the workers included)")
    print("  first rows " + "\n             ".join(rows[:5]))
    print(f"  output     {near(output)}")


def next_commands(home: Path, job: str) -> None:
    here = near(HERE)
    print(bold("Five commands to try next"), "(first: where the home and the command are)")
    print(f"""\
  export BATCHPOINT_HOME="{home}" PATH="{BATCHPOINT.parent}:$PATH"

  batchpoint job show --name {job}
  batchpoint job download --name {job} --download-path results
  batchpoint batch-endpoint invoke --name digits --input {here}/images --mini-batch-size 100 --instance-count 2
  batchpoint batch-endpoint list-jobs --name digits -o table
  batchpoint score --code {here}/code/digit_identification.py --model {here}/model --input {here}/images --out scored
""")


if __name__ == "__main__":
    sys.exit(main())
