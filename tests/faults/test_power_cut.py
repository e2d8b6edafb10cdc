"""T-C11, the power goes: whatever was acknowledged is there afterwards, and the job ends as if nothing had been.

What the rig does stands in ``power_cut``. A rig that is told to sync nothing has to go wrong: else it is blind.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("POWER_CUT_SEED", "0")) or int.from_bytes(os.urandom(3), "big")
RUNS = int(os.environ.get("POWER_CUT_RUNS", "200"))
LYING_RUNS = 24


def cuts(folder: Path, runs: int, *flags: str) -> dict[str, Any]:
    """What the rig found; its mounts are in a namespace that ends with it."""
    print(f"power cuts: seed {SEED}, {runs} runs {' '.join(flags)}")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.faults.power_cut"]
    command += [str(folder), str(runs), str(SEED), *flags]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{found['seconds']:.0f} s, a job alone {found['span_s']:.2f} s, wrong in {len(found['wrong'])}")
    assert found["runs"] == runs
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    missing = [tool for tool in ("unshare", "mkfs.ext4", "losetup", "mount") if shutil.which(tool) is None]
    assert not missing, f"install {missing} to cut the power"
    assert os.getuid() == 0, "only root may mount"
    return tmp_path


def test_nothing_acknowledged_is_lost_and_nothing_is_corrupt_after_power_cuts(folder: Path) -> None:
    assert cuts(folder, RUNS)["wrong"] == {}


def test_the_rig_sees_what_is_lost_when_nothing_is_synced(folder: Path) -> None:
    found = cuts(folder, LYING_RUNS, "--lying")
    assert len(found["wrong"]) >= 0.3 * LYING_RUNS, "the rig is blind"
