"""The heavy faults use the jobs of the process tests."""

from tests.process.conftest import engine, fork_server, prepared_drivers

__all__ = ["engine", "fork_server", "prepared_drivers"]
