"""Brings a database to the newest schema, in one transaction, whoever else opens it at the same time."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from zhiliu.store.engine import Database
from zhiliu.store.errors import StoreOpenError

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = max(file.name[1:5] for file in (MIGRATIONS / "versions").glob("r[0-9]*.py"))
"""The newest revision, known without loading Alembic (0.2 s): files are called ``rNNNN_….py``."""
MIGRATING = 7_200
"""Advisory lock: one replica migrates, the others wait and find it done."""


def upgrade(database: Database, revision: str = HEAD) -> None:
    """Run the revisions that are missing.

    Raises:
        StoreOpenError: the database was written by a newer version of Zhiliu.

    """
    with database.write(MIGRATING) as connection:
        current = current_revision(connection)
        if current == revision:
            return
        if current is not None and current > revision:
            raise StoreOpenError(
                f"the database has schema {current}, this version knows up to {HEAD}; "
                "upgrade zhiliu, or open another database"
            )
        migrate(connection, revision)


def migrate(connection: sa.Connection, revision: str) -> None:
    """Run Alembic inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def current_revision(connection: sa.Connection) -> str | None:
    """None for a database nobody has migrated."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found
