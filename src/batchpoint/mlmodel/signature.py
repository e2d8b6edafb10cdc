"""What a model's signature says: the columns or tensors that go in and come out, and the parameters of a call.

``reading`` takes it out of an MLmodel file; preflight compares it with the headers of files. It knows no file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

#: The types of one value. ``any`` fits everything.
SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any")
_DEEPEST = 32


@dataclass(frozen=True)
class ColumnType:
    """The type of a column, or of what stands in one.

    ``kind`` is one of SCALARS, or ``array`` (of ``items``), ``map`` (to ``items``) or ``object`` (of ``properties``).
    """

    kind: str
    items: "ColumnType | None" = None
    properties: tuple["Column", ...] = ()

    def __str__(self) -> str:
        if self.kind == "object":
            return "{" + ", ".join(f"{one.name}: {one.type}" for one in self.properties) + "}"
        return f"{self.kind}({self.items})" if self.items else self.kind


@dataclass(frozen=True)
class Column:
    """One column of a table, or one property of an object."""

    #: None where a signature names no columns: then order alone counts.
    name: str | None
    type: ColumnType
    #: False for one that may be left out.
    required: bool = True


@dataclass(frozen=True)
class Tensor:
    """One array."""

    name: str | None
    #: As NumPy calls it, ``float32``.
    dtype: str
    #: -1 for a length that is free.
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Schema:
    """What goes in, or comes out: columns or tensors, never both."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()

    @property
    def is_tensor(self) -> bool:
        """True where arrays are wanted and not a table."""
        return bool(self.tensors)


@dataclass(frozen=True)
class Param:
    """A parameter of a call, and what it is when nobody says otherwise."""

    name: str
    type: ColumnType
    default: object
    #: (-1,) for a list of values, None for one.
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """Each part is None where the model says nothing about it."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[Param, ...] = ()


def read_signature(said: dict[str, object]) -> Signature | None:
    """The signature in its block of an MLmodel file; None for an empty one. Raises ValueError with what is wrong."""
    inputs, outputs = _schema(said.get("inputs"), "inputs"), _schema(said.get("outputs"), "outputs")
    params = tuple(_param(one, f"params[{i}]") for i, one in enumerate(_list(said.get("params"), "params")))
    return Signature(inputs, outputs, params) if inputs or outputs or params else None


def _list(written: object, where: str) -> Sequence[object]:
    """Text in JSON, as MLflow writes it, or the same in YAML."""
    if isinstance(written, str):
        try:
            written = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where} is no JSON: {_spoken(error)}") from None
    if written is None:
        return ()
    if not isinstance(written, list):
        raise ValueError(f"{where} is no list")
    return written


def _spoken(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "it is nested too deeply"


def _schema(written: object, where: str) -> Schema | None:
    specs = [_block(one, f"{where}[{position}]") for position, one in enumerate(_list(written, where))]
    if not specs:
        return None
    are_tensors = [one.get("type") == "tensor" for one in specs]
    if all(are_tensors):
        return Schema(tensors=tuple(_tensor(one, f"{where}[{i}]") for i, one in enumerate(specs)))
    if any(are_tensors):
        raise ValueError(f"{where} mixes tensors with columns")
    return Schema(columns=tuple(_column(one, f"{where}[{i}]", one.get("name")) for i, one in enumerate(specs)))


def _block(written: object, where: str) -> dict[str, object]:
    if not isinstance(written, dict):
        raise ValueError(f"{where} is no block with a type")
    return written


def _column(spec: dict[str, object], where: str, name: object, depth: int = 0) -> Column:
    # Early versions of MLflow 2 wrote "optional"; later ones say what is required.
    required = spec.get("required", not spec.get("optional", False))
    return Column(None if name is None else str(name), _type(spec, where, depth), bool(required))


def _type(spec: object, where: str, depth: int = 0) -> ColumnType:
    if depth > _DEEPEST:
        raise ValueError(f"{where} is nested too deeply")
    block = {"type": spec} if isinstance(spec, str) else _block(spec, where)
    kind = block.get("type")
    if kind in SCALARS:
        return ColumnType(str(kind))
    if kind == "sparkml vector":
        return ColumnType("array", ColumnType("double"))
    if kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        return ColumnType(str(kind), _type(block.get(inner), f"{where}.{inner}", depth + 1))
    if kind == "object":
        below = _block(block.get("properties"), f"{where}.properties")
        at = f"{where}.properties"
        return ColumnType(
            "object",
            properties=tuple(
                _column(_block(one, f"{at}.{key}"), f"{at}.{key}", key, depth + 1) for key, one in below.items()
            ),
        )
    raise ValueError(f"{where} has the type {kind!r}, which no column has")


def _tensor(spec: dict[str, object], where: str) -> Tensor:
    inner = _block(spec.get("tensor-spec"), f"{where}.tensor-spec")
    name = spec.get("name")
    shape = _shape(inner.get("shape"), f"{where}.tensor-spec.shape")
    return Tensor(None if name is None else str(name), str(inner.get("dtype")), shape or ())


def _shape(written: object, where: str) -> tuple[int, ...] | None:
    if written is None:
        return None
    if not isinstance(written, list) or not all(isinstance(one, int) for one in written):
        raise ValueError(f"{where} is no list of whole numbers")
    return tuple(written)


def _param(written: object, where: str) -> Param:
    spec = _block(written, where)
    # MLflow 2.6 to 2.9 wrote dtype, and later versions write both.
    kind = spec if spec.get("type") else spec.get("dtype")
    return Param(str(spec.get("name")), _type(kind, where), spec.get("default"), _shape(spec.get("shape"), where))
