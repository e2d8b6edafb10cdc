"""Runs the outstanding migrations on an open connection; imports Alembic, so it is imported only when needed."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for the migrations in this package."""
    config = Config()
    config.set_main_option("script_location", "batchpoint.store:migrations")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date inside the connection's transaction."""
    command.upgrade(configuration(connection), "head")
