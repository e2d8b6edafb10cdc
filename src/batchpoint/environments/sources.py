"""Owns where packages come from besides what the environment says: indexes, a folder of wheels, conda channels.

Entry points make one from the settings of a home; how it becomes variables of installers is decided here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.naming.credentials import secrets_in
from batchpoint.environments.commands import installer_variables
from batchpoint.errors import EnvironmentBuildFailed
from batchpoint.settings import Settings

#: Words that mean yes in pip's variables.
_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Sources:
    """What the operator of a home decided about packages. Addresses may hold credentials: never log one unmasked."""

    #: What the names of conda channels are relative to.
    conda_channel_alias: str = Settings.conda_channel_alias
    #: Seconds within which a channel must have sent its index.
    conda_patience_s: float = Settings.conda_patience_s
    #: A folder on this machine; None when there is none.
    wheels_folder: Path | None = None
    #: True where nothing but the folder of wheels is asked for packages.
    no_index: bool = False
    index_url: str = ""
    #: Separated by spaces or commas.
    extra_index_url: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Sources":
        """Those of a home. Raises EnvironmentBuildFailed where the folder of wheels is none."""
        folder = Path(settings.wheels_folder).expanduser() if settings.wheels_folder else None
        if folder is not None and not (folder.is_absolute() and folder.is_dir()):
            raise EnvironmentBuildFailed(
                f"The setting wheels_folder is {settings.wheels_folder!r}, and there is no such folder. "
                "Name a folder with wheels on this machine by its absolute path, or remove the setting.",
                target="wheels_folder",
            )
        return cls(
            settings.conda_channel_alias.rstrip("/"),
            settings.conda_patience_s,
            folder,
            settings.no_index,
            settings.index_url,
            settings.extra_index_url,
        )

    def variables(self, given: dict[str, str], options: Iterable[str] = ()) -> dict[str, str]:
        """``given`` with the indexes of these sources and of the conda file's ``options``, for uv and for pip.

        As variables and never as arguments: everybody on the machine can read those of a process.
        """
        asked = [option.partition("=")[::2] for option in options]
        indexes = [value for name, value in asked if name == "--index-url"]
        extra = [value for name, value in asked if name == "--extra-index-url"]
        links = [value for name, value in asked if name == "--find-links"]
        set_here = dict(given)
        if index := [*filter(None, [self.index_url]), *indexes][-1:]:
            set_here |= {"UV_DEFAULT_INDEX": index[0], "PIP_INDEX_URL": index[0]}
        if extra:
            # The conda file was written for pip, which looks for the best version on all indexes.
            set_here["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if extra := [*_listed(given.get("UV_EXTRA_INDEX_URL", "")), *_listed(self.extra_index_url), *extra]:
            set_here |= {"UV_EXTRA_INDEX_URL": " ".join(extra), "PIP_EXTRA_INDEX_URL": " ".join(extra)}
        places = [*filter(None, given.get("UV_FIND_LINKS", "").split(",")), *links]
        if self.wheels_folder is not None:
            places.insert(0, str(self.wheels_folder))
        if places:
            set_here |= {"UV_FIND_LINKS": ",".join(places), "PIP_FIND_LINKS": " ".join(places)}
        return set_here | ({"PIP_NO_INDEX": "1"} if self.no_index else {})

    def secrets(self) -> tuple[str, ...]:
        """Credentials in the settings and in the variables of this machine."""
        inherited = installer_variables()
        told = [value for name, value in inherited.items() if name.startswith(("UV_", "PIP_")) or _is_proxy(name)]
        passwords = [value for name, value in inherited.items() if re.fullmatch(r"UV_INDEX_\w+_PASSWORD", name)]
        addresses = (self.conda_channel_alias, self.index_url, self.extra_index_url, *told)
        return tuple(filter(None, (*secrets_in(addresses), *passwords)))


def is_offline(variables: dict[str, str]) -> bool:
    """Whether pip was told to ask no index; uv has no variable for it."""
    return variables.get("PIP_NO_INDEX", "").lower() in _YES


def _listed(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _is_proxy(name: str) -> bool:
    return name.lower() in ("http_proxy", "https_proxy", "all_proxy")
