"""The documents hold together: every relative link leads somewhere."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, SRC

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
FOLDERS = {p.name for root in (ROOT, SRC, SRC / "batchpoint") for p in root.iterdir() if p.is_dir()}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text(encoding="utf-8")) if not _resolves(document, link)]
    assert not broken


def test_every_key_setting_and_flag_has_a_meaning() -> None:
    """In generated tables the meaning is the last column but for "also written"."""
    empty = []
    for page in (ROOT / "docs/reference").rglob("*.md"):
        for row in re.findall(r"^\| `.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
            if not cells[4 if len(cells) == 6 else -1]:
                empty.append(f"{page.name}: {cells[0]}")
    assert not empty, "write a #: comment above the field, or the help of the flag"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    # Two folders have an index of their own.
    pages = {page for page in DOCUMENTS if page.is_relative_to(ROOT / "docs") and page.name != "README.md"}
    pages -= {page for folder in ("decisions", "reference/yaml") for page in (ROOT / "docs" / folder).glob("*.md")}
    assert {page.relative_to(ROOT / "docs").as_posix() for page in pages} <= set(LINK.findall(index))


def test_the_files_that_documents_name_exist() -> None:
    named = {path for d in DOCUMENTS for path in re.findall(r"`([a-z_]+/[a-z_./]+)`", d.read_text(encoding="utf-8"))}
    code = {path for path in named if path.partition("/")[0] in FOLDERS}
    assert not {path for path in code if not any((root / path).exists() for root in (ROOT, SRC, SRC / "batchpoint"))}


def _resolves(document: Path, link: str) -> bool:
    if link.startswith(("https://", "mailto:")):
        return True
    path, _, anchor = link.partition("#")
    target = (document.parent / path) if path else document
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_changelog_knows_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"## {project['version']} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_what_is_generated_says_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    stale = [
        name
        for name, text in generate.pages().items()
        if not (file := ROOT / name).exists() or file.read_text(encoding="utf-8") != text
    ]
    assert not stale + generate.stray(), "run: python docs/generate.py"
