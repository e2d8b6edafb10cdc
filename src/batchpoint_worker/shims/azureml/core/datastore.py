"""``Datastore``: imports; its methods need the real package."""

from .absent import Placeholder


class Datastore(Placeholder):
    """A datastore, by name only."""

    def __init__(self, workspace=None, name="", **kwargs):
        self.workspace = workspace
        self.name = name
