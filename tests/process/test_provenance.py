"""Jobs whose output says where each line comes from, joined with the input on all rows."""

import pandas
import pytest

from batchpoint.entities.job import JobSettings
from tests.process.engine_jobs import Ended, Engine

#: Answers the first line of each file; some fail, with what the script says of the variable.
FIRST_LINES = """\
import os
def init(): pass
def run(paths):
    if any("bad" in path for path in paths) and os.environ.get("FIXED") != "yes": raise ValueError("bad")
    return [open(path).read() for path in paths]
"""
#: Answers a table for each file.
TABLES = """\
import pandas
def init(): pass
def run(paths):
    return pandas.concat(pandas.read_csv(path, header=None) for path in paths)
"""


def read(ended: Ended) -> pandas.DataFrame:
    return pandas.read_csv(ended.output, sep=" ", header=None, keep_default_na=False)


def names(count: int) -> list[str]:
    return [f"sub folder/{n:02}{'-bad' if n in (3, 4) else ''}.txt" for n in range(count)]


def test_each_row_of_the_output_joins_its_file_also_after_isolation_and_redrive(engine: Engine) -> None:
    wanted = names(13)
    source = engine.outside / "in"
    (source / "sub folder").mkdir(parents=True)
    for n, name in enumerate(wanted):
        (source / name).write_text(f"value{n}")
    script = engine.script(FIRST_LINES)
    ended = engine.run(script, source, mini_batch_size=5, max_retries=1, provenance=True)
    healthy = [(name, 0, n // 5, f"value{n}") for n, name in enumerate(wanted) if "bad" not in name]
    assert list(read(ended).itertuples(index=False, name=None)) == healthy
    clean = engine.run(script, source, name="clean", mini_batch_size=5, provenance=True, environment={"FIXED": "yes"})
    before = ended.job.settings
    variables = {**before.environment_variables, "FIXED": "yes"}
    settings: JobSettings = before.model_copy(update={"environment_variables": variables})
    engine.store.reopen_job("sub/group/space", "job", settings, {})
    again = engine.drive("job")
    everything = [(name, 0, n // 5, f"value{n}") for n, name in enumerate(wanted)]
    assert list(read(again).itertuples(index=False, name=None)) == everything
    assert again.output.read_bytes() == clean.output.read_bytes()
    assert not (again.output.parent / "failed_items.jsonl").exists()


def test_rows_of_one_file_are_counted_through(engine: Engine) -> None:
    source = engine.outside / "in"
    source.mkdir()
    tables = {f"{n}.csv": pandas.DataFrame({"a": range(n + 2), "b": [f"x {n}"] * (n + 2)}) for n in range(4)}
    for name, table in tables.items():
        table.to_csv(source / name, header=False, index=False)
    ended = engine.run(engine.script(TABLES), source, mini_batch_size=1, provenance=True, timeout_s=120)
    found = read(ended)
    for name, table in tables.items():
        rows = found[found[0] == name]
        assert list(rows[1]) == list(range(len(table)))
        assert list(rows[3]) == list(table["a"]) and list(rows[4]) == list(table["b"])
    assert len(found) == sum(map(len, tables.values()))


@pytest.mark.parametrize("workers", [1, 2])
def test_off_not_one_byte_differs(engine: Engine, workers: int) -> None:
    ended = engine.run("good.py", engine.items(5), max_concurrency_per_instance=workers)
    assert ended.output.read_text() == "".join(f"{n:03}.txt: ok\n" for n in range(5))
