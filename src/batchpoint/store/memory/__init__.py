"""The ledger without a file, for jobs that live no longer than their process. It must not import SQLAlchemy."""

from batchpoint.store.memory.ledger import MemoryLedger

__all__ = ["MemoryLedger"]
