"""A model below AZUREML_MODEL_DIR: really there, links followed, and the same again after each revision."""

from pathlib import Path

import pytest

from batchpoint.engine.preparation.model_folder import place_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "kept" / "heart"
    (folder / "data" / "inner").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "inner" / "weights").write_bytes(b"\x00" * 10)
    (folder / "elsewhere").symlink_to(tmp_path / "kept")
    return folder


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_lies_where_it_is_named_with_every_link_followed(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "job" / "model" / "heart"
    place_model(model, place)
    assert below(place) == below(model)
    assert place.resolve().is_relative_to(place.parent.resolve())
    assert (place / "data" / "inner" / "weights").samefile(model / "data" / "inner" / "weights")


def test_another_model_of_the_same_name_takes_its_place(model: Path, tmp_path: Path) -> None:
    place, other = tmp_path / "job" / "heart", tmp_path / "other" / "heart"
    place_model(model, place)
    (other / "elsewhere").mkdir(parents=True)
    (other / "data").write_text("a file now")
    (other / "elsewhere" / "x").write_text("a folder now")
    for _ in range(2):
        place_model(other, place)
        assert below(place) == below(other) == {"data": b"a file now", "elsewhere/x": b"a folder now"}
    assert below(model)["data/inner/weights"] == b"\x00" * 10


def test_a_symbolic_link_that_stood_there_gives_way_and_its_target_stays(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "heart"
    place.symlink_to(model)
    place_model(model, place)
    assert not place.is_symlink()
    assert below(place) == below(model)


def test_a_model_of_one_file_is_one_file(tmp_path: Path) -> None:
    model, place = tmp_path / "model.pkl", tmp_path / "job" / "model.pkl"
    for content in (b"one", b"two"):
        model.unlink(missing_ok=True)
        model.write_bytes(content)
        place_model(model, place)
        assert place.read_bytes() == content
