"""Many events at once, as columns: for readers that count and do not look at each."""

from __future__ import annotations

from typing import Final

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import polars as pl

from zhiliu.store.engine import Database
from zhiliu.store.postgres_log import conninfo
from zhiliu.store.snapshot import LONGS, fetch

COLUMNS: Final = ("log_offset", "type", "video_id", "time", "surface", "watch_ms", "props")


def read_columns(database: Database, after: int, limit: int) -> pl.DataFrame:
    """Events with offset > ``after``, at most ``limit``, in order; see :meth:`GroupCommitLog.frame`."""
    sql = (
        f"SELECT {','.join(COLUMNS)} FROM events WHERE log_offset > {int(after)} "  # noqa: S608
        f"ORDER BY log_offset LIMIT {int(limit)}"
    )
    if database.path is None:
        with adbc_driver_postgresql.dbapi.connect(conninfo(database.url)) as adbc:
            frame = fetch(adbc, sql)
    else:
        # ADBC infers a column's type from the first rows; a first row without nulls settles it
        model = ",".join(f"{'0' if name in LONGS else repr('')} AS {name}" for name in COLUMNS)
        with adbc_driver_sqlite.dbapi.connect(str(database.path)) as adbc:
            frame = fetch(adbc, f"SELECT {model} UNION ALL SELECT * FROM ({sql})").slice(1)  # noqa: S608
    frame.columns = ["offset", *COLUMNS[1:]]
    return frame
