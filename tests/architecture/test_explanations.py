"""Every code that a person may meet is explained, and nothing is explained that cannot happen."""

import ast
import inspect
import re
from collections.abc import Iterator

import pytest

from batchpoint import errors
from batchpoint.explanations import KINDS, Explanation, explanations, find
from tests.architecture.sources import Module, imports, modules

CODE = re.compile(r"([A-Z][a-z]+){2,}")
#: Words in the same spelling that are no codes.
OTHER_WORDS = {"DataFrame", "EntryScript", "RecordBatch"}
#: Printed by the command line for what the system refuses, and by the engine for the rest of many reasons.
ALSO_SHOWN = {"OSError", "Other"}


def codes_of_errors() -> dict[str, type[errors.BatchpointError]]:
    kinds = (kind for _, kind in inspect.getmembers(errors, inspect.isclass))
    return {
        kind.code: kind
        for kind in kinds
        if issubclass(kind, errors.BatchpointError) and kind is not errors.BatchpointError
    }


def codes_of_failures() -> set[str]:
    """First words of a Failure or a Refused anywhere, and every word of that spelling in the worker."""
    places = modules("batchpoint_worker") + modules("batchpoint")
    return {code for module in places for code in (*_failures_in(module), *_words_in(module))} - OTHER_WORDS


def codes_of_findings() -> set[str]:
    """Every word of that spelling in what makes findings."""
    makers = [one for one in modules("batchpoint") if ".preflight" in one.name and ".cli" not in one.name]
    words = (node.value for module in makers for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    return {word for word in words if isinstance(word, str) and CODE.fullmatch(word)}


def _failures_in(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Failure", "Refused"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _words_in(module: Module) -> Iterator[str]:
    if module.name.startswith("batchpoint_worker") and "shims" not in module.name:
        # Annotations are texts too there.
        imported = {name.rpartition(".")[2] for name, _ in imports(module)}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                yield from {node.value} - imported


def test_every_code_is_explained_and_every_explanation_has_its_code() -> None:
    possible = set(codes_of_errors()) | codes_of_failures() | codes_of_findings() | ALSO_SHOWN
    explained = set(explanations())
    assert possible - explained == set(), "write a section in src/batchpoint/explanations.toml"
    assert explained - possible == set(), "nothing has this code any more"


@pytest.mark.parametrize("found", explanations().values(), ids=lambda found: found.code)
def test_an_explanation_is_complete_and_of_the_right_kind(found: Explanation) -> None:
    assert found.about in KINDS
    error = codes_of_errors().get(found.code)
    if error is not None:
        job, request = issubclass(error, errors.JobFailed), issubclass(error, errors.UserError)
        assert found.about == ("job" if job else "request" if request else "machine")
    for sentence in (found.means, *found.causes, *found.remedies):
        assert sentence.endswith((".", "?")), sentence
        assert sentence == " ".join(sentence.split()), sentence
    assert found.causes
    assert found.remedies
    assert found.example


def test_a_code_is_found_in_any_case_and_as_it_is_printed() -> None:
    for code, found in explanations().items():
        assert find(code.upper()) is found
        assert find(f"({code}) ") is found
    assert find("NoSuchCode") is None
