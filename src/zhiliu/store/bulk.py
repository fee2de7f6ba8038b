"""Bulk loads: a frame into a staging table by ADBC, then one INSERT … SELECT. All or nothing.

On SQLite the staging table is in a file of its own (see ``engine`` for why ADBC must not open the store's
file), which the writing connection attaches. On PostgreSQL it is a temporary table of the ADBC connection.
"""

from __future__ import annotations

import errno
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
from zhiliu.store.leftovers import mine, sweep
from zhiliu.store.postgres_log import LOG_ORDER, conninfo
from zhiliu.store.tables import people
from zhiliu.types import Receipt

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INDEXES = {
    "events_event_id": "CREATE UNIQUE INDEX events_event_id ON events (event_id)",
    "events_person_time": "CREATE INDEX events_person_time ON events (person, time)",
}
INSERT_EVENTS = """
INSERT INTO events ({names}) SELECT {names} FROM {staging} WHERE true ORDER BY {place}
ON CONFLICT (event_id) DO NOTHING
"""
APPEND_EVENTS = "INSERT INTO events ({names}) SELECT {names} FROM {staging} ORDER BY {place}"
UPSERT_VIDEOS = """
INSERT INTO videos (row_number, {names}) SELECT
  coalesce(v.row_number, (SELECT coalesce(max(row_number), -1) FROM videos)
           + row_number() OVER (PARTITION BY v.row_number IS NULL ORDER BY s.{place})),
  {staged}
FROM {staging} s LEFT JOIN videos v ON v.video_id = s.video_id WHERE true ORDER BY s.{place}
ON CONFLICT (row_number) DO UPDATE SET {replaced}
"""
UPSERT_PEOPLE = """
INSERT INTO people ({names}) SELECT {names} FROM {staging} WHERE true ORDER BY {place}
ON CONFLICT (person_id) DO UPDATE SET {replaced}
"""


def load_events(database: Database, frame: pl.DataFrame) -> Receipt:
    """See :meth:`zhiliu.store.Store.bulk_events`."""
    rows = events_frame(frame).unique("event_id", keep="first", maintain_order=True)
    present = [column.name for column in rows if column.null_count() < len(rows)]  # others stay NULL
    return load(database, rows.select(present or rows.columns), INSERT_EVENTS, LOG_ORDER, len(frame))


def load_videos(database: Database, frame: pl.DataFrame) -> Receipt:
    """See :meth:`zhiliu.store.Store.bulk_videos`."""
    return load(database, videos_frame(frame), UPSERT_VIDEOS, ROW_NUMBERS, len(frame))


def load_people(database: Database, frame: pl.DataFrame) -> Receipt:
    """See :meth:`zhiliu.store.Store.bulk_people`."""
    return load(database, people_frame(frame), UPSERT_PEOPLE, ROW_NUMBERS, len(frame))


def load(database: Database, rows: pl.DataFrame, insert: str, lock: int, given: int) -> Receipt:
    """Run ``insert``, a statement of this file, over ``rows``; what is missing of ``given`` was repeated."""
    try:
        if database.path is None:
            accepted, last = load_postgres(database, rows, insert, lock)
        else:
            accepted, last = load_sqlite(database, database.path, rows, insert)
    except (sqlite3.Error, adbc_driver_manager.Error, OSError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.errno in FULL:
            reason = f"the disk is full ({error.strerror})"
        raise StoreWriteError(f"bulk load of {len(rows)} rows failed: {reason}; nothing written") from error
    return Receipt(accepted, given - accepted, (), last)


def fill_in(statement: str, rows: pl.DataFrame, staging: str, place: str) -> str:
    """Complete a statement of this file for the columns of a frame."""
    return statement.format(
        names=",".join(rows.columns),
        staged=",".join(f"s.{name}" for name in rows.columns),
        replaced=",".join(
            f"{name} = excluded.{name}" for name in rows.columns if name != people.c.person_id.name
        ),
        staging=staging,
        place=place,
    )


def load_sqlite(database: Database, path: Path, rows: pl.DataFrame, insert: str) -> tuple[int, int]:
    """Stage beside the store's file, attach, insert in one transaction."""
    sweep(path.parent, ".bulk-")
    with tempfile.TemporaryDirectory(prefix=mine(".bulk-"), dir=path.parent) as folder:
        staging = Path(folder) / "staging.db"
        stage(staging, rows)
        with database.turn, closing(connect_sqlite(path)) as connection:
            connection.execute(
                "PRAGMA cache_size=-262144"
            )  # 256 MB: the unique index is hit at random places
            connection.execute("ATTACH ? AS incoming", (str(staging),))
            with immediate(connection):
                if insert is INSERT_EVENTS and outweighs_log(connection, len(rows)):
                    accepted = append_then_index(connection, rows)
                else:
                    accepted = connection.execute(fill_in(insert, rows, "incoming.staging", "rowid")).rowcount
            last: int = connection.execute("SELECT coalesce(max(log_offset), 0) FROM events").fetchone()[0]
    return accepted, last


def stage(path: Path, rows: pl.DataFrame) -> None:
    """Write the frame into a new SQLite file; it need not survive a crash, so nothing is synced.

    ADBC does not say when the disk is full (it complains of a rollback), so the system is asked.
    """
    try:
        with adbc_driver_sqlite.dbapi.connect(str(path), autocommit=True) as adbc, adbc.cursor() as cursor:
            for pragma in ("page_size=65536", "journal_mode=OFF", "synchronous=OFF"):
                cursor.execute(f"PRAGMA {pragma}")
                cursor.fetchall()
            cursor.adbc_ingest("staging", rows, mode="create")
    except adbc_driver_manager.Error:
        grow(path)
        raise


def grow(path: Path) -> None:
    """Raises OSError with the system's reason when a file, of no more use, cannot grow by a megabyte."""
    with path.open("ab") as file:
        file.write(bytes(1 << 20))


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


def outweighs_log(connection: sqlite3.Connection, incoming: int) -> bool:
    """Whether building the indexes anew is less work than keeping them up row by row."""
    last: int = connection.execute("SELECT coalesce(max(log_offset), 0) FROM events").fetchone()[0]
    return incoming > last


def append_then_index(connection: sqlite3.Connection, rows: pl.DataFrame) -> int:
    """Take out what the log has, append the rest without indexes, sort once: 1.7x on a first load.

    It is all in the caller's transaction: nobody else ever sees the log without its indexes.
    """
    connection.execute("DELETE FROM incoming.staging WHERE event_id IN (SELECT event_id FROM main.events)")
    for name in INDEXES:
        connection.execute(f"DROP INDEX {name}")
    accepted = connection.execute(fill_in(APPEND_EVENTS, rows, "incoming.staging", "rowid")).rowcount
    for create in INDEXES.values():
        connection.execute(create)
    return accepted


def load_postgres(database: Database, rows: pl.DataFrame, insert: str, lock: int) -> tuple[int, int]:
    """Ingest into a temporary table and insert from it, on one ADBC connection, in one transaction."""
    placed = rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("place"))
    with adbc_driver_postgresql.dbapi.connect(conninfo(database.url)) as adbc, adbc.cursor() as cursor:
        cursor.adbc_ingest("staging", placed.to_arrow(), mode="create", temporary=True)
        fetch(cursor, f"SELECT pg_advisory_xact_lock({lock})")
        statement = fill_in(insert, rows, "staging", "place")
        accepted = fetch(cursor, f"WITH written AS ({statement} RETURNING 1) SELECT count(*) FROM written")  # noqa: S608
        last = fetch(cursor, "SELECT coalesce(max(log_offset), 0) FROM events")
        adbc.commit()
    return accepted, last


def fetch(cursor: adbc_driver_postgresql.dbapi.Cursor, query: str) -> int:
    """The one number a query answers with."""
    cursor.execute(query)
    row: Sequence[int] | None = cursor.fetchone()
    return row[0] if row and row[0] is not None else 0
