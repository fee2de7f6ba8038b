"""Many events at once, as columns: for readers that count and do not look at each.

SQLite is read with Python's own library, not with ADBC's copy of it: this runs in the process that writes the log,
and a second library there loses what was acknowledged (see ``engine``).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from zhiliu.store.engine import Database

SCHEMA: Final[dict[str, pl.DataType]] = {
    "offset": pl.Int64(),
    "type": pl.String(),
    "video_id": pl.String(),
    "time": pl.Int64(),
    "surface": pl.String(),
    "watch_ms": pl.Int64(),
    "props": pl.String(),
}


def read_columns(database: Database, after: int, limit: int) -> pl.DataFrame:
    """Events with offset > ``after``, at most ``limit``, in order; see :meth:`GroupCommitLog.frame`."""
    sql = (
        f"SELECT log_offset,{','.join(list(SCHEMA)[1:])} FROM events WHERE log_offset > {int(after)} "  # noqa: S608
        f"ORDER BY log_offset LIMIT {int(limit)}"
    )
    with database.read() as connection:
        driver = connection.connection.driver_connection  # plain tuples: a million rows a second
        assert driver is not None  # noqa: S101 (a checked-out connection has one)
        rows = driver.cursor().execute(sql).fetchall()
    return pl.DataFrame(rows, SCHEMA, orient="row")
