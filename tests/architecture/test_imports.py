"""Imports flow one way. The table below is the rule; design changes begin by changing it."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.sources import Module, imports, modules

#: Which folders and root modules of ``batchpoint`` (or modules in a folder) each one may import; ``errors``,
#: ``settings`` and ``failpoints`` are open to all.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "settings": set(),
    "failpoints": set(),
    "explanations": set(),
    "entities": set(),
    "arm": {"entities"},
    # Bundles are files, and are never half-written.
    "trust": {"storage"},
    # storage: the forms of data URIs and the hash of a folder are the same on both sides.
    "client": {"arm", "entities", "storage"},
    # engine: `score` runs it in its own process, without the web libraries that local brings. store.glance: names for
    # the tab key, which cannot wait for them either.
    # upkeep: `prune` and `doctor` work on the files and processes of a home, which no server is asked for.
    "cli": {"store.glance", "client", "engine", "entities", "explanations", "local", "upkeep"},
    "store": {"entities"},
    "storage": {"entities"},
    "observability": {"entities", "storage"},
    "environments": {"entities", "storage"},
    # What a model folder says about itself; nothing of it is loaded.
    "mlmodel": {"entities", "storage"},
    # Images are built as environments are: logged, killed as a whole, and with the builder's own words first.
    "compute": {"entities", "storage", "observability", "environments.commands", "environments.reasons"},
    "engine": {"compute", "environments", "mlmodel", "store", "storage", "entities", "observability"},
    # Of environments it reads the spec alone, to refuse early what a job could not build; builds are processes. Of
    # compute it asks what the machine has, and ends workers of a job that gets no driver any more; to the logs of a job
    # it adds what happens before there is a driver, or when there is none.
    "server": {
        *("arm", "store", "storage", "entities", "environments", "mlmodel", "observability"),
        *("compute.machine", "compute.strays"),
        # Whether there is a runtime for a compute with containers, and what may be the name of an image.
        "compute.containers",
        "trust",
    },
    # It looks at everything that a home holds, but runs nothing: of the engine it reads plans, of the server it has
    # jobs deleted as the REST API does.
    "upkeep": {"store", "storage", "entities", "environments", "compute", "engine.preparation", "server.retention"},
    # The store only to close it with the application that works on it.
    "in_process": {"store"},
    # Joins client, server and engine in one process.
    "local": {
        "in_process",
        *("client", "server", "engine", "store", "storage", "entities", "environments", "compute", "observability"),
        "trust",
    },
    "__main__": {"cli"},
    "__init__": {"client", "entities"},
}
OPEN_TO_ALL = {"errors", "settings", "failpoints"}

#: Only these may import what is heavy; everybody else stays usable in a process that starts in milliseconds.
HOMES_OF: dict[str, set[str]] = {
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "httpx": {"client", "storage", "in_process", "local", "cli"},
    "rich": {"cli"},
    # Object stores: the libraries of the extras azure and s3.
    **{library: {"storage"} for library in ("fsspec", "adlfs", "azure", "s3fs", "botocore", "aiohttp")},
    "jmespath": {"cli"},
    "swagger_ui_bundle": {"server"},
    # Certificates, and the keys that tokens are signed with.
    "cryptography": {"server"},
    "jwt": {"server"},
    "certifi": {"trust"},
    # Tables: parts of Parquet files, the output as Parquet, and the columns that files say they have; of compute, the
    # part of a Parquet file that travels to a node.
    "pyarrow": {"engine", "mlmodel", "compute"},
    # References into a registry of MLflow's are resolved by its own client.
    "mlflow": {"mlmodel"},
    # Conda packages.
    "rattler": {"environments"},
    "ray": {"compute"},
}
#: Whatever the process: the product never needs them.
NEVER = {"pandas", "numpy", "sklearn", "azureml", "requests", "pickle", "multiprocessing"}

#: Modules that Python 3.6 has and later versions dropped, or that appeared after 3.6.
NEWER_THAN_36 = {"dataclasses", "contextvars", "tomllib", "graphlib", "zoneinfo"}


def part_of(module: Module) -> str:
    """``batchpoint.engine.preparation.plan`` → ``engine``; ``batchpoint`` → ``__init__``."""
    _, _, rest = module.name.partition(".")
    return rest.partition(".")[0] or "__init__"


def imported_part(name: str) -> str:
    """``batchpoint.engine.preparation.plan.Plan`` → ``engine``; a public name of the root counts as ``__init__``."""
    part = name.split(".")[1] if "." in name else "__init__"
    return part if part in MAY_IMPORT else "__init__"


def inner_module(name: str) -> str:
    """``batchpoint.storage.uri.parse_uri`` → ``storage.uri``."""
    return ".".join(name.split(".")[1:3])


@pytest.mark.parametrize("module", modules("batchpoint"), ids=lambda m: m.name)
def test_a_module_imports_only_what_the_table_allows(module: Module) -> None:
    part = part_of(module)
    assert part in MAY_IMPORT, f"{module.where}: add {part!r} to the table, with what it may import"
    allowed = MAY_IMPORT[part] | OPEN_TO_ALL | {part}
    wrong = [
        f"{module.where}:{line} imports {name}"
        for name, line in imports(module)
        if name.split(".")[0] == "batchpoint" and not {imported_part(name), inner_module(name)} & allowed
    ]
    assert not wrong, f"{part} may import {sorted(allowed)}:\n" + "\n".join(wrong)


def test_no_module_imports_itself_by_a_detour() -> None:
    names = {m.name for m in modules("batchpoint")}
    graph = {
        m.name: {t for n, _ in imports(m) if (t := _module_named(n, names)) and t != m.name}
        for m in modules("batchpoint")
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " -> ".join(error.args[1]))


def _module_named(name: str, names: set[str]) -> str | None:
    if name in names:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in names else None


@pytest.mark.parametrize("module", modules("batchpoint"), ids=lambda m: m.name)
def test_heavy_libraries_are_imported_only_where_they_belong(module: Module) -> None:
    part = part_of(module)
    roots = {(name.split(".")[0], line) for name, line in imports(module)}
    wrong = [
        f"{module.where}:{line} {root}"
        for root, line in roots
        if part not in HOMES_OF.get(root, {part}) or root in NEVER
    ]
    assert not wrong, "\n".join(wrong)


#: What the script for models without one takes from the user's environment, where a model of MLflow brings it along.
LENT = {"mlflow", "numpy", "pandas", "pyarrow", "fastparquet", "PIL", "zstandard", "compression"}
#: And ``formats.results``, for tables and DataFrames that scripts return: pyarrow, where it is.
BORROWERS = ("batchpoint_worker.mlflow_script", "batchpoint_worker.tables.", "batchpoint_worker.formats.results")


@pytest.mark.parametrize("module", modules("batchpoint_worker"), ids=lambda m: m.name)
def test_the_worker_imports_the_standard_library_alone(module: Module) -> None:
    allowed = sys.stdlib_module_names - NEWER_THAN_36 | {"batchpoint_worker"}
    allowed |= LENT if module.name.startswith(BORROWERS) else set()
    wrong = [f"{module.where}:{line} {name}" for name, line in imports(module) if name.split(".")[0] not in allowed]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", modules("batchpoint_worker"), ids=lambda m: m.name)
def test_the_worker_is_written_in_the_words_of_python_36(module: Module) -> None:
    ast.parse(module.text, module.where, feature_version=(3, 6))


def test_the_product_imports_the_worker_only_to_find_its_folder() -> None:
    users = {
        m.name for m in modules("batchpoint") for name, _ in imports(m) if name.split(".")[0] == "batchpoint_worker"
    }
    assert users <= {"batchpoint.engine.preparation.workers"}
