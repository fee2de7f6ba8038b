"""How the writer thread appends to SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from zhiliu.store.engine import Turn, connect_sqlite
from zhiliu.store.errors import LogWriteError
from zhiliu.store.rows import EVENT_COLUMNS, EventRow

ROWS_A_STATEMENT = 128
"""``executemany`` gives the GIL away once a row and waits for it as often; one statement of 128 rows does so
once. Measured: 1.3× with the process idle, 1.6× with another thread busy; 512 rows are slower again."""


class SqliteAppender:
    """Appends with its own connection, which is made at the first use and again after an I/O error."""

    def __init__(self, path: Path, turn: Turn) -> None:
        self._path = path
        self._turn = turn
        self._connection: sqlite3.Connection | None = None

    def append(self, rows: Sequence[EventRow]) -> Sequence[int]:
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = connect_sqlite(self._path)
                return self._transaction(self._connection, rows)
            except sqlite3.OperationalError as error:  # full, I/O error, locked by another process
                self.close()
                raise LogWriteError(f"{self._path}: {error}; nothing was written") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transaction(self, connection: sqlite3.Connection, rows: Sequence[EventRow]) -> Sequence[int]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
            before: int = found[0] if found else 0
            inserted = insert(connection, rows)
            if inserted == len(rows):
                offsets: Sequence[int] = range(before + 1, before + 1 + inserted)
            else:
                offsets = fresh_offsets(connection, rows, before)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
        return offsets


def insert(connection: sqlite3.Connection, rows: Sequence[EventRow]) -> int:
    """Insert the rows whose ``event_id`` is new, in order; how many that were."""
    inserted, start, size = 0, 0, ROWS_A_STATEMENT
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2  # powers of two: eight statements are prepared once and serve every length
        values = tuple(chain.from_iterable(rows[start : start + size]))
        inserted += connection.execute(insert_sql(size), values).rowcount
        start += size
    return inserted


def insert_sql(rows: int) -> str:
    """``DO NOTHING`` names the key: other broken constraints still raise, ``OR IGNORE`` would hide them."""
    row = f"({','.join('?' * len(EVENT_COLUMNS))})"
    values = ",".join([row] * rows)
    return f"INSERT INTO events ({','.join(EVENT_COLUMNS)}) VALUES {values} ON CONFLICT (event_id) DO NOTHING"  # noqa: S608


def fresh_offsets(connection: sqlite3.Connection, rows: Sequence[EventRow], before: int) -> list[int]:
    """(n,) offset of each row, 0 for a duplicate; of equal ids in one group the first one was stored."""
    found = connection.execute("SELECT event_id, log_offset FROM events WHERE log_offset > ?", (before,))
    fresh: dict[str, int] = dict(found.fetchall())
    return [fresh.pop(row[0], 0) for row in rows]
