"""The table of faults names a test for each of them, and each test that it names is there."""

import ast
import tomllib

import pytest

from tests.architecture.sources import ROOT

TABLE = tomllib.loads((ROOT / "tests" / "faults" / "fault_table.toml").read_text(encoding="utf-8"))
#: Faults that only a sandbox can contain.
OF_A_SANDBOX = {7, 8, 22, 23, 25}
WANTED = (
    [f"B{number}" for number in range(1, 26) if number not in OF_A_SANDBOX]
    + [f"D{number}" for number in range(1, 9)]
    + [f"G{number}" for number in range(1, 18)]
)


def test_the_table_has_every_fault() -> None:
    assert list(TABLE) == WANTED


@pytest.mark.parametrize("fault", TABLE)
def test_each_fault_has_a_test(fault: str) -> None:
    entry = TABLE[fault]
    assert entry["fault"] and entry["tests"]
    missing = []
    for name in entry["tests"]:
        path, _, function = name.partition("::")
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        if function not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(name)
    assert not missing
