"""The folders of this machine in which everybody may name paths. ``locations`` asks for whoever is not the owner."""

import os
from pathlib import Path

from batchpoint.settings import Settings


class OpenedFolders:
    """Those of the setting ``local_roots_allowed``, with every link followed."""

    def __init__(self, settings: Settings) -> None:
        listed = (root.strip() for root in settings.local_roots_allowed.split(","))
        self._roots = [os.path.realpath(root) for root in listed if root]
        self._home = Path(os.path.realpath(settings.home))

    def has(self, real: Path) -> bool:
        """Whether a path without links in it may be named."""
        # A folder around the home is a way into it.
        is_apart = not real.is_relative_to(self._home) and not self._home.is_relative_to(real)
        return is_apart and any(real.is_relative_to(root) for root in self._roots)

    def way_out(self, real: Path) -> str | None:
        """A link below ``real`` that leads to what may not be named; None where there is none at the moment."""
        ahead, seen = [str(real)], {str(real)}
        while ahead:
            for here, folders, files in os.walk(ahead.pop()):
                for name in (*folders, *files):
                    link = os.path.join(here, name)  # noqa: PTH118 - a Path for each file takes too long
                    if not os.path.islink(link):  # noqa: PTH114
                        continue
                    target = os.path.realpath(link)
                    if not self.has(Path(target)):
                        return link
                    if target not in seen:
                        seen.add(target)
                        ahead.append(target)
        return None
