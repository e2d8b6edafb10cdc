"""The JSON Schemas of the YAML files, under the names that ``$schema`` lines give them.

docs/generate.py writes the files beside this module from the nouns; the command line prints and the server serves them.
"""

from pathlib import Path

from batchpoint.errors import ResourceNotFound

SUFFIX = ".schema.json"


def names() -> list[str]:
    """Every schema, without the suffix."""
    return sorted(path.name.removesuffix(SUFFIX) for path in Path(__file__).parent.glob(f"*{SUFFIX}"))


def text_of(name: str) -> str:
    """The schema ``name`` in any case, with or without the suffix; ResourceNotFound names all there are."""
    wanted = name.lower().removesuffix(SUFFIX)
    found = next((known for known in names() if known.lower() == wanted), None)
    if found is None:
        raise ResourceNotFound(f"There is no schema {name}. Schemas: {', '.join(names())}.", target=name)
    return Path(__file__).with_name(found + SUFFIX).read_text(encoding="utf-8")
