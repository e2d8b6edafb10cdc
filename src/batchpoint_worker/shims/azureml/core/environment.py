"""``Environment``: imports; its methods need the real package."""

from .absent import Placeholder


class Environment(Placeholder):
    """A named environment."""

    def __init__(self, name="", **kwargs):
        self.name = name
