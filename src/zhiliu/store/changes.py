"""How often the catalogue was written: one number, in the writes' own transactions, that servers can ask cheaply."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zhiliu.store.tables import consumer_offsets as table

CATALOGUE = "changes of the catalogue"
"""Its row among the numbers that are kept by name; no consumer of the log is called so."""


def count_change(connection: sa.Connection) -> None:
    """One more; the last statement of a transaction, so that its row lock is held shortly."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = dialect.insert(table).values(consumer=CATALOGUE, log_offset=1)
    more = first.on_conflict_do_update(
        index_elements=["consumer"], set_={"log_offset": table.c.log_offset + 1}
    )
    connection.execute(more)


def changes(connection: sa.Connection) -> int:
    """Writes so far, of every process."""
    return connection.scalar(sa.select(table.c.log_offset).where(table.c.consumer == CATALOGUE)) or 0
