"""How the writer thread appends to PostgreSQL: COPY into a temporary table, then one INSERT … SELECT."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from sqlalchemy.engine import URL

from zhiliu.store.errors import LogWriteError
from zhiliu.store.rows import EVENT_COLUMNS, EventRow

LOG_ORDER = 7_202
"""Advisory lock from the first offset to the commit: offsets become visible in the order they are given,
so a reader that asks for "after n" can never skip one that commits late."""
COLUMNS = ",".join(EVENT_COLUMNS)
INCOMING = f"""
CREATE TEMP TABLE incoming ON COMMIT DELETE ROWS AS
SELECT 0::bigint AS place, {COLUMNS} FROM events WITH NO DATA
"""  # noqa: S608
COPY = f"COPY incoming (place,{COLUMNS}) FROM STDIN"
INSERT = f"""
INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM incoming ORDER BY place
ON CONFLICT (event_id) DO NOTHING RETURNING event_id, log_offset
"""  # noqa: S608


def conninfo(url: URL) -> str:
    """The URL as libpq reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


class PostgresAppender:
    """Appends with its own connection, made at the first use and again after the server went away."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    def append(self, rows: Sequence[EventRow]) -> Sequence[int]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            return transaction(self._connection, rows)
        except (psycopg.OperationalError, psycopg.InternalError) as error:
            self.close()
            raise LogWriteError(f"PostgreSQL: {str(error).strip()}; nothing was acknowledged") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(conninfo(self._url), autocommit=True, connect_timeout=5)
        connection.execute("SET synchronous_commit = on")  # acknowledged means on disk
        connection.execute(INCOMING)
        return connection


def transaction(connection: psycopg.Connection, rows: Sequence[EventRow]) -> Sequence[int]:
    """Commit the rows: (n,) offsets, 0 for a duplicate."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOG_ORDER,))
        with connection.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                for place, row in enumerate(rows):
                    copy.write_row((place, *row))
            fresh: dict[str, int] = dict(cursor.execute(INSERT).fetchall())
    return [fresh.pop(row[0], 0) for row in rows]
