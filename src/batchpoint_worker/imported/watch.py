"""Waits for the script to import certain modules, and then prepares them.

``surroundings`` sets it up. A worker imports none of these modules itself: they are heavy, and most scripts need none.
"""

import importlib.util
import sys

MYPY = False
if MYPY:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    Prepare = Callable[[ModuleType], None]


def when_imported(wanted: "dict[str, Prepare]") -> None:
    """Calls each function with its module: now if that is there already, else as soon as somebody imports it."""
    waiting = {}
    for name, prepare in wanted.items():
        if name in sys.modules:
            prepare(sys.modules[name])
        else:
            waiting[name] = prepare
    sys.meta_path.insert(0, Watch(waiting))


class Watch:
    """A finder that finds nothing itself; it adds a last step to the loading of what others find."""

    def __init__(self, waiting: "dict[str, Prepare]") -> None:
        self._waiting = waiting

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        prepare = self._waiting.pop(name, None)
        if prepare is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            self._waiting[name] = prepare
            return spec
        spec.loader = Loader(spec.loader, prepare)  # type: ignore[assignment]
        return spec


class Loader:
    """Loads as the real loader does, which stands in its place before any of the module's code runs."""

    def __init__(self, real: "Any", prepare: "Prepare") -> None:
        self._real = real
        self._prepare = prepare

    def create_module(self, spec: "Any") -> "Any":
        return self._real.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        module.__loader__ = module.__spec__.loader = self._real
        self._real.exec_module(module)
        self._prepare(module)
