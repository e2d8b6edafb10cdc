"""Writes what is derived from the code: `python docs/generate.py`. A test holds every file to what it would write.

That is docs/reference, docs/troubleshooting.md, and the JSON Schemas that the package ships.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from generating import commands, json_schemas, settings, troubleshooting, yaml_pages  # noqa: E402

#: Folders in which nothing else may stand.
OURS = ("docs/reference", "src/batchpoint/entities/schemas")


def pages() -> dict[str, str]:
    """Every generated file by its path from the root of the project."""
    found = {
        "docs/reference/commands.md": commands.page(),
        "docs/reference/settings.md": settings.page(),
        "docs/troubleshooting.md": troubleshooting.page(),
    }
    found |= {f"docs/reference/yaml/{name}": text for name, text in yaml_pages.pages().items()}
    schemas = json_schemas.schema_texts()
    return found | {f"src/batchpoint/entities/schemas/{name}": text for name, text in schemas.items()}


def stray() -> list[Path]:
    """Files that an earlier run wrote and this one would not."""
    known = {ROOT / name for name in pages()}
    return [
        path
        for folder in OURS
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".md", ".json") and path not in known
    ]


def main() -> int:
    for path in stray():
        path.unlink()
    for name, text in pages().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
