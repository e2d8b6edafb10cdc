"""Broken models, environments, scripts and inputs: a preflight names each by code, file, column and row.

What needs no worker is looked at without one; the others share a home and score by scripts that import nothing.
"""

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from batchpoint.engine.preflight.checks import Preflight, Wish
from batchpoint.engine.preflight.report import Report
from batchpoint.entities.assets import Environment
from batchpoint.entities.data import Input
from batchpoint.entities.evidence.finding import Finding
from batchpoint.entities.job import JobSettings
from batchpoint.settings import Settings
from batchpoint_worker.failures import Refused
from batchpoint_worker.tables.reading import read
from batchpoint_worker.tables.signature import Signature
from batchpoint_worker.tables.wanted import Wanted
from tests.process.model_workers import flavours, made

COLUMNS = [
    {"name": "age", "type": "long", "required": True},
    {"name": "price", "type": "double", "required": True},
    {"name": "when", "type": "datetime", "required": False},
]
TENSOR = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]
GOOD = "age,price\n1,2.5\n2,3.5\n"
SCRIPT = "def init(): pass\ndef run(batch): return [len(path) for path in batch]\n"


@dataclass(frozen=True)
class Said:
    """What one preflight has said."""

    findings: list[Finding]
    checks: dict[str, str]
    log: list[str] = field(default_factory=list)

    def where(self, *severities: str) -> set[tuple[str, str, str, int | None]]:
        """Code, file, column and row of the findings of these severities."""
        return {(one.code, one.file, one.column, one.row) for one in self.findings if one.severity in severities}


def said_by(lines: list[str]) -> Said:
    """The lines of a preflight, read."""
    found = [json.loads(line) for line in lines]
    findings = [Finding.model_validate({k: v for k, v in one.items() if k != "line"}) for one in found if is_(one)]
    checks = {one["name"]: one["state"] for one in found if one["line"] == "check"}
    return Said(findings, checks, [one["text"] for one in found if one["line"] == "log"])


def is_(line: dict[str, object]) -> bool:
    return line["line"] == "finding"


@dataclass(frozen=True)
class Put:
    """A good set-up, and what a test breaks of it."""

    folder: Path
    update: dict[str, object] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "in"

    def settings(self) -> JobSettings:
        values: dict[str, object] = {
            "code_path": "",
            "scoring_script": "",
            "model_path": str(self.folder / "model"),
            "input": Input(path=str(self.data)),
            "output_folder": str(self.folder / "out"),
        }
        return JobSettings.model_validate({**values, **self.update})

    def preflight(self, lines: list[str]) -> Preflight:
        wish = Wish(self.settings(), self.folder / "work", has_own_output=False)
        return Preflight(wish, Settings(home=self.folder / "home", init_timeout_s=20), Report(lines.append))

    def looked(self) -> Said:
        """What is found without a worker."""
        lines: list[str] = []
        preflight = self.preflight(lines)
        preflight.find_items()
        preflight.look_at_files()
        return said_by(lines)

    def checked(self) -> Said:
        """What is found in all."""
        lines: list[str] = []
        self.preflight(lines).run()
        return said_by(lines)


def mlmodel(folder: Path, inputs: list[dict[str, object]] | None) -> None:
    """A model that says what it wants, and that nobody loads."""
    said = {"flavors": {"python_function": {"loader_module": "nothing", "python_version": "3.11.0"}}}
    if inputs is not None:
        said |= {"signature": {"inputs": json.dumps(inputs)}}  # type: ignore[dict-item]
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "MLmodel").write_text(json.dumps(said))


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """A model with a signature of columns, and one file that fits."""
    mlmodel(tmp_path, COLUMNS)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(GOOD)
    return Put(tmp_path)


# ---- inputs and models, without a worker ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """A file that does not fit, and what is to be said of it."""

    name: str
    file: str
    content: str | bytes | Callable[[Path], None]
    code: str
    column: str = ""
    row: int | None = None
    #: A word that the remedy has.
    fix: str = ""


def parquet(**columns: list[object]) -> Callable[[Path], None]:
    return lambda path: pyarrow.parquet.write_table(pyarrow.table(columns), path)


def feather(**columns: list[object]) -> Callable[[Path], None]:
    return lambda path: pyarrow.feather.write_feather(pyarrow.table(columns), str(path))


def cut_off(path: Path) -> None:
    parquet(age=[1, 2], price=[1.0, 2.0])(path)
    path.write_bytes(path.read_bytes()[:-20])


FILES = [
    Broken("nearly_named", "b.csv", "Age ,price\n1,2\n", "MissingColumn", "age", fix="Rename 'Age ' to 'age'"),
    Broken("not_there", "b.csv", "price,other\n1,2\n", "MissingColumn", "age", fix="Add the column 'age'"),
    Broken("semicolons", "b.csv", "age;price\n1;2,5\n", "WrongDelimiter", fix="with commas"),
    Broken("tabs_in_csv", "b.csv", "age\tprice\n1\t2\n", "WrongDelimiter", fix="call it .tsv"),
    Broken("commas_in_tsv", "b.tsv", "age,price\n1,2\n", "WrongDelimiter", fix="with tabs"),
    Broken("no_header", "b.csv", "1,2.5\n2,3.5\n", "HeaderMissing", row=1, fix="'age', 'price'"),
    Broken("twice", "b.csv", "age,price,age\n1,2,3\n", "DuplicateColumn", "age", fix="Rename or remove"),
    Broken("word_in_numbers", "b.csv", "age,price\n1,2\n2,low\n", "InvalidValue", "price", 2, "double"),
    Broken("fraction", "b.csv", "age,price\n1.5,2\n", "InvalidValue", "age", 1, "long"),
    Broken("no_value", "b.csv", "age,price\n1,2\n3,4\n,2\n", "InvalidValue", "age", 3, "long"),
    Broken("no_date", "b.csv", "age,price,when\n1,2,17.5.2024\n", "InvalidValue", "when", 1, "datetime"),
    Broken("ragged", "b.csv", "age,price\n1,2\n1,2,3\n", "RaggedRow", "", 2, "quotation marks"),
    Broken("open_quote", "b.csv", 'age,price\n1,"2\n3,4\n', "UnclosedQuote", "", 1, "quoted value"),
    Broken("no_utf16", "b.csv", b"\xff\xfe" + GOOD.encode() + b"x", "WrongEncoding", fix="-f UTF-16"),
    Broken("latin1", "b.csv", b"age,price\n1,2\n2,\xe9\n", "WrongEncoding", "", 2, "UTF-8"),
    Broken("empty", "b.csv", "", "EmptyFile", fix="Leave it out"),
    Broken("unknown_kind", "b.xyz", "x", "UnsupportedFile", fix="--exclude"),
    Broken("picture_for_table", "b.png", b"\x89PNG", "UnsupportedFile", fix="tables"),
    Broken("no_json", "b.jsonl", '{"age": 1, "price": 2}\n{"age": 1,\n', "FileBroken", "", 2, "JSON object"),
    Broken("key_missing", "b.jsonl", '{"price": 2}\n', "MissingColumn", "age", fix="Add the column"),
    Broken("text_in_json", "b.jsonl", '{"age": "x", "price": 2}\n', "InvalidValue", "age", 1, "long"),
    Broken("no_gzip", "b.csv.gz", gzip.compress(GOOD.encode())[:12], "FileBroken", fix="Compress it again"),
    Broken("dates_for_numbers", "b.parquet", parquet(age=[[1]], price=[1.0]), "WrongType", "age", fix="as long"),
    Broken("cut_off", "b.parquet", cut_off, "FileBroken", fix="Write it again"),
    Broken("feather_lacks", "b.feather", feather(price=[1.0]), "MissingColumn", "age", fix="Add the column"),
]


@pytest.mark.parametrize("broken", FILES, ids=lambda one: one.name)
def test_a_file_that_does_not_fit_is_named_with_its_place_and_a_remedy(put: Put, broken: Broken) -> None:
    path = put.data / broken.file
    if callable(broken.content):
        broken.content(path)
    else:
        path.write_bytes(broken.content if isinstance(broken.content, bytes) else broken.content.encode())
    said = put.looked()
    assert said.where("error") == {(broken.code, broken.file, broken.column, broken.row)}
    assert broken.fix in said.findings[0].fix
    assert said.checks["files"] == "error"


def test_files_that_fit_are_named_by_nobody(put: Put) -> None:
    (put.data / "bom.csv").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    (put.data / "quotes.csv").write_text('"age","price","note"\r\n1,2,"a, ""b""\nc"\r\n')
    (put.data / "b.tsv").write_text("price\tage\n1\t2\n")
    (put.data / "c.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    (put.data / "c.csv.bz2").write_bytes(bz2.compress(GOOD.encode()))
    (put.data / "c.csv.xz").write_bytes(lzma.compress(GOOD.encode()))
    (put.data / "g.csv").write_bytes(GOOD.encode("utf-16"))
    (put.data / "d.jsonl").write_text('{"age": 1, "price": 2.5, "when": "2024-05-17"}\n')
    parquet(age=[1], price=[1.0])(put.data / "e.parquet")
    feather(age=[1], price=[1.0])(put.data / "f.feather")
    said = put.looked()
    assert (said.findings, said.checks) == ([], {"input": "ok", "files": "ok"})


@pytest.mark.parametrize("broken", [one for one in FILES if one.name != "no_date"], ids=lambda one: one.name)
def test_workers_refuse_what_is_named_and_nothing_else(put: Put, broken: Broken) -> None:
    wanted = Wanted(Signature(COLUMNS[:2]), [])
    assert read(str(put.data / "a.csv"), wanted).count == 2
    path = put.data / broken.file
    if callable(broken.content):
        broken.content(path)
    else:
        path.write_bytes(broken.content if isinstance(broken.content, bytes) else broken.content.encode())
    with pytest.raises(Refused):
        read(str(path), wanted)


def test_of_a_thousand_files_with_one_mistake_a_few_are_told_and_the_others_counted(put: Put) -> None:
    for number in range(40):
        (put.data / f"b{number:02}.csv").write_text("price\n1\n")
    told = [one for one in put.looked().findings if one.code == "MissingColumn"]
    assert [one.file for one in told] == ["b00.csv", "b01.csv", "b02.csv", "b03.csv", "b04.csv", ""]
    assert "35 more" in told[-1].message


def test_a_column_to_be_passed_through_is_missed_as_one_of_the_model(put: Put) -> None:
    said = Put(put.folder, {"passthrough_columns": ("customer",)}).looked()
    assert said.where("error") == {("MissingColumn", "a.csv", "customer", None)}


def test_a_row_that_is_too_wide_for_a_tensor_is_named(put: Put) -> None:
    mlmodel(put.folder, TENSOR)
    assert put.looked().where("error") == {("WrongShape", "a.csv", "", None)}


def test_a_model_without_a_signature_is_noted_and_checks_nothing(put: Put) -> None:
    mlmodel(put.folder, None)
    (put.data / "b.csv").write_text("x\n1\n")
    assert put.looked().where("error", "note") == {("NoSignature", "", "", None)}


def test_an_mlmodel_file_that_cannot_be_read_is_named(put: Put) -> None:
    (put.folder / "model" / "MLmodel").write_text("flavors: [\n")
    assert {code for code, *_ in put.looked().where("error")} == {"ValidationError"}


@pytest.mark.parametrize(("path", "code"), [("empty", "InputEmpty"), ("gone", "InputUnreadable")])
def test_an_input_without_files_is_named(put: Put, path: str, code: str) -> None:
    (put.folder / "empty").mkdir()
    said = Put(put.folder, {"input": Input(path=str(put.folder / path))}).looked()
    assert {one.code for one in said.findings} == {code}
    assert said.checks == {"input": "error", "files": "skipped"}


# ---- scripts and environments, with a worker ------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    """A set-up with a script that goes wrong only when it is run."""

    name: str
    script: str
    found: tuple[str, str, int | None]
    severity: str = "error"
    update: dict[str, object] = field(default_factory=dict)


RUN = "def init(): pass\ndef run(batch):\n    "
SCRIPTS = [
    Bad("does_not_parse", "def init(:\n", ("ScriptUnusable", "s.py", 1)),
    Bad("lacks_a_module", "import nothing_of_that_name\n" + SCRIPT, ("ScriptUnusable", "s.py", 1)),
    Bad("init_raises", "def init():\n    open('/gone')\ndef run(batch): return batch\n", ("InitFailed", "s.py", 2)),
    Bad("has_no_run", "def init(): pass\n", ("ScriptUnusable", "", None)),
    Bad("run_raises", RUN + "raise ValueError(batch[0])", ("ScriptRaised", "a.csv", None)),
    Bad("returns_too_little", RUN + "return []", ("TooFewResults", "a.csv", None)),
    Bad("returns_no_rows", RUN + "return 5", ("InvalidResult", "a.csv", None)),
    Bad("crashes", "import os\n" + RUN + "os._exit(3)", ("WorkerCrashed", "a.csv", None)),
    Bad(
        "takes_too_long",
        "import time\n" + RUN + "time.sleep(0.3); return [1]",
        ("TimeoutNear", "", None),
        "warning",
        {"timeout_s": 0.5, "mini_batch_size": 1},
    ),
    Bad(
        "hangs",
        "import time\n" + RUN + "time.sleep(60)",
        ("MiniBatchTimeout", "a.csv", None),
        update={"timeout_s": 0.3, "mini_batch_size": 1},
    ),
    Bad(
        "writes_nothing", RUN + "return [1]", ("NothingWritten", "", None), "warning", {"output_action": "summary_only"}
    ),
    Bad(
        "has_no_environment",
        SCRIPT,
        ("EnvironmentBuildFailed", "", None),
        update={"environment": Environment(python="/nowhere/python")},
    ),
]


def scripted(put: Put, script: str, **update: object) -> Put:
    (put.folder / "code").mkdir()
    (put.folder / "code" / "s.py").write_text(script)
    return Put(put.folder, {"code_path": str(put.folder / "code"), "scoring_script": "s.py", **update})


@pytest.mark.parametrize("bad", SCRIPTS, ids=lambda one: one.name)
def test_what_goes_wrong_only_when_it_is_run_is_named(put: Put, bad: Bad) -> None:
    said = scripted(put, bad.script, **bad.update).checked()
    code, file, row = bad.found
    assert (code, file, "", row) in said.where(bad.severity), said
    assert all(one.fix for one in said.findings if one.severity == "error"), said


def test_a_good_set_up_passes_every_check_and_leaves_its_output_folder_alone(put: Put) -> None:
    said = scripted(put, SCRIPT).checked()
    assert said.findings == []
    assert set(said.checks.values()) == {"ok"}
    assert len(said.checks) == 10
    assert not (put.folder / "out").exists()


def test_an_output_that_stands_there_is_named_and_stays(put: Put) -> None:
    (put.folder / "out").mkdir()
    (put.folder / "out" / "predictions.csv").write_text("kept")
    said = scripted(put, SCRIPT).checked()
    assert {code for code, *_ in said.where("error")} == {"OutputAlreadyExists"}
    assert (put.folder / "out" / "predictions.csv").read_text() == "kept"


def test_an_output_folder_that_is_a_file_is_named(put: Put) -> None:
    (put.folder / "out").write_text("a file")
    assert {code for code, *_ in scripted(put, SCRIPT).checked().where("error")} == {"OutputUnwritable"}


def test_files_of_a_script_whose_headers_differ_are_pointed_out(put: Put) -> None:
    (put.data / "b.csv").write_text("age;price\n1;2\n")
    assert scripted(put, SCRIPT).checked().where("error", "warning") == {("HeaderDiffers", "b.csv", "", None)}


def test_the_guilty_file_alone_is_named_among_good_ones(put: Put) -> None:
    for number in range(6):
        (put.data / f"b{number}.csv").write_text(GOOD)
    script = "def init(): pass\ndef run(batch):\n    return [1 / (not path.endswith('b3.csv')) for path in batch]\n"
    said = scripted(put, script).checked()
    assert said.where("error", "warning") == {("ScriptRaised", "b3.csv", "", None)}


def test_of_a_large_table_the_first_rows_are_scored(put: Put) -> None:
    (put.data / "large.csv").write_text("age,price\n" + "7,2\n" * 1_500_000)
    script = """
import os
def init(): pass
def run(batch):
    assert all(os.path.getsize(path) < 2_000_000 for path in batch), "a whole file"
    return [open(path).read().index('age') for path in batch]
"""
    said = scripted(put, script).checked()
    assert (said.findings, said.checks["sample"]) == ([], "ok")


def test_without_an_input_a_worker_starts_and_nothing_is_scored(put: Put) -> None:
    good = scripted(put, "def init(): print('hello')\ndef run(batch): raise SystemExit\n")
    lines: list[str] = []
    wish = Wish(good.settings(), put.folder / "work", has_input=False)
    Preflight(wish, Settings(home=put.folder / "home"), Report(lines.append)).run()
    said = said_by(lines)
    assert said.findings == []
    assert (said.checks["start"], said.checks["sample"]) == ("ok", "skipped")


def test_the_tests_run_the_interpreter_that_they_think(put: Put) -> None:
    environment = Environment(python=sys.executable)
    assert scripted(put, SCRIPT, environment=environment).checked().checks["environment"] == "ok"


# ---- a model without a script, really loaded ------------------------------------------------------------------------


def test_a_real_model_scores_what_fits_and_rejects_what_only_it_could_see(tmp_path: Path) -> None:
    made(flavours(), tmp_path, "python").joinpath("python").rename(tmp_path / "model")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("name,age\nAda,36\n")
    (tmp_path / "in" / "b.csv").write_text("name,Age\nAda,36\n")
    # Behind what is looked at of every file.
    (tmp_path / "in" / "deep.csv").write_text("name,age\n" + "Ada,36\n" * 20_000 + "Bob,old\n")
    said = Put(tmp_path, {"environment": Environment(python=flavours()), "output_format": "csv"}).checked()
    assert said.where("error") == {("MissingColumn", "b.csv", "age", None), ("ItemRejected", "deep.csv", "", None)}
    assert "'old'" in next(one.message for one in said.findings if one.code == "ItemRejected")
    assert (said.checks["start"], said.checks["results"]) == ("ok", "ok")
