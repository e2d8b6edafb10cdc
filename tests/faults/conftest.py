"""The heavy faults use the jobs of the process tests."""

from tests.process.conftest import engine

__all__ = ["engine"]
