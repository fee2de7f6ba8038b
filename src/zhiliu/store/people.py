"""Profiles. A person without one is fine everywhere."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from zhiliu.store.engine import Database
from zhiliu.store.rows import person_of, person_row
from zhiliu.store.tables import people as table
from zhiliu.store.upsert import checked, upsert
from zhiliu.types import Person


class StoredPeople:
    """The :class:`zhiliu.protocols.People` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, people: Iterable[Person]) -> int:
        """Insert or replace. Of equal ids the last one counts."""
        newest = {person.person_id: checked(person) for person in people}
        with self._database.write() as connection:
            upsert(connection, table, [person_row(newest[person_id]) for person_id in sorted(newest)])
        return len(newest)

    def get(self, person_id: str) -> Person | None:
        with self._database.read() as connection:
            row = (
                connection.execute(sa.select(table).where(table.c.person_id == person_id)).mappings().first()
            )
        return None if row is None else person_of(row)

    def delete(self, person_id: str) -> bool:
        """Removes the profile itself; False when unknown."""
        with self._database.write() as connection:
            return connection.execute(sa.delete(table).where(table.c.person_id == person_id)).rowcount > 0

    def count(self) -> int:
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
