"""Gives the script's ``logging`` the level of its deployment."""

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def setter(level: str) -> "Callable[[Any], None]":
    """A function that takes the logging module; ``level``: debug, info or warning in any case."""
    name = level.upper()

    def set_level(logging: "Any") -> None:
        number = getattr(logging, name, logging.INFO)
        logging.getLogger().setLevel(number)
        # No handler is installed, so that basicConfig() of the script still does what it says.
        last = logging.lastResort
        if last is not None:
            last.setLevel(number)
            last.setFormatter(logging.Formatter(_FORMAT))

    return set_level
