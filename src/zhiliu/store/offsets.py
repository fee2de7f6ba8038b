"""How far each consumer of the log has come."""

from __future__ import annotations

import sqlalchemy as sa

from zhiliu.store.engine import Database
from zhiliu.store.tables import consumer_offsets as table
from zhiliu.store.upsert import upsert


class ConsumerOffsets:
    """One number a consumer; 0 for one that has not started."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, consumer: str) -> int:
        """The offset of the last event this consumer is done with."""
        query = sa.select(table.c.log_offset).where(table.c.consumer == consumer)
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def set(self, consumer: str, offset: int) -> None:
        """Remember it, durably."""
        with self._database.write() as connection:
            upsert(connection, table, [{"consumer": consumer, "log_offset": offset}])
