"""``Dataset``: imports; its methods need the real package."""

from .absent import Placeholder


class Dataset(Placeholder):
    """Imports; offers nothing."""
