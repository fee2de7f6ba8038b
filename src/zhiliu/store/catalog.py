"""The catalogue: videos and the row numbers everything numeric refers to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from zhiliu.store.changes import changes, count_change
from zhiliu.store.engine import Database
from zhiliu.store.rows import video_of, video_row
from zhiliu.store.tables import videos as table
from zhiliu.store.upsert import CHUNK, checked, upsert
from zhiliu.types import Video

ROW_NUMBERS = 7_201
"""Advisory lock: row numbers are given by one replica at a time."""
NEXT_ROW = sa.select(sa.func.coalesce(sa.func.max(table.c.row_number), -1) + 1)


class StoredCatalog:
    """The :class:`zhiliu.protocols.Catalog` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own = 0  # writes of this object, which who holds it knows of
        self._counting = threading.Lock()

    def put(self, videos: Iterable[Video]) -> int:
        """Insert or replace; a deleted video comes back with its old row. Of equal ids the last one counts."""
        newest = {video.video_id: checked(video) for video in videos}
        with self._counted(ROW_NUMBERS) as connection:
            row_of = known_rows(connection, list(newest))
            following: int = connection.execute(NEXT_ROW).scalar_one()
            rows = []
            for video_id, video in newest.items():
                row_number = row_of.get(video_id)
                if row_number is None:
                    row_number, following = following, following + 1
                rows.append({"row_number": row_number, **video_row(video)})
            upsert(connection, table, rows)
        return len(newest)

    def get(self, video_id: str) -> Video | None:
        """None when unknown or deleted."""
        query = sa.select(table).where(table.c.video_id == video_id, table.c.status != "deleted")
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else video_of(row)

    def delete(self, video_id: str) -> bool:
        mark = sa.update(table).where(table.c.video_id == video_id, table.c.status != "deleted")
        with self._counted() as connection:
            return connection.execute(mark.values(status="deleted")).rowcount > 0

    def foreign_changes(self) -> int:
        """How often others wrote videos: other processes, bulk loads. It grows; compare it with an earlier one."""
        with self._counting, self._database.read() as connection:
            return changes(connection) - self._own

    @contextmanager
    def _counted(self, serial: int | None = None) -> Iterator[sa.Connection]:
        with self._counting:
            with self._database.write(serial) as connection:
                yield connection
                count_change(connection)
            self._own += 1

    def rows(self, after_row: int = -1, limit: int | None = None) -> Sequence[tuple[int, Video]]:
        query = sa.select(table).where(table.c.row_number > after_row).order_by(table.c.row_number)
        with self._database.read() as connection:
            found = connection.execute(query.limit(limit)).mappings()
            return [(row["row_number"], video_of(row)) for row in found]

    def ids(self) -> list[str]:
        """Every video id that has a row number, deleted ones too, in row order."""
        with self._database.read() as connection:
            return list(connection.scalars(sa.select(table.c.video_id).order_by(table.c.row_number)))

    def count(self) -> int:
        """Videos that are not deleted."""
        query = sa.select(sa.func.count()).select_from(table).where(table.c.status != "deleted")
        with self._database.read() as connection:
            return connection.scalar(query) or 0


def known_rows(connection: sa.Connection, video_ids: Sequence[str]) -> dict[str, int]:
    """The row numbers of those that have one, deleted ones too."""
    row_of: dict[str, int] = {}
    for start in range(0, len(video_ids), CHUNK):
        query = sa.select(table.c.video_id, table.c.row_number).where(
            table.c.video_id.in_(video_ids[start : start + CHUNK])
        )
        row_of.update((video_id, row) for video_id, row in connection.execute(query))
    return row_of
