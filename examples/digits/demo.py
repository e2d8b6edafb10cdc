"""`make demo`: the example from its first command to its last, each printed before it runs.

Everything is kept in one home, .demo/home below the current folder or the one named by --home; remove it to start anew.
"""

import csv
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from stage import BATCHPOINT, answer, batchpoint, bold, chosen_home, near, run, seconds_of, step  # noqa: E402


def main() -> int:
    start = time.monotonic()
    home = chosen_home("make demo", __doc__)
    step("The images, their labels and a classifier")
    run(HERE, sys.executable, "prepare.py", shown="python prepare.py")

    step("A compute, an endpoint, and a deployment behind it")
    batchpoint(HERE, "compute create --name batch-cluster --type amlcompute --max-instances 5 -o none")
    batchpoint(HERE, "batch-endpoint create --file endpoint.yml -o none")
    batchpoint(HERE, "batch-deployment create --file deployment.yml --set-default -o none")

    step("One invocation; the scoring runs in the background, and we watch it")
    job = answer(HERE, "batch-endpoint invoke --name digits --input-local-path images --query name -o tsv")
    batchpoint(HERE, f"job stream --name {job}")

    step("The result")
    report(json.loads(answer(HERE, f"job show --name {job}", quiet=True)), labels())
    print(f"  logs       {near(home / 'jobs' / job / 'logs')}")
    print(f"\nAll of this took {time.monotonic() - start:.0f} s.\n")
    next_commands(home, job)
    return 0


def labels() -> dict[str, str]:
    with (HERE / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["digit"] for row in csv.DictReader(file)}


def report(job: dict, truth: dict[str, str]) -> None:
    output = Path(job["settings"]["output_folder"]) / job["settings"]["output_file_name"]
    rows = output.read_text(encoding="utf-8").splitlines()
    right = [truth[file] == digit for file, digit in (row.split(": ") for row in rows)]
    unseen = right[898:]
    seconds = seconds_of(job)
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
