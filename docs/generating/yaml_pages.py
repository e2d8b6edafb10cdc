"""The reference of YAML files: a page for each kind, its keys first, then examples that a test loads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset, Invocation
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.noun import Noun
from batchpoint.entities.workspace_record import WorkspaceRecord
from generating.json_schemas import KINDS
from generating.keys import Key, dropped_by, keys_of
from generating.markdown import GENERATED, table

EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Page:
    """One page."""

    #: File name and folder of the examples.
    name: str
    noun: type[Noun]
    title: str
    intro: str


PAGES = (
    Page(
        "endpoint",
        Endpoint,
        "Endpoint",
        "A lasting name to invoke: `batchpoint batch-endpoint create --file endpoint.yml`.",
    ),
    Page(
        "deployment",
        Deployment,
        "Deployment",
        "Model, script, environment, compute and settings behind an endpoint: `batchpoint batch-deployment create"
        " --file deployment.yml`. The settings may stand at the root, as until 2022, or in the block `settings`, as"
        " today; one setting in both places must have one value.",
    ),
    Page(
        "model",
        Model,
        "Model",
        "A file or folder under a name and a version: `batchpoint model create --file model.yml`. The same block"
        " stands below `model` in a deployment; there the name may be left out.",
    ),
    Page(
        "environment",
        Environment,
        "Environment",
        "The Python that runs a script: `batchpoint environment create --file environment.yml`. The same block stands"
        " below `environment` in a deployment; there the name may be left out. It needs `python`, or `image` with a"
        " `conda_file` beside it.",
    ),
    Page(
        "data",
        DataAsset,
        "Data asset",
        "A registered input: `batchpoint data create --file data.yml`. The files are not copied.",
    ),
    Page(
        "datastore",
        Datastore,
        "Datastore",
        "A named place for bytes: `batchpoint datastore create --file datastore.yml`. The kinds in brackets say which"
        " types have a key.",
    ),
    Page(
        "compute",
        Compute,
        "Compute",
        "A named pool of instances: `batchpoint compute create --file compute.yml`. An instance of `type: amlcompute`"
        " is a group of worker processes on this machine, one of `type: ray` an actor of a Ray cluster.",
    ),
    Page(
        "workspace",
        WorkspaceRecord,
        "Workspace",
        "A world of its own for endpoints, jobs and assets: `batchpoint workspace create --file workspace.yml`.",
    ),
    Page(
        "invocation",
        Invocation,
        "Invocation",
        "What one job scores, and with which settings: `batchpoint batch-endpoint invoke --file invocation.yml`. The"
        " keys are also those of `--set`. What is left out is as the deployment says.",
    ),
)

INDEX = """# YAML files

Each page lists every key that a kind of file may have. Older spellings stand beside today's: files written in 2021 load
as they are. These things hold in all of them:

- Relative paths start at the folder of the file; with flags alone, at the current folder.
- An unknown key is an error, with a suggestion. All mistakes of a file are told at once, each with its line.
- Words such as `append_row` are read in any case; numbers may stand in quotes.
- A key without a value counts as not written, unless it is required.
- `$schema` is read by editors only: see [checking files while you type](../../guide/editor.md).
- `--set key=value`, `--add` and `--remove` change what the file says before it is checked; flags such as `--name` win.

"""


def pages() -> dict[str, str]:
    """Every page by its file name."""
    rows = []
    for page in PAGES:
        schemas = ", ".join(f"`{kind.name}`" for kind in KINDS if kind.noun is page.noun)
        rows.append((f"[{page.title}]({page.name}.md)", schemas))
    found = {"README.md": GENERATED + INDEX + table(("file", "schemas"), rows)}
    return found | {f"{page.name}.md": GENERATED + _page(page) for page in PAGES}


def _page(page: Page) -> str:
    keys = keys_of(page.noun)
    text = f"# {page.title}\n\n{page.intro}\n\n## Keys\n\n"
    text += table(("key", "type", "default", "allowed", "meaning", "also written"), _rows(keys, _spelled(keys)))
    text += "\nRead and dropped, so that what `show` prints can be created again: "
    text += ", ".join(f"`{name}`" for name in dropped_by(page.noun) + _without_meaning(keys)) + ".\n"
    text += "\n## Examples\n"
    for path in sorted((EXAMPLES / page.name).glob("*.yml")):
        caption, _, content = path.read_text(encoding="utf-8").partition("\n")
        text += f"\n{caption.removeprefix('# ')}:\n\n```yaml\n{content}```\n"
    return text


def _rows(keys: dict[str, Key], spelled: dict[str, list[str]], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, key in keys.items():
        if key.stands_for is not None or (key.schema is None and not key.noun):
            continue
        path, allowed = prefix + name, key.allowed
        if _stands_apart(key):
            link = next(f"[{page.title.lower()}]({page.name}.md)" for page in PAGES if page.noun is key.noun)
            allowed = f"a reference, or the keys of {link}"
        others = ", ".join(f"`{other}`" for other in spelled.get(path, ()))
        yield f"`{path}`", key.kind, _default(key, prefix), allowed, key.meaning, others
        if key.noun and not _stands_apart(key):
            yield from _rows(keys_of(key.noun), spelled, f"{path}.")


def _stands_apart(key: Key) -> bool:
    return any(page.noun is key.noun for page in PAGES)


def _spelled(keys: dict[str, Key], root: str = "", here: str = "") -> dict[str, list[str]]:
    """Other spellings by the key that they stand for, both from the root of the file."""
    found: dict[str, list[str]] = {}

    def add(target: str, written: str) -> None:
        found.setdefault(target, []).append(written)

    for name, key in keys.items():
        written = here + name
        if key.stands_for:
            add(root + key.stands_for, written)
            for inner in keys_of(key.noun) if key.noun else ():
                add(f"{root}{key.stands_for}.{inner}", f"{written}.{inner}")
        deeper = [_spelled(key.below, root, f"{written}.")]
        if key.noun and key.stands_for is None and not _stands_apart(key):
            deeper.append(_spelled(keys_of(key.noun), f"{written}.", f"{written}."))
        for one in deeper:
            for target, others in one.items():
                for other in others:
                    add(target, other)
    return found


def _without_meaning(keys: dict[str, Key]) -> list[str]:
    return [name for name, key in keys.items() if key.stands_for == ""]


def _default(key: Key, prefix: str) -> str:
    if key.is_required:
        return "required in the block" if prefix else "required"
    if key.default is None:
        return ""
    return f"`{json.dumps(key.default) if isinstance(key.default, bool) else key.default}`"
