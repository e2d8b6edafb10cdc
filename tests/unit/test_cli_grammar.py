"""Words become calls: prefixes, the first word ``ml``, pairs after ``--set``, and what a typing error is told."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpoint.cli.__main__ import main
from batchpoint.cli.grammar import Command, pairs, read_flags
from batchpoint.cli.groups import GROUPS, resolve
from batchpoint.errors import CommandLineInvalid

HEAVY = ("pydantic", "httpx", "rich", "yaml", "jmespath", "sqlalchemy", "fastapi", "uvicorn")


def read(line: str) -> argparse.Namespace:
    command, rest = resolve(line.split())
    assert isinstance(command, Command)
    return read_flags(command, rest)


def test_an_unambiguous_prefix_counts_as_the_whole_flag() -> None:
    flags = read("batch-deployment create --na blue --endpoint digits --f deployment.yml")
    assert (flags.name, flags.endpoint_name, flags.file) == ("blue", "digits", "deployment.yml")


def test_a_prefix_of_two_flags_is_refused_with_both_named() -> None:
    with pytest.raises(CommandLineInvalid, match=r"--input-path.*--input-dataset|--input-dataset.*--input-path"):
        read("batch-endpoint invoke --name digits --input- x")


def test_a_whole_flag_wins_over_longer_ones_that_begin_with_it() -> None:
    flags = read("batch-endpoint invoke --name digits --input images --input-type URI_FOLDER")
    assert (flags.input, flags.input_type) == ("images", "uri_folder")


def test_the_value_may_follow_an_equals_sign() -> None:
    assert read("job show --name=j1 --query=status").query == "status"


def test_values_of_a_choice_are_compared_without_case() -> None:
    assert read("compute create --name c --type AmlCompute -o TSV").output == "tsv"


def test_every_global_flag_stands_after_every_verb() -> None:
    words = "-g rg -w ws --subscription s --query name -o tsv --only-show-errors --debug --verbose".split()
    for group in GROUPS.values():
        for command in group.commands():
            flags = read_flags(command, [*words, "--help"])
            assert (flags.workspace_name, flags.output, flags.debug) == ("ws", "tsv", True), command.words


def test_no_command_spells_two_flags_alike() -> None:
    for group in GROUPS.values():
        for command in group.commands():
            spellings = [s for flag in command.flags for s in flag.spellings]
            assert len(spellings) == len(set(spellings)), command.words


def test_set_may_be_repeated_and_takes_several_pairs_each_time() -> None:
    line = "batch-endpoint invoke -n e --set output_file_name=a.csv retry_settings.timeout 9 --set error_threshold=-1"
    assert read(line).set == ["output_file_name=a.csv", "retry_settings.timeout", "9", "error_threshold=-1"]


def test_each_add_is_a_change_of_its_own() -> None:
    assert read("batch-endpoint update -n e --add a.b c=d e --add f g").add == [["a.b", "c=d", "e"], ["f", "g"]]


def test_a_negative_number_is_a_value_and_no_flag() -> None:
    assert read("score --code s --input i --out o --error-threshold -1").error_threshold == -1
    assert read("batch-endpoint invoke -n e --set error_threshold -1").set == ["error_threshold", "-1"]


def test_a_map_is_written_with_equals_signs_or_spaces() -> None:
    assert pairs(["a=b=c", "d", "e=f", "g", ""], "--tags") == {"a": "b=c", "d": "e=f", "g": ""}
    with pytest.raises(CommandLineInvalid, match="--tags b: the value is missing"):
        pairs(["a=1", "b"], "--tags")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("batch-endpont list", "Did you mean batch-endpoint?"),
        ("batch-endpoint lst", "Did you mean list?"),
        ("batch-endpoint show --nmae x", "has no flag --nmae. Did you mean --name?"),
        ("batch-endpoint show", "batch-endpoint show needs --name"),
        ("batch-endpoint show --name", "expected one argument"),
        ("batch-endpoint show x", "takes flags only; 'x' stands alone"),
        ("compute create -n c --max-instances many", "--max-instances: 'many' is no whole number"),
        ("job list -o xml", "invalid choice: 'xml'"),
        ("job list --query [", "--query is no JMESPath expression"),
        ("--debug job list", "flags come after the command"),
        ("configure", "configure needs --defaults KEY=VALUE or --list-defaults"),
    ],
)
def test_a_line_that_cannot_be_read_exits_2_and_says_why(
    line: str, told: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert "usage: batchpoint" in printed.err
    assert printed.out == ""
    assert not any(home.iterdir())


@pytest.mark.parametrize("line", ["", "--help", "ml --help", "batch-endpoint --help", "ml job stream -h", "score -h"])
def test_help_is_no_error(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 0
    assert "batchpoint" in capsys.readouterr().out


def test_the_word_ml_before_a_group_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ml", "batch-endpoint", "--help"]) == 0
    with_ml = capsys.readouterr().out
    assert main(["batch-endpoint", "--help"]) == 0
    assert capsys.readouterr().out == with_ml


def test_help_names_every_flag_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for group in GROUPS.values():
        for command in group.commands():
            assert main([*command.words.split(), "--help"]) == 0
            page = capsys.readouterr().out
            missing = [f.names for f in command.flags if not f.hidden and f.spellings[0] not in page]
            assert not missing, command.words


def test_defaults_are_kept_in_the_home_and_give_way_to_the_command_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.toml").write_text("# mine\nlocation = 'here'\n", encoding="utf-8")
    assert main(["configure", "--defaults", "group=research", "workspace=vision"]) == 0
    assert main(["configure", "-l", "--query", "[].value", "-o", "tsv"]) == 0
    assert set(capsys.readouterr().out.split()) >= {"research", "vision", "here"}
    assert main(["group", "create", "--name", "research", "-o", "none"]) == 0
    assert main(["group", "show", "--query", "name", "-o", "tsv"]) == 0
    assert main(["group", "show", "-g", "default", "--query", "name", "-o", "tsv"]) == 0
    assert capsys.readouterr().out == "research\ndefault\n"
    assert main(["configure", "--defaults", "group="]) == 0
    assert main(["group", "show", "--query", "name", "-o", "tsv"]) == 0
    assert capsys.readouterr().out == "default\n"
    assert "# mine" in (home / "config.toml").read_text(encoding="utf-8")


def test_the_subscription_set_is_the_subscription_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["account", "set", "-s", "11111111-0000-0000-0000-000000000000"]) == 0
    assert main(["account", "show", "--query", "id"]) == 0
    assert capsys.readouterr().out == '"11111111-0000-0000-0000-000000000000"\n'


def test_help_and_typing_errors_import_nothing_heavy() -> None:
    program = (
        "import sys; from batchpoint.cli.__main__ import main\n"
        "for line in ('', '--help', 'batch-endpoint --help', 'batch-endpoint invoke -h', 'jb', 'score --inptu x'):\n"
        "    main(line.split())\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=_environment())
    assert ended.stderr.splitlines()[-1] == "[]"


def test_the_module_and_a_link_named_az_run_the_same_commands(tmp_path: Path) -> None:
    az = tmp_path / "az"
    az.write_text(f"#!{sys.executable}\nimport sys\nfrom batchpoint.__main__ import main\nsys.exit(main())\n")
    az.chmod(0o755)
    for command in ([str(az)], [sys.executable, "-m", "batchpoint"]):
        ended = subprocess.run([*command, "ml", "--help"], capture_output=True, text=True, env=_environment())
        assert ended.returncode == 0
        assert "batch-endpoint" in ended.stdout


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    line = f"{sys.executable} -m batchpoint --help | true"
    ended = subprocess.run(line, shell=True, capture_output=True, text=True, env=_environment())
    assert ended.stderr == ""


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
