"""``audit``: who changed what, and who was refused."""

from batchpoint.cli import listing
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command

_MOST = 100


def list_entries(call: Call) -> object:
    """The latest, oldest first."""
    from batchpoint.entities.noun import snake_cased

    wanted = listing.limit(call) or _MOST
    entries = call.client.roles.audit(wanted)
    return [{str(snake_cased(key)): entry.raw(key) for key in entry.names()} for entry in entries]


COMMANDS = (
    Command(
        "audit list",
        "List the latest requests that changed something or were refused.",
        list_entries,
        (listing.most(_MOST),),
        example="audit list --max-results 20 -o table",
    ),
)
