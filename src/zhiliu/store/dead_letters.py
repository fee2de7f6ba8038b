"""What was rejected, kept with its reason until somebody replays or deletes it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from zhiliu.store.engine import Database
from zhiliu.store.tables import dead_letters as table


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected event: ``body`` is the JSON text as it came; ``id`` is given by the store."""

    body: str
    field: str
    reason: str
    received_ms: int
    id: int = 0


class DeadLetters:
    """A queue of rejected events; ids grow and are never reused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep them, durably."""
        rows = [
            {"body": x.body.replace("\0", "\\u0000"), "field": x.field, "reason": x.reason.replace("\0", "\\u0000"),
             "received_ms": x.received_ms}
            for x in letters
        ]  # fmt: skip
        if rows:
            with self._database.write() as connection:
                connection.execute(sa.insert(table), rows)

    def read(self, after: int = 0, limit: int = 1000) -> Sequence[DeadLetter]:
        """Those with id > ``after``, oldest first."""
        query = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
        with self._database.read() as connection:
            return [DeadLetter(**row) for row in connection.execute(query).mappings()]

    def delete(self, ids: Sequence[int]) -> int:
        """Forget them; how many there were."""
        with self._database.write() as connection:
            gone = 0
            for start in range(0, len(ids), 500):
                chunk = sa.delete(table).where(table.c.id.in_(ids[start : start + 500]))
                gone += connection.execute(chunk).rowcount
        return gone

    def count(self) -> int:
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
