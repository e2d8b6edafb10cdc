"""``code``: the folders of scoring code that deployments have brought along."""

from typing import TYPE_CHECKING

from batchpoint.cli.commands.assets.verbs import Versioned

if TYPE_CHECKING:
    from batchpoint.entities.assets import Code

CODES: "Versioned[Code]" = Versioned("code", "code asset", lambda client: client.codes)

COMMANDS = (*CODES.showing(), CODES.listed())
