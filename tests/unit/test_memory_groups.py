"""Where the memory limit of a process is found: version 1 and 2 of control groups, within a container and outside."""

from pathlib import Path

import pytest

from batchpoint.compute import oom
from batchpoint.compute.oom import memory_groups


def groups(folder: Path, said: str, *there: str) -> list[str]:
    """The groups that a process finds whose cgroup file says this, where these folders are mounted."""
    for name in there:
        (folder / "mount" / name).mkdir(parents=True, exist_ok=True)
    (folder / "cgroup").write_text(said)
    found = memory_groups(folder / "cgroup", folder / "mount")
    return [str(one.relative_to(folder / "mount")) for one in found]


@pytest.mark.parametrize(
    ("said", "there", "found"),
    [
        ("0::/user.slice/job\n", ["user.slice/job"], ["user.slice/job", "user.slice", "."]),
        ("0::/\n", ["."], ["."]),
        ("0::/../outside\n", ["."], ["."]),
        ("4:memory:/lot/one\n0::/\n", ["memory/lot/one"], ["memory/lot/one", "memory/lot", "memory", "."]),
        ("4:cpu,memory:/docker/abc\n", ["memory"], ["memory"]),
        ("4:cpu:/lot/one\n", ["memory", "cpu/lot/one"], []),
    ],
)
def test_the_groups_above_a_process_are_found_and_those_of_the_host_are_not_missed(
    tmp_path: Path, said: str, there: list[str], found: list[str]
) -> None:
    assert groups(tmp_path, said, *there) == found


def test_the_lowest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder, name, limit in (
        (first, "memory.max", "max"),
        (second, "memory.max", "300000000"),
        (third, "memory.limit_in_bytes", "9223372036854771712"),
    ):
        folder.mkdir()
        (folder / name).write_text(f"{limit}\n")
    monkeypatch.setattr(oom, "memory_groups", lambda: [first, second, third])
    assert oom.limit_bytes() == 300_000_000
    (second / "memory.max").write_text("max\n")
    assert oom.limit_bytes() == oom.machine.memory_bytes()
