"""Reads one file as the script for models without one does, with a signature made by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpoint_worker.failures import Refused
from batchpoint_worker.tables.model_input import model_input
from batchpoint_worker.tables.reading import read
from batchpoint_worker.tables.signature import Signature
from batchpoint_worker.tables.wanted import Wanted

Inputs = list[dict[str, Any]]


def column(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": True, **more}


def tensor(dtype: str, *shape: int, name: str | None = None) -> dict[str, Any]:
    told = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}
    return told if name is None else {**told, "name": name}


#: Two columns of numbers.
AGE_AND_PRICE = [column("age", "long"), column("price", "double")]


@dataclass
class Given:
    """What a model is given of a file, and what stands beside its predictions."""

    count: int
    first_row: int | None
    #: A DataFrame, an array, or a dict of arrays; None for a file without rows.
    data: Any
    passed: dict[str, list[Any]]

    def columns(self) -> dict[str, list[Any]]:
        return {str(name): self.data[name].tolist() for name in self.data}

    def dtypes(self) -> dict[str, str]:
        return {str(name): str(kind) for name, kind in self.data.dtypes.items()}


def given(item: str | Path, inputs: Inputs, passthrough: Sequence[str] = ()) -> Given:
    signature = Signature(inputs)
    columns = read(str(item), Wanted(signature, list(passthrough)))
    data = model_input(columns, signature) if columns.count else None
    return Given(columns.count, columns.first_row, data, {name: listed(some) for name, some in columns.passed})


def listed(values: Iterable[Any]) -> list[Any]:
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def refusal(item: str | Path, inputs: Inputs, passthrough: Sequence[str] = ()) -> str:
    """Why the file is rejected."""
    try:
        found = given(item, inputs, passthrough)
    except Refused as refused:
        assert refused.code == "ItemRejected"
        return refused.message
    raise AssertionError(f"the file was read: {found}")
