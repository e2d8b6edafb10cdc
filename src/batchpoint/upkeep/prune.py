"""``batchpoint prune``: what would go, and letting it go. The command line calls it on the home's own machine."""

import time
from collections.abc import Sequence
from pathlib import Path

from batchpoint.errors import UserError
from batchpoint.store.store import open_store
from batchpoint.upkeep.inventory import take_inventory
from batchpoint.upkeep.removal import carry_out
from batchpoint.upkeep.rules import Limits, Removal, removals

__all__ = ["look", "remove"]


def look(home: Path, limits: Limits) -> list[Removal]:
    """What would go now; nothing is changed. Raises UserError where there is no home."""
    if not (home / "batchpoint.db").is_file():
        raise UserError(f"There is nothing to prune: {home} is no home of Batchpoint yet.", target=str(home))
    with open_store(home) as store:
        return removals(take_inventory(store, home), limits, time.time())


def remove(home: Path, chosen: Sequence[Removal]) -> list[Removal]:
    """Let go what ``look`` found, but for what has come into use since; answers what went."""
    with open_store(home) as store:
        return carry_out(chosen, store, home)
