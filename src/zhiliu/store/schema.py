"""Brings a database to the newest schema, in one transaction, whoever else opens it at the same time."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from zhiliu.store.engine import Database
from zhiliu.store.errors import StoreOpenError

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATING = 7_200
"""Advisory lock: one replica migrates, the others wait and find it done."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the revisions that are missing.

    Raises:
        StoreOpenError: the database was written by a newer version of Zhiliu.

    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with database.write(MIGRATING) as connection:
        current = current_revision(connection)
        if current == scripts.get_current_head():
            return
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise StoreOpenError(
                f"the database has schema {current}, this version knows up to {scripts.get_current_head()}; "
                "upgrade zhiliu, or open another database"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def current_revision(connection: sa.Connection) -> str | None:
    """None for a database nobody has migrated."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found
