"""Alembic runs this file; the connection comes from ``upgrade``, already inside a transaction."""

from alembic import context

from batchpoint.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
