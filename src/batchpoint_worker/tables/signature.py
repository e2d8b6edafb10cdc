"""What a model wants to be given: columns or tensors, as its signature tells it.

``mlflow_script`` makes it of a loaded model; readers ask it which columns of a file they need. It knows no file.
"""

import difflib

from batchpoint_worker.failures import Refused

MYPY = False
if MYPY:
    from collections.abc import Iterable
    from typing import Any

#: Names that a sentence lists at most.
_NAMES_SHOWN = 20


def rejected(message: str) -> Refused:
    """One file is at fault, for good: nobody tries it again, and the others of its mini-batch are scored without it."""
    return Refused("ItemRejected", message)


class Column:
    """One column that goes in."""

    def __init__(self, told: "dict[str, Any]") -> None:
        #: None where a model counts its columns and names none.
        self.name = told.get("name")  # type: str | None
        kind = told.get("type", "any")
        #: boolean, integer, long, float, double, string, binary, datetime; array, object, map or any for nested ones.
        self.type = kind if isinstance(kind, str) else str(kind.get("type", "any"))
        self.required = bool(told.get("required", not told.get("optional", False)))


class Tensor:
    """One array that goes in; -1 in its shape stands for any number."""

    def __init__(self, told: "dict[str, Any]") -> None:
        spec = told.get("tensor-spec", {})
        self.name = told.get("name")  # type: str | None
        self.dtype = str(spec.get("dtype", "float64"))
        self.shape = tuple(int(size) for size in spec.get("shape", (-1,)))


class Signature:
    """Either columns, or tensors, or neither for a model that says nothing."""

    def __init__(self, inputs: "Iterable[dict[str, Any]]") -> None:
        told = list(inputs)
        is_tensors = any(one.get("type") == "tensor" for one in told)
        self.columns = [] if is_tensors else [Column(one) for one in told]
        self.tensors = [Tensor(one) for one in told] if is_tensors else []

    @property
    def is_unnamed(self) -> bool:
        """Whether columns are told apart by their places alone."""
        return bool(self.columns) and all(column.name is None for column in self.columns)

    def of_header(self, where: str, header: "list[str]") -> "dict[str, Column]":
        """Which names of the header are wanted as which columns, in the order of the signature.

        Raises Refused for a required column that is not there, or that is there twice.
        """
        if self.is_unnamed:
            return self._by_place(where, header)
        there = set(header)
        self._demand(where, header, there)
        wanted = {str(column.name): column for column in self.columns if column.name in there}
        demand_single(where, header, wanted)
        return wanted

    def _demand(self, where: str, header: "list[str]", there: "set[str]") -> None:
        missing = [str(column.name) for column in self.columns if column.required and column.name not in there]
        if missing:
            raise rejected(
                "%s: %s; the file has %s%s"
                % (where, _lacks("the model's signature wants", missing), listed(header), did_you_mean(missing, header))
            )

    def _by_place(self, where: str, header: "list[str]") -> "dict[str, Column]":
        if len(header) < len(self.columns):
            raise rejected(
                "%s: the model's signature wants %d columns, and the file has %d: %s; add what is missing"
                % (where, len(self.columns), len(header), listed(header))
            )
        wanted = dict(zip(header, self.columns))
        demand_single(where, header, header[: len(self.columns)])
        return wanted


def demand_single(where: str, header: "list[str]", wanted: "Iterable[str]") -> None:
    """Raises Refused for a wanted name that more than one column of the file has."""
    if len(set(header)) == len(header):
        return
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise rejected(
            "%s: the file has more than one column named %s; which one is meant cannot be told: rename or remove one"
            % (where, listed(dict.fromkeys(twice)))
        )


def demand_there(where: str, header: "Iterable[str]", names: "Iterable[str]") -> None:
    """Raises Refused for a column that is to be passed through and is not in the file."""
    there = list(header)
    missing = [name for name in names if name not in there]
    if missing:
        hint = did_you_mean(missing, there, "take it out of passthrough_columns")
        raise rejected(
            "%s: %s; the file has %s%s" % (where, _lacks("passthrough_columns names", missing), listed(there), hint)
        )


def _lacks(who: str, missing: "list[str]") -> str:
    what = "the column" if len(missing) == 1 else "the columns"
    verb = "which is" if len(missing) == 1 else "which are"
    return "%s %s %s, %s not in the file" % (who, what, listed(missing), verb)


def did_you_mean(
    missing: "list[str]", header: "list[str]", otherwise: str = "score it with the model that it was made for"
) -> str:
    """A hint at what may have been meant, or at what else can be done than to add the columns."""
    if len(header) == 1 and len(missing) > 1:
        for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in header[0]:
                return "; it seems to be separated by %s: write it with commas, or name a file with tabs .tsv" % name
    plain = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in header}
    found = []
    for name in missing:
        like = name.strip().lower().replace(" ", "_").replace("-", "_")
        near = [plain[like]] if like in plain else difflib.get_close_matches(name, header, 1)
        found += ["%r for %r" % (one, name) for one in near]
    if not found:
        return ". Add what is missing to the file, or " + otherwise
    return ". Did you mean %s? Then rename it" % " and ".join(found[:5])


def listed(names: "Iterable[str]") -> str:
    """Names in quotes, not too many of them."""
    some = list(names)
    shown = ", ".join(repr(name) for name in some[:_NAMES_SHOWN])
    rest = len(some) - _NAMES_SHOWN
    return (shown + (" and %d more" % rest if rest > 0 else "")) or "none"
