"""The reference of YAML files: its examples load, and its keys are those that the loader takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchpoint.entities.from_yaml import load
from batchpoint.entities.noun import Noun
from tests.unit.reference import ROOT, files_for_examples, json_schemas, problems, refusals, schema_for, yaml_pages

PAGES = {page.name: page for page in yaml_pages.PAGES}
FOLDER = ROOT / "docs/reference/yaml"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```yaml.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([^`]+)` \|.*\| ([^|]*) \|$", re.MULTILINE)
#: Keys below which another page goes on.
ELSEWHERE = {"model": "model", "environment": "environment"}


def text_of(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def examples() -> Iterator[Any]:
    for name in PAGES:
        for number, found in enumerate(BLOCK.finditer(text_of(name)), start=1):
            yield pytest.param(name, found[1], id=f"{name}-{number}")


@pytest.mark.parametrize(("name", "text"), [*examples()])
def test_an_example_loads_and_passes_its_schema(name: str, text: str, tmp_path: Path) -> None:
    path = files_for_examples(tmp_path) / "doc.yml"
    path.write_text(text)
    noun = PAGES[name].noun
    assert load(noun, path)
    assert refusals(schema_for(noun, text), text) == []


def examples_elsewhere() -> Iterator[Any]:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/guide/*.md"), *ROOT.glob("examples/**/*.md")]
    for page in sorted(pages):
        for number, found in enumerate(ANY_BLOCK.finditer(page.read_text(encoding="utf-8")), start=1):
            yield pytest.param(found[1], id=f"{page.stem}-{number}")


@pytest.mark.parametrize("text", [*examples_elsewhere()])
def test_a_yaml_file_on_any_other_page_is_one_that_loads(text: str, tmp_path: Path) -> None:
    path = files_for_examples(tmp_path) / "doc.yml"
    path.write_text(text)
    found = {page.noun: problems(page.noun, path) for page in yaml_pages.PAGES}
    noun = min(found, key=lambda noun: len(found[noun]))
    assert found[noun] == ()
    assert refusals(schema_for(noun, text), text) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_smallest_and_a_complete_example(name: str) -> None:
    text = text_of(name)
    assert len(BLOCK.findall(text)) >= 2
    assert "\nSmallest" in text
    assert "\nComplete" in text


def test_the_deployment_is_shown_in_every_dialect() -> None:
    shown = " ".join(BLOCK.findall(text_of("deployment")))
    assert all(words in shown for words in ("local_path: ./model", "path: ./model", "settings:", "target: azureml:"))


# ---- keys -----------------------------------------------------------------------------------------------------------


def keys_on(page: str) -> set[str]:
    """Every dotted key that a page says may be written."""
    found = set()
    for key, others in ROW.findall(text_of(page)):
        found |= {key, *re.findall(r"`([^`]+)`", others)}
    dropped = re.search(r"^Read and dropped.*: (.*)\.$", text_of(page), re.MULTILINE)
    assert dropped
    return found | set(re.findall(r"`([^`]+)`", dropped[1]))


def blocks_of(keys: set[str]) -> set[str]:
    """The keys that have keys below them, and "" for the root."""
    return {key.rpartition(".")[0] for key in keys}


def document(key: str) -> dict[str, Any]:
    """A document with nothing in it but ``key``, without a value."""
    tree: dict[str, Any] = {}
    here = tree
    *blocks, last = key.split(".")
    for step in blocks:
        here[step] = here = {}
    here[last] = None
    return tree


def is_known(noun: type[Noun], key: str, path: Path) -> bool:
    path.write_text(yaml.safe_dump(document(key)))
    return not any("unknown key" in problem.message for problem in problems(noun, path))


@pytest.mark.parametrize("name", PAGES)
def test_the_keys_on_a_page_are_those_that_the_loader_takes(name: str, tmp_path: Path) -> None:
    noun, listed, path = PAGES[name].noun, keys_on(name), tmp_path / "doc.yml"
    words = {step for page in PAGES for key in keys_on(page) for step in key.split(".")} | {"unheard_of"}
    # A refused key has a sentence of its own.
    words -= set(noun.refusals)
    refused = {key for key in listed if not is_known(noun, key, path)}
    assert refused == set()
    open_blocks = {block for block in blocks_of(listed) if block.partition(".")[0] not in ELSEWHERE}
    everything = {f"{block}.{word}" if block else word for block in open_blocks for word in words}
    unlisted = {key for key in everything - listed if is_known(noun, key, path)}
    # Inner blocks take $schema too, and a block is listed by its keys.
    assert {key for key in unlisted if not key.endswith("$schema")} <= blocks_of(listed)


@pytest.mark.parametrize("kind", json_schemas.KINDS, ids=lambda kind: kind.name)
def test_a_schema_has_the_keys_of_its_page(kind: Any) -> None:
    name = next(page.name for page in yaml_pages.PAGES if page.noun is kind.noun)
    top = {key.partition(".")[0] for key in keys_on(name)}
    schema = json_schemas.block(kind.noun, is_root=True)
    assert set(schema["properties"]) == top
