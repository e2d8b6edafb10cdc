"""``environment build``, ``show --built``, ``list --built`` and ``prune`` as they are typed."""

from pathlib import Path

import pytest

from tests.acceptance.typed import Type
from tests.process.conda_channel import write_wheel

CONDA = "dependencies: [python=3.11, {pip: [%s]}]\n"


@pytest.fixture(autouse=True)
def wheels(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All packages that there are."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "thin", "3.0")
    write_wheel(folder, "setuptools", "70.0")
    (home / "config.toml").write_text(f'wheels_folder = "{folder}"\nno_index = true\n')
    return folder


def registered(typed: Type, name: str, package: str) -> None:
    Path("conda.yml").write_text(CONDA % package)
    typed(f"environment create --name {name} --image base --conda-file conda.yml -o none")


def test_an_environment_is_built_shown_listed_and_pruned_from_the_command_line(typed: Type, home: Path) -> None:
    registered(typed, "e", "thin")
    assert typed("environment list --built").json == []
    assert typed("environment show --name e --version 1 --built --query built.state -o tsv").out == "absent\n"
    built = typed("environment build --name e --version 1")
    assert "Built with Python 3.11" in built.err
    assert (built.json["state"], built.json["name"]) == ("built", "e")
    assert "thin==3.0" in built.json["packages"]
    assert built.json["seconds"] > 0
    assert Path(built.json["interpreter"]).exists()
    shown = typed("environment show --name e --label latest --built").json
    assert shown["built"] == built.json
    assert shown["image"] == "base"
    (listed,) = typed("environment list --built --name e").json
    assert listed["path"] == built.json["path"]
    assert typed("environment list --built --name other").json == []
    assert typed("environment build --name e --label latest --only-show-errors").err == ""
    assert [one["name"] for one in typed("environment prune --older-than 0 --dry-run").json] == [
        Path(built.json["path"]).name
    ]
    assert typed("environment prune").json == []
    typed("environment prune --older-than 0 --yes")
    assert not Path(built.json["path"]).exists()
    assert typed("environment list --built").json == []


def test_a_build_that_fails_ends_with_1_and_the_resolvers_own_words_first(typed: Type) -> None:
    registered(typed, "e", "thin==9")
    failed = typed("environment build --name e --version 1 --only-show-errors", 1)
    assert "there is no version of thin==9" in failed.err.splitlines()[1]
    assert "The environment could not be built" in failed.err
    assert "wheels_folder" not in failed.out


def test_what_is_not_there_or_needs_no_build_is_said(typed: Type) -> None:
    assert "nope" in typed("environment build --name nope --version 1", 1).err
    typed("environment create --name here --python /usr/bin/env -o none")
    assert typed("environment build --name here --version 1").json["state"] == "existing"
    typed("environment create --name box --image base -o none")
    assert "no container runtime" in typed("environment build --name box --version 1", 1).err


def test_a_setting_that_is_no_truth_is_refused(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHPOINT_NO_INDEX", "perhaps")
    assert "no_index is 'perhaps', which is not true or false" in typed("environment list", 1).err
