"""Model folders that were made to stop whoever reads them: each is read, or refused by name, in a moment."""

from pathlib import Path

import pytest

from batchpoint.environments.conda.dependencies import read_item
from batchpoint.environments.spec import read_spec
from batchpoint.errors import NotSupported, ValidationFailed
from batchpoint.mlmodel import read_mlmodel
from batchpoint.mlmodel.environment import environment_of

MLMODEL = "flavors:\n  python_function:\n    loader_module: taxi\n    python_version: {python}\n    env: {env}\n"
DIGITS = "1" * 5000


def model(folder: Path, python: str = "3.11.0", env: str = "conda.yaml", **files: str) -> Path:
    (folder / "MLmodel").write_text(MLMODEL.format(python=python, env=env) + f"mlflow_version: '{DIGITS}.1'\n")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def wanted(folder: Path) -> tuple[str, ...]:
    return read_spec(environment_of(read_mlmodel(folder)).environment).requirements


@pytest.mark.parametrize("filling", ["\n", " ", "a \\\n", " --hash"])
def test_a_megabyte_of_white_space_is_read_at_once(tmp_path: Path, filling: str) -> None:
    model(tmp_path, requirements__txt="taxi" + filling * (900_000 // len(filling)) + "\n")
    try:
        assert "taxi" in " ".join(wanted(tmp_path))
    except NotSupported as error:
        assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("python", "env"),
    [(f"'3.{DIGITS}'", "conda.yaml"), ("3.11.0", f"{'a' * 5000}.yaml"), ("3.11.0", r'"\ud800.yaml"'), ("3", "[a]")],
)
def test_numbers_and_names_that_nobody_can_use_break_nothing(tmp_path: Path, python: str, env: str) -> None:
    model(tmp_path, python, env, requirements__txt="taxi\n")
    try:
        assert "taxi" in wanted(tmp_path)
    except NotSupported as error:
        assert "python=3.1111" in error.message


@pytest.mark.parametrize("named", ["a" * 5000, "a\0b", "circle", "/etc/passwd", "../outside.txt", "link"])
def test_a_list_that_names_no_file_of_the_folder_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "outside.txt").write_text("outside\n")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "circle").symlink_to("circle")
    (folder / "link").symlink_to("../outside.txt")
    model(folder, requirements__txt=f"-r {named}\n")
    with pytest.raises(ValidationFailed, match="is not in the model's folder"):
        wanted(folder)


def test_a_link_to_itself_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").symlink_to("conda.yaml")
    assert "taxi" in wanted(model(tmp_path, requirements__txt="taxi\n"))


def test_lists_that_name_each_other_do_not_multiply(tmp_path: Path) -> None:
    lists = {f"list{n}__txt": f"-r list{n + 1}.txt\n" * 200 for n in range(6)}
    model(tmp_path, requirements__txt="-r list0.txt\n" * 200, list6__txt="taxi\n", **lists)
    with pytest.raises(ValidationFailed, match="more than 100 files"):
        wanted(tmp_path)


def test_a_marker_in_thousands_of_parentheses_is_refused(tmp_path: Path) -> None:
    model(tmp_path, requirements__txt=f"taxi; {'(' * 5000}\n-c limits.txt\n", limits__txt=f"taxi; {'(' * 5000}\n")
    with pytest.raises(NotSupported, match="cannot be read"):
        wanted(tmp_path)


@pytest.mark.parametrize("item", ["numpy =!!a" + ",!!a" * 100 + "(", "numpy [" + "version=" * 50_000 + "]x"])
def test_a_conda_line_that_can_be_read_in_any_number_of_ways_is_refused(item: str) -> None:
    with pytest.raises(NotSupported, match="cannot be read"):
        read_item(item)
