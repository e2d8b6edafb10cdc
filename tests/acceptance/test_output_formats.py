"""Formats and files of the output on the command line: chosen, refused, downloaded, verified, compared, had in part."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.acceptance.command_line import Az, invoked, with_deployment
from tests.acceptance.typed import ROWS

LINES = ROWS.splitlines()
UPDATE = "batch-deployment update --name blue --endpoint-name digits --set"


def ended(az: Az, flags: str = "", code: int = 0) -> str:
    name = invoked(az, flags)
    az(f"job stream --name {name}", code=code)
    return name


def predictions(file: Path) -> list[str]:
    return [row["prediction"] for row in csv.DictReader(io.StringIO(file.read_text(), newline=""), strict=True)]


def test_a_deployment_and_an_invocation_choose_the_format(az: Az) -> None:
    with_deployment(az)
    shown = az(f"{UPDATE} output_format=parquet").json
    assert (shown["output_format"], shown["output_file_name"]) == ("parquet", "predictions.parquet")
    name = ended(az, "--output-format csv")
    az(f"job download --name {name} --download-path got")
    assert predictions(Path("got/predictions.csv")) == LINES
    refused = az("batch-endpoint invoke --name digits --input data --set output_format=xml", code=1)
    assert "output_format" in refused.err and "parquet" in refused.err
    for setting in ("output_format=parquet", "output_format=azure output_shard_size=1mb"):
        refused = az(f"{UPDATE} output_action=summary_only {setting}", code=1)
        assert (
            "the script writes the files itself" in refused.err and setting.split()[-1].partition("=")[0] in refused.err
        )
    az(f"{UPDATE} output_action=summary_only output_format=azure -o none")
    refused = az("batch-endpoint invoke --name digits --input data --set output_format=csv", code=1)
    assert "output_format" in refused.err and "summary_only" in refused.err


def test_each_of_several_files_is_downloaded_verified_and_compared(az: Az) -> None:
    with_deployment(az)
    az(f"{UPDATE} output_format=csv output_shard_size=20b -o none")
    name, other = ended(az), ended(az)
    az(f"job download --name {name} --download-path got --all")
    found = sorted(path.name for path in Path("got").glob("predictions*"))
    assert found == [f"predictions-{number:05}.csv" for number in range(len(found))] and len(found) > 1
    assert [row for file in found for row in predictions(Path("got", file))] == LINES
    manifest = json.loads(next(Path("got").rglob("manifest.json")).read_bytes())["output"]
    assert [file["path"] for file in manifest["files"]] == found and manifest["rows"] == len(LINES)
    verified = az(f"job verify --name {name} --against {other}").json
    checks = [one for one in verified["checks"] if one["what"] == "output"]
    assert [Path(one["path"]).name for one in checks] == found and {one["state"] for one in checks} == {"ok"}
    assert verified["sound"] and verified["comparison"]["equal"]
    Path(checks[1]["path"]).write_text("changed")
    refused = az(f"job verify --name {name}", code=1)
    assert f"output {checks[1]['path']} is changed" in refused.err
    assert f"Its output {checks[1]['path']} is not what was published" in az("doctor", code=1).out


def test_partial_results_have_the_format_of_their_job(az: Az) -> None:
    with_deployment(az)
    Path("data/8.txt").write_text("no number")
    common = "--mini-batch-size 1 --set error_threshold=0"
    name = ended(az, f"{common} output_format=parquet output_file_name=p.parquet", code=1)
    az(f"job download --name {name} --partial --download-path got")
    rows = pq.read_table("got/p.partial.parquet").column("prediction").to_pylist()
    assert rows and rows == sorted(rows) and set(rows) <= set(LINES)
