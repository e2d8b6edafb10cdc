"""The scoring script, the user's or the one for a model without one: found, loaded and called.

Used by the session; knows no protocol. A user's script is a module of its own under its file's name, so that functions
and classes in it can be pickled and imported by the processes it starts.
"""

import importlib.machinery
import importlib.util
import os
import sys

from batchpoint_worker.failures import Refused

MYPY = False
if MYPY:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from batchpoint_worker.protocol import Start


class MiniBatchContext:
    """What ``run(mini_batch, mini_batch_context)`` is told about its mini-batch."""

    def __init__(self, index: int) -> None:
        self.minibatch_index = index
        self.mini_batch_id = index
        #: Batch endpoints do not partition by keys.
        self.partition_key_value = {}  # type: dict[str, str]


def script_of(start: "Start") -> "Script | Generated":
    """The script that a job has, or the one that its model needs none for. Raises Refused."""
    return Script(start.code_path, start.scoring_script) if start.no_code is None else Generated(start.no_code)


class Script:
    """A loaded scoring script."""

    def __init__(self, code_path: str, scoring_script: str) -> None:
        self.path = os.path.join(code_path, scoring_script)
        self.name = scoring_script
        if not os.path.isfile(self.path):
            raise Refused("ScriptUnusable", _missing(code_path, scoring_script))
        module = _load(self.path)
        self._init = self._function(module, "init", "init()")
        self._run = self._function(module, "run", "run(mini_batch)")
        self._shutdown = getattr(module, "shutdown", None)
        self._wants_context = _wants_context(self._run)

    def init(self) -> None:
        self._init()

    def run(self, paths: "list[str]", mini_batch: int) -> object:
        if self._wants_context:
            return self._run(paths, MiniBatchContext(mini_batch))
        return self._run(paths)

    def shutdown(self) -> None:
        if callable(self._shutdown):
            self._shutdown()

    def file(self) -> str:
        """The one file that is scored at the moment; only the user's script knows."""
        return ""

    def _function(self, module: "ModuleType", name: str, shown: str) -> "Callable[..., object]":
        function = getattr(module, name, None)
        if not callable(function):
            raise Refused("ScriptUnusable", "%s has no function %s: a scoring script defines both init() and "
                          "run(mini_batch)" % (self.name, shown))  # fmt: skip
        return function  # type: ignore[no-any-return]


class Generated:
    """The script for a model that came without one."""

    def __init__(self, no_code: "dict[str, Any]") -> None:
        # Imported here: it needs a later Python, and what it imports is heavy.
        from batchpoint_worker import mlflow_script

        self._module = mlflow_script
        scoring = mlflow_script.scoring
        scoring.folder = str(no_code["model"])
        scoring.passthrough = [str(name) for name in no_code["passthrough_columns"]]
        scoring.names_by_signature = no_code["prediction_columns"] == "signature"

    def init(self) -> None:
        self._module.init()

    def run(self, paths: "list[str]", mini_batch: int) -> object:
        return self._module.run(paths)

    def shutdown(self) -> None:
        self._module.shutdown()

    def file(self) -> str:
        """The file that predict() is at, empty outside of it."""
        file, self._module.scoring.file = self._module.scoring.file, ""
        return file


def _missing(code_path: str, scoring_script: str) -> str:
    try:
        found = sorted(name for name in os.listdir(code_path) if name.endswith(".py"))
    except OSError as error:
        return "the code folder of the scoring script %s cannot be read: %s" % (scoring_script, error.strerror)
    there = ", ".join(found[:10]) if found else "no Python files"
    return "the scoring script %s is not in the code folder; there: %s" % (scoring_script, there)


def _load(path: str) -> "ModuleType":
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        # A script called json.py must not take json away from everybody else.
        name = "scoring_script_" + name
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _wants_context(run: "Callable[..., object]") -> bool:
    """Whether a second parameter is declared that waits for the context, not one with a default of its own."""
    code = getattr(run, "__code__", None)
    if code is not None and type(run) is type(_load) and not hasattr(run, "__wrapped__"):
        names = code.co_varnames[: code.co_argcount]
        required = len(names) - len(getattr(run, "__defaults__", None) or ())
    else:
        names, required = _declared(run)
    return len(names) >= 2 and (required >= 2 or names[1] == "mini_batch_context")


def _declared(run: "Callable[..., object]") -> "tuple[tuple[str, ...], int]":
    # Imported here: only decorated functions and callable objects need it, and it costs 10 ms.
    import inspect

    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return (), 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [each for each in parameters if each.kind in kinds]
    return tuple(each.name for each in positional), sum(each.default is each.empty for each in positional)
