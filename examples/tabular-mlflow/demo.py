"""The second act of `make demo`: an MLflow model without a scoring script, each command printed before it runs.

Everything is kept in one home, .demo/home below the current folder or the one named by --home.
"""

import csv
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from stage import answer, batchpoint, bold, chosen_home, near, seconds_of, step  # noqa: E402


def main() -> int:
    start = time.monotonic()
    home = chosen_home("make demo", __doc__)
    step("Second act: a model that MLflow saved, deployed with four lines and no script")
    print("".join(f"  | {line}" for line in (HERE / "deployment.yml").open(encoding="utf-8") if line[0] != "#"), end="")
    batchpoint(HERE, "compute create --name batch-cluster --type amlcompute --max-instances 5 -o none")
    batchpoint(HERE, "batch-endpoint create --file endpoint.yml -o none")
    batchpoint(HERE, "batch-deployment create --file deployment.yml --set-default -o none")

    step("Four CSV files; the first job builds the environment that the model asks for (some 130 MB from the index)")
    job = answer(HERE, "batch-endpoint invoke --name biopsies --input-local-path patients --query name -o tsv")
    batchpoint(HERE, f"job stream --name {job}")

    step("The result")
    report(json.loads(answer(HERE, f"job show --name {job}", quiet=True)))
    print(f"\nThis act took {time.monotonic() - start:.0f} s.\n")
    next_commands(home)
    return 0


def report(job: dict) -> None:
    """How many rows, how many of them right, and the first ones."""
    output = Path(job["settings"]["output_folder"]) / job["settings"]["output_file_name"]
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    truth = labels()
    right = [truth[file, row] == benign for row, benign, file in rows]
    print(bold(f"  {len(rows):,} of {len(truth):,} patients scored"))
    print(f"  accuracy   {sum(right) / len(right):.1%}; the model was fitted on others")
    print(f"  in         {seconds_of(job):.1f} s, environment and start of the workers included")
    print("  first rows " + "\n             ".join(",".join(row) for row in rows[:5]) + "   (row, benign or not, file)")
    print(f"  output     {near(output)}")


def labels() -> dict[tuple[str, str], str]:
    with (HERE / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {(line["file"], line["row"]): line["benign"] for line in csv.DictReader(file)}


def next_commands(home: Path) -> None:
    here = near(HERE)
    print(bold("Two commands to try next"), "(with the same BATCHPOINT_HOME and PATH as above)")
    print(f"""\
  batchpoint batch-deployment show --name svc --endpoint-name biopsies
  batchpoint batch-endpoint invoke --name biopsies --input {here}/patients --mini-batch-size 1
""")


if __name__ == "__main__":
    sys.exit(main())
