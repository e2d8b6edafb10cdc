"""The wheel holds what the product reads at run time: schemas, explanations, migrations, and the worker package."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from batchpoint.entities.schemas import SUFFIX, names
from tests.architecture.sources import ROOT, SRC

#: Files beside the code that are no modules.
DATA = {".toml", ".json", ".mako", ".typed"}


def test_the_wheel_holds_every_module_and_every_data_file(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.*")
        if path.suffix in DATA | {".py"} and "__pycache__" not in path.parts
    }
    assert not wanted - packed
    assert "batchpoint/explanations.toml" in packed
    assert {f"batchpoint/entities/schemas/{name}{SUFFIX}" for name in names()} <= packed
