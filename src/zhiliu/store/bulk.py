"""Bulk loads: a frame into a staging table by ADBC, then one INSERT … SELECT. All or nothing.

On SQLite the staging table is in a file of its own (see ``engine`` for why ADBC must not open the store's
file), which the writing connection attaches. On PostgreSQL it is a temporary table of the ADBC connection.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import polars as pl

from zhiliu.store.catalog import ROW_NUMBERS
from zhiliu.store.engine import Database, connect_sqlite
from zhiliu.store.errors import StoreWriteError
from zhiliu.store.frames import events_frame, people_frame, videos_frame
from zhiliu.store.postgres_log import LOG_ORDER, conninfo
from zhiliu.store.rows import EVENT_COLUMNS
from zhiliu.store.tables import people, videos
from zhiliu.types import Receipt

PERSON_TIME = "CREATE INDEX events_person_time ON events (person, time)"
NEW_ROWS = """
INSERT INTO videos ({columns}) SELECT
  coalesce(v.row_number, (SELECT coalesce(max(row_number), -1) FROM videos)
           + row_number() OVER (PARTITION BY v.row_number IS NULL ORDER BY s.place)),
  {staged}
FROM {staging} s LEFT JOIN videos v ON v.video_id = s.video_id WHERE true ORDER BY s.place
ON CONFLICT (row_number) DO UPDATE SET {replaced}
"""


class Bulk:
    """Loads frames into a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, frame: pl.DataFrame) -> Receipt:
        """See :meth:`zhiliu.store.Store.bulk_events`."""
        rows = events_frame(frame)
        names = ",".join(EVENT_COLUMNS)
        insert = (
            f"INSERT INTO events ({names}) SELECT {names} FROM {{staging}} WHERE true ORDER BY place "  # noqa: S608
            "ON CONFLICT (event_id) DO NOTHING"
        )
        accepted, last = self._load(rows, insert, "events", LOG_ORDER)
        return Receipt(accepted, len(rows) - accepted, (), last)

    def videos(self, frame: pl.DataFrame) -> Receipt:
        """See :meth:`zhiliu.store.Store.bulk_videos`."""
        rows = videos_frame(frame)
        insert = NEW_ROWS.format(
            columns=",".join(videos.c.keys()),
            staged=",".join(f"s.{name}" for name in rows.columns),
            replaced=",".join(f"{name} = excluded.{name}" for name in rows.columns),
            staging="{staging}",
        )
        accepted, last = self._load(rows, insert, "videos", ROW_NUMBERS)
        return Receipt(accepted, len(frame) - accepted, (), last)

    def people(self, frame: pl.DataFrame) -> Receipt:
        """See :meth:`zhiliu.store.Store.bulk_people`."""
        rows = people_frame(frame)
        names = ",".join(people.c.keys())
        replaced = ",".join(f"{c.name} = excluded.{c.name}" for c in people.c if not c.primary_key)
        insert = (
            f"INSERT INTO people ({names}) SELECT {names} FROM {{staging}} WHERE true ORDER BY place "  # noqa: S608
            f"ON CONFLICT (person_id) DO UPDATE SET {replaced}"
        )
        accepted, last = self._load(rows, insert, "people", ROW_NUMBERS)
        return Receipt(accepted, len(frame) - accepted, (), last)

    def _load(self, rows: pl.DataFrame, insert: str, table: str, lock: int) -> tuple[int, int]:
        """(rows written, last offset of the log). ``insert`` reads from ``{staging}``, ordered by place."""
        placed = rows.with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
        if self._database.path is None:
            return load_postgres(self._database, placed, insert, table, lock)
        try:
            return load_sqlite(self._database.path, self._database, placed, insert, table)
        except (sqlite3.Error, adbc_driver_manager.Error, OSError) as error:
            raise StoreWriteError(
                f"bulk load of {len(rows)} {table} failed: {error}; nothing written"
            ) from error


def load_sqlite(
    path: Path, database: Database, placed: pl.DataFrame, insert: str, table: str
) -> tuple[int, int]:
    """Stage beside the store's file, attach, insert in one transaction."""
    with tempfile.TemporaryDirectory(prefix=".bulk-", dir=path.parent) as folder:
        staging = Path(folder) / "staging.db"
        stage(staging, placed)
        with database.turn, closing(connect_sqlite(path)) as connection:
            connection.execute(
                "PRAGMA cache_size=-262144"
            )  # 256 MB: the unique index is hit at random places
            connection.execute("ATTACH ? AS incoming", (str(staging),))
            with immediate(connection), without_index(connection, table, len(placed)):
                accepted = connection.execute(insert.format(staging="incoming.staging")).rowcount
            last = connection.execute("SELECT coalesce(max(log_offset), 0) FROM events").fetchone()[0]
    return max(accepted, 0), last


def stage(path: Path, placed: pl.DataFrame) -> None:
    """Write the frame into a new SQLite file; it need not survive a crash, so nothing is synced."""
    with adbc_driver_sqlite.dbapi.connect(str(path), autocommit=True) as adbc, adbc.cursor() as cursor:
        for pragma in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF"):
            cursor.execute(pragma)
            cursor.fetchall()
        cursor.adbc_ingest("staging", placed.to_arrow(), mode="create")


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction with the write lock from its start."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def without_index(connection: sqlite3.Connection, table: str, incoming: int) -> Iterator[None]:
    """Drop the history index while a load that outweighs the log runs: one sort at the end is cheaper."""
    stored = connection.execute("SELECT coalesce(max(log_offset), 0) FROM events").fetchone()[0]
    worth_it = table == "events" and incoming > stored
    if worth_it:
        connection.execute("DROP INDEX events_person_time")
    yield
    if worth_it:
        connection.execute(PERSON_TIME)


def load_postgres(
    database: Database, placed: pl.DataFrame, insert: str, table: str, lock: int
) -> tuple[int, int]:
    """Ingest into a temporary table and insert from it, on one ADBC connection, in one transaction."""
    try:
        with adbc_driver_postgresql.dbapi.connect(conninfo(database.url)) as adbc, adbc.cursor() as cursor:
            cursor.adbc_ingest("staging", placed.to_arrow(), mode="create", temporary=True)
            fetch(cursor, f"SELECT pg_advisory_xact_lock({lock})")
            written = f"WITH written AS ({insert.format(staging='staging')} RETURNING 1) SELECT count(*) FROM written"  # noqa: S608
            accepted = fetch(cursor, written)
            last = fetch(cursor, "SELECT coalesce(max(log_offset), 0) FROM events")
            adbc.commit()
    except adbc_driver_manager.Error as error:
        raise StoreWriteError(
            f"bulk load of {len(placed)} {table} failed: {error}; nothing written"
        ) from error
    return accepted, last


def fetch(cursor: adbc_driver_postgresql.dbapi.Cursor, query: str) -> int:
    """The one number a query answers with."""
    cursor.execute(query)
    row: Sequence[int] | None = cursor.fetchone()
    return row[0] if row and row[0] is not None else 0
