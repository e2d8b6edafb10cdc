"""Habits that a parser can check: who reads the environment, who catches everything, what signatures may say."""

import ast

import pytest

from tests.architecture.sources import Module, enclosing_function, functions, modules

EVERYTHING = modules("batchpoint") + modules("batchpoint_worker")

#: Modules that may touch ``os.environ``, and what for. Whoever decides by a variable asks Settings instead.
ENVIRONMENT_READERS = {
    "batchpoint.settings": "the one reader",
    "batchpoint.environments.commands": "passes the operator's variables on to installers, PATH included",
    "batchpoint.compute.ray.node.actor": "runs on nodes, whose operator names the folder",
    "batchpoint.compute.ray.node.interpreters": "runs on nodes, where interpreters are looked for",
    "batchpoint.compute.ray.node.surroundings": "passes the variables of a node on to its workers",
}

#: Edges where everything may be caught: around the user's code, and at the top of a process. (module, function)
BROAD_EXCEPT: set[tuple[str, str]] = {
    # The driver's top: a fault of ours ends the job instead of repeating for ever.
    ("batchpoint.engine.run", "execute"),
    # Before that, the job is nobody's: the process says what happened and its exit status that it failed.
    ("batchpoint.engine.__main__", "_drive"),
    # The same for a preflight, whose caller waits for what it finds.
    ("batchpoint.engine.preflight.__main__", "_check"),
    # What was scored is frozen: publishing it is tried once more before a fault of ours ends the job.
    ("batchpoint.engine.publishing.ending", "publish"),
    # Tops of threads: the fault costs one instance, never the job.
    ("batchpoint.compute.ray.instance", "_run"),
    ("batchpoint.compute.ray.node.agent", "_run"),
    # rattler's errors share no class of their own: the process says what happened, and the builder ends the build.
    ("batchpoint.environments.conda.__main__", "main"),
    # The user's code: whatever it raises, the worker answers.
    ("batchpoint_worker.session", "make_ready"),
    ("batchpoint_worker.session", "score"),
    ("batchpoint_worker.session", "shut_down"),
    # The user's exception objects: looking at them runs their code.
    ("batchpoint_worker.failures", "describe"),
    ("batchpoint_worker.failures", "_said"),
}


@pytest.mark.parametrize("module", modules("batchpoint"), ids=lambda m: m.name)
def test_settings_alone_read_the_environment(module: Module) -> None:
    if module.name in ENVIRONMENT_READERS:
        return
    reads = [
        f"{module.where}:{node.lineno}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"} and _is_os(node.value)
    ]
    assert not reads, f"read Settings instead, or join the list with a reason: {reads}"


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_everything_is_caught_only_at_process_edges(module: Module) -> None:
    found = {
        (module.name, enclosing_function(module, node.lineno))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _passes_it_on(node)
    }
    assert found <= BROAD_EXCEPT, f"name what is expected, or list the edge: {sorted(found - BROAD_EXCEPT)}"


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(one) for one in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _passes_it_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda m: m.name)
def test_every_parameter_has_a_name(module: Module) -> None:
    if "shims" in module.name:
        return  # they stand in for signatures that are not ours
    bags = [f"{module.where}:{f.lineno} {f.name}(**{f.args.kwarg.arg})" for f in functions(module) if f.args.kwarg]
    assert not bags


@pytest.mark.parametrize("module", modules("batchpoint"), ids=lambda m: m.name)
def test_errors_that_leave_a_module_are_defined_in_one_file(module: Module) -> None:
    if module.name == "batchpoint.errors":
        return
    own = [
        f"{module.where}:{node.lineno} {node.name}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(isinstance(b, ast.Name) and b.id.endswith(("Error", "Exception")) for b in node.bases)
    ]
    assert not own, f"errors live in errors.py: {own}"
