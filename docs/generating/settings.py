"""The reference of the operator's settings."""

import inspect

from batchpoint import settings
from generating.markdown import GENERATED, field_comments, table


def page() -> str:
    comments = field_comments(settings.Settings)
    rows = (
        (f"`{name}`", f"`BATCHPOINT_{name.upper()}`", _default(name), comments.get(name, ""))
        for name in inspect.signature(settings.Settings).parameters
    )
    head = "# Settings\n\nEach can stand in `config.toml` in the home, or in the environment, which wins.\n\n"
    return GENERATED + head + table(("setting", "variable", "default", "meaning"), rows)


def _default(name: str) -> str:
    if name == "home":
        return "`~/.batchpoint`"
    value = str(inspect.signature(settings.Settings).parameters[name].default)
    return f"`{value}`" if value else ""
