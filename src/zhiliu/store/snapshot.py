"""One consistent moment of the store as Parquet: what training and evaluation read.

``events.parquet``  offset, event_id, type, person, video_row (i32, -1: none or unknown), time, surface,
request_id, position_ms, watch_ms, props (JSON text or null); sorted by (time, offset).
``videos.parquet``  row and every field of Video, deleted ones too. ``people.parquet``  every field of Person.
``manifest.json``   schema, rows (events), videos, people, last_offset, until_ms, min_ms, max_ms.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import polars as pl

from zhiliu.store.engine import Database, connect_sqlite
from zhiliu.store.errors import StoreWriteError
from zhiliu.store.leftovers import mine, sweep
from zhiliu.store.postgres_log import conninfo
from zhiliu.store.tables import people, videos

SCHEMA: Final = 1
LONGS: Final = ("log_offset", "time", "position_ms", "watch_ms", "duration_ms", "published_ms", "follow_count",
                "fan_count", "friend_count", "registered_ms", "row_number")  # fmt: skip
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "events": ("log_offset", "event_id", "type", "person", "video_id", "time", "surface", "request_id",
               "position_ms", "watch_ms", "props"),
    "videos": tuple(videos.c.keys()),
    "people": tuple(people.c.keys()),
}  # fmt: skip


def write_snapshot(database: Database, out: Path, until_ms: int | None = None) -> dict[str, Any]:
    """Write the snapshot folder ``out``, replacing an older one, and return its manifest.

    Only events with time < ``until_ms`` when given. The folder appears at once, complete, or not at all.

    Raises:
        StoreWriteError: the disk is full, or the database cannot be read.

    """
    try:
        return write_folder(database, out.absolute(), until_ms)
    except (sqlite3.Error, adbc_driver_manager.Error, pl.exceptions.PolarsError, OSError) as error:
        raise StoreWriteError(f"the snapshot {out} was not written: {error}") from error


def write_folder(database: Database, out: Path, until_ms: int | None) -> dict[str, Any]:
    """Write beside ``out``, then rename."""
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out.parent, f".{out.name}-")
    staging = Path(tempfile.mkdtemp(prefix=mine(f".{out.name}-"), dir=out.parent))
    try:
        with reading(database, staging, until_ms) as tables:
            manifest = write_files(tables, staging, until_ms)
        staging.chmod(0o755)
        replace(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def write_files(tables: Mapping[str, pl.DataFrame], folder: Path, until_ms: int | None) -> dict[str, Any]:
    """The four files."""
    catalogue = tables["videos"].rename({"row_number": "row"}).with_columns(
        pl.col("row").cast(pl.Int32), pl.col("tags").str.json_decode(pl.List(pl.String))
    ).sort("row")  # fmt: skip
    row_of = catalogue.select("video_id", pl.col("row").alias("video_row"))
    log = (
        tables["events"]
        .rename({"log_offset": "offset"})
        .join(row_of, on="video_id", how="left", maintain_order="left")
        .with_columns(pl.col("video_row").fill_null(-1))
        .select("offset", "event_id", "type", "person", "video_row", "time", "surface", "request_id",
                "position_ms", "watch_ms", "props")
        .sort("time", "offset")
    )  # fmt: skip
    log.write_parquet(folder / "events.parquet")
    catalogue.write_parquet(folder / "videos.parquet")
    profiles = tables["people"].sort("person_id")
    profiles.write_parquet(folder / "people.parquet")
    manifest = {
        "schema": SCHEMA,
        "rows": len(log),
        "videos": len(catalogue),
        "people": len(profiles),
        "last_offset": log["offset"].max() or 0,
        "until_ms": until_ms,
        "min_ms": log["time"].min(),
        "max_ms": log["time"].max(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    return manifest


def replace(staging: Path, out: Path) -> None:
    """Put the new folder where the old one was."""
    if out.exists():
        old = staging.with_name(staging.name + "-old")
        out.rename(old)
        staging.rename(out)
        shutil.rmtree(old)
    else:
        staging.rename(out)


@contextmanager
def reading(database: Database, folder: Path, until_ms: int | None) -> Iterator[dict[str, pl.DataFrame]]:
    """The three tables as frames, all of one moment."""
    if database.path is not None:
        yield read_sqlite(database.path, folder / "copy.db", until_ms)
    else:
        yield read_postgres(database, until_ms)


def query(table: str, until_ms: int | None) -> str:
    """What is read of a table."""
    condition = f" WHERE time < {int(until_ms)}" if table == "events" and until_ms is not None else ""
    return f"SELECT {','.join(COLUMNS[table])} FROM {table}{condition}"  # noqa: S608


def read_sqlite(path: Path, copy: Path, until_ms: int | None) -> dict[str, pl.DataFrame]:
    """Copy what is needed into a file of its own in one read transaction, then read that by ADBC."""
    with closing(connect_sqlite(path)) as connection:
        connection.execute("ATTACH ? AS copy", (str(copy),))
        connection.execute("PRAGMA copy.journal_mode=OFF")
        connection.execute("PRAGMA copy.synchronous=OFF")
        connection.execute("BEGIN")
        for table, names in COLUMNS.items():
            # ADBC infers a column's type from the first rows; a first row without nulls settles it
            model = ",".join("0" if name in LONGS else "''" for name in names)
            connection.execute(f"CREATE TABLE copy.{table} ({','.join(names)})")
            connection.execute(f"INSERT INTO copy.{table} VALUES ({model})")  # noqa: S608
            connection.execute(f"INSERT INTO copy.{table} {query(table, until_ms)}")
        connection.execute("COMMIT")
    try:
        with adbc_driver_sqlite.dbapi.connect(str(copy)) as adbc:
            return {table: fetch(adbc, f"SELECT * FROM {table} ORDER BY rowid").slice(1) for table in COLUMNS}  # noqa: S608
    finally:
        copy.unlink()


def read_postgres(database: Database, until_ms: int | None) -> dict[str, pl.DataFrame]:
    """Read by ADBC in one REPEATABLE READ transaction."""
    with adbc_driver_postgresql.dbapi.connect(conninfo(database.url)) as adbc:
        with adbc.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return {table: fetch(adbc, query(table, until_ms)) for table in COLUMNS}


def fetch(adbc: adbc_driver_manager.dbapi.Connection, sql: str) -> pl.DataFrame:
    """A query's answer, integers as 64 bits."""
    with adbc.cursor() as cursor:
        if isinstance(adbc, adbc_driver_sqlite.dbapi.Connection):
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
        cursor.execute(sql)
        frame = pl.DataFrame(cursor.fetch_arrow_table())
    return frame.with_columns(pl.col(name).cast(pl.Int64) for name in LONGS if name in frame.columns)
