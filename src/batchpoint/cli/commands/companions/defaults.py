"""Where ``configure`` and ``account set`` keep their values: ``config.toml`` in the home folder.

Comments and other lines of the file stay as they are.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from batchpoint.errors import UserError
from batchpoint.settings import Settings

#: What ``configure`` calls a value → what the settings call it.
SETTING_OF = {
    "group": "resource_group",
    "resource-group": "resource_group",
    "workspace": "workspace",
    "location": "location",
    "subscription": "subscription",
}


def write(home: Path, values: Mapping[str, str]) -> None:
    """Store ``values`` in ``<home>/config.toml``; an empty value clears.

    Raises UserError for a name that has no default.
    """
    unknown = [name for name in values if name not in SETTING_OF]
    if unknown:
        raise UserError(
            f"There is no default {unknown[0]!r}; defaults are: {', '.join(SETTING_OF)}.", target=unknown[0]
        )
    path = home / "config.toml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for name, value in values.items():
        lines = _changed(lines, SETTING_OF[name], value)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"config.toml.{os.getpid()}")
    draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    draft.replace(path)


def _changed(lines: list[str], setting: str, value: str) -> list[str]:
    new = [f"{setting} = {json.dumps(value)}"] if value else []
    place = re.compile(rf"^\s*{setting}\s*=")
    at = next((number for number, line in enumerate(lines) if place.match(line)), None)
    return new + lines if at is None else lines[:at] + new + lines[at + 1 :]


def listed(home: Path) -> list[dict[str, str]]:
    """The defaults in force, as ``configure --list-defaults`` prints them: each with the place that it comes from."""
    settings, sources = Settings.load(home=str(home)), Settings.sources(home=str(home))
    names = {setting: name for name, setting in SETTING_OF.items() if name != "resource-group"}
    return [
        {"name": name, "source": sources.get(setting, "built in"), "value": str(getattr(settings, setting))}
        for setting, name in names.items()
    ]
