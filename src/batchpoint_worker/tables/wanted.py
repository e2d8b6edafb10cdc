"""Which columns of one file are read, and as what: those of the signature, and those that are passed through.

Readers ask once for each file, with its header; they know nothing of signatures.
"""

from batchpoint_worker.tables.signature import Signature, demand_single, demand_there, listed, rejected

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

    from batchpoint_worker.tables.signature import Tensor

#: The type of a column whose values stay as they stand in the file.
VERBATIM = "verbatim"
#: What the elements of a tensor are read as.
KINDS_OF_TENSORS = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer", "bool": "boolean"}
_TEXTS = ("str", "object", "bytes", "datetime")


class Reading:
    """What is read of one file."""

    def __init__(self, inputs: "dict[str, str]", passed: "list[str]") -> None:
        #: Columns that the model gets → their types, in the order of the signature; of one tensor, all that it is of.
        self.inputs = inputs
        self.passed = passed
        #: All columns → their types.
        self.kinds = dict.fromkeys(passed, VERBATIM)
        self.kinds.update(inputs)


class Wanted:
    """What a job wants of every file."""

    def __init__(self, signature: Signature, passthrough: "list[str]") -> None:
        self.signature = signature
        self.passthrough = passthrough

    @property
    def is_unchecked(self) -> bool:
        """Whether a model takes files as they are."""
        return not self.signature.columns and not self.signature.tensors

    def passed(self, where: str, header: "list[str]") -> "list[str]":
        """The columns that are passed through; raises Refused when the file lacks one of them."""
        if self.passthrough == ["*"]:
            return list(dict.fromkeys(header))
        demand_there(where, header, self.passthrough)
        demand_single(where, header, self.passthrough)
        return self.passthrough

    def of(self, where: str, header: "list[str]", numeric: "Callable[[], set[str]]") -> Reading:
        """What is read of a file with this header; ``numeric``: those of its columns that hold numbers.

        Raises Refused for a file that does not fit.
        """
        passed = self.passed(where, header)
        if self.passthrough == ["*"]:
            demand_single(where, header, passed)
        if self.signature.tensors:
            return Reading(self._of_tensors(where, header, numeric), passed)
        columns = self.signature.of_header(where, header)
        return Reading({name: column.type for name, column in columns.items()}, passed)

    def _of_tensors(self, where: str, header: "list[str]", numeric: "Callable[[], set[str]]") -> "dict[str, str]":
        tensors = self.signature.tensors
        if len(tensors) == 1 and (tensors[0].name is None or tensors[0].name not in header):
            return dict.fromkeys(self._elements(where, header, numeric, tensors[0]), kind_of(tensors[0]))
        demand_there(where, header, [str(tensor.name) for tensor in tensors])
        demand_single(where, header, [str(tensor.name) for tensor in tensors])
        return {str(one.name): kind_of(one) if elements_of(one) == 1 else "array" for one in tensors}

    def _elements(
        self, where: str, header: "list[str]", numeric: "Callable[[], set[str]]", tensor: "Tensor"
    ) -> "list[str]":
        """The columns that one tensor is made of: those that are not only passed through, or else the numeric ones."""
        kept = set() if self.passthrough == ["*"] else set(self.passthrough)
        size = elements_of(tensor)
        own = [name for name in header if name not in kept]
        if len(own) != size:
            numbers = numeric()
            own = [name for name in own if name in numbers]
        if size is None or len(own) == size:
            demand_single(where, header, own)
            return own
        raise rejected(
            "%s: the model's signature wants %d numbers in a row (a tensor of shape %s), and the file has %d columns "
            "of numbers: %s; leave out what is no feature, or name it in passthrough_columns"
            % (where, size, list(tensor.shape), len(own), listed(own))
        )


def elements_of(tensor: "Tensor") -> "int | None":
    """How many values one row has; None where the signature leaves that open."""
    size = 1
    for length in tensor.shape[1:]:
        if length < 0:
            return None
        size *= length
    return size


def kind_of(tensor: "Tensor") -> str:
    """The type that a tensor's elements are read as."""
    if tensor.dtype.startswith(_TEXTS):
        return "string"
    if tensor.dtype in KINDS_OF_TENSORS:
        return KINDS_OF_TENSORS[tensor.dtype]
    return "long" if "int" in tensor.dtype else "double"


class Columns:
    """What was read of one file: columns by name, each an Arrow array, a pandas Series or a list; or images."""

    def __init__(self, name: str, count: int, first_row: "int | None") -> None:
        #: Base name of the file.
        self.name = name
        #: Rows; of images the number of pictures.
        self.count = count
        #: Index in the file of the first of them; None for an image.
        self.first_row = first_row
        self.inputs: "dict[str, Any]" = {}
        self.passed: "list[tuple[str, Any]]" = []
        #: Rows without names for their values, for a model with one tensor; in place of ``inputs``.
        self.rows: "list[Any] | None" = None
        #: What the model gets as it is, in place of both.
        self.whole: "Any" = None
