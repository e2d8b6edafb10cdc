"""The heavy faults use the jobs of the process tests."""

from tests.process.conftest import client, engine, fork_server, prepared_drivers, settings, store

__all__ = ["client", "engine", "fork_server", "prepared_drivers", "settings", "store"]
