"""KuaiRand histories (per user, order known, times not) → events with estimated times."""

from __future__ import annotations

import polars as pl

from zhiliu.events.connectors.casting import Rule
from zhiliu.events.connectors.checks import RejectedRow, split
from zhiliu.events.connectors.fields import ROW, FileError
from zhiliu.events.connectors.source import Checked

COLUMNS = ("user_id", "history_len", "watch_seq", "like_seq", "long_watch_seq")
END_MS = 1_650_812_400_000
"""2022-04-24T15:00:00Z: one step after the newest entry."""
SPAN_MS = 17 * 86_400_000
"""The histories cover 8-24 April."""
FLOOR_MS = 1_649_347_200_000
"""2022-04-07T16:00:00Z: midnight of 8 April in Beijing; nothing is older."""
ESTIMATED = '{"time":"estimated"}'
LONG_VIEW = '{"long_view":1,"click":1,"time":"estimated"}'


def events(raw: pl.DataFrame, name: str) -> Checked:
    """Rows (U,) → an impression for each watch entry, a view for each long watch, a like for each like.

    Entry i of L lies at ``END - (L - i) * 17 days / max(history_len, L)``. A long watch or like of a video in
    the window takes that entry's time + 1 ms, the newest matching first; one that matches none is older than
    the window and lies before it.

    Raises:
        FileError: a column is no list of whole numbers.

    """
    for column in ("watch_seq", "like_seq", "long_watch_seq"):
        dtype = raw.schema[column]
        if not (
            isinstance(dtype, pl.List) and (dtype.inner.is_integer() or isinstance(dtype.inner, pl.String))
        ):
            raise FileError(f"{name}: column {column!r} is {dtype}; it must be a list of video ids")
    rows, rejected = _checked(raw)
    count = pl.col("watch_seq").list.len().cast(pl.Int64)
    rows = rows.select(
        ROW,
        person=pl.col("user_id").cast(pl.String),
        step=SPAN_MS / pl.max_horizontal(pl.col("history_len").cast(pl.Int64), count, 1),
        window_ms=(END_MS - count * (SPAN_MS / pl.max_horizontal("history_len", count, 1))).cast(pl.Int64),
        count=count,
        watch=pl.col("watch_seq").cast(pl.List(pl.String)),
        long_watch=pl.col("long_watch_seq").cast(pl.List(pl.String)),
        like=pl.col("like_seq").cast(pl.List(pl.String)),
    )
    watched = _entries(rows, "watch").with_columns(
        time=(END_MS - (pl.col("count") - pl.col("i")) * pl.col("step")).cast(pl.Int64)
    )
    frame = pl.concat(
        [
            _events(watched, "watch", "impression", ESTIMATED),
            _events(_timed(_entries(rows, "long_watch"), watched), "long_watch", "view", LONG_VIEW),
            _events(_timed(_entries(rows, "like"), watched), "like", "like", ESTIMATED),
        ]
    )
    return Checked(frame.sort("time", maintain_order=True), rejected)


def _checked(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[RejectedRow]]:
    lists = ("watch_seq", "like_seq", "long_watch_seq")
    holed = [
        Rule(c, pl.col(c).list.eval(pl.element().is_null()).list.any(), pl.lit("holds an empty entry"))
        for c in lists
    ]
    missing = [Rule(c, pl.col(c).is_null(), pl.lit("is missing")) for c in COLUMNS]
    short = Rule(
        "history_len", pl.col("history_len") < 0, pl.format("is {}; must be 0 or more", "history_len")
    )
    return split(raw, [*missing, *holed, short])


def _entries(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row an entry: ``i`` (0-based), ``video``, ``nth``: how many newer entries name the same video."""
    return (
        rows.select(
            ROW, "person", "step", "window_ms", "count",
            video=pl.col(column),
            i=pl.int_ranges(pl.col(column).list.len(), dtype=pl.Int64),
        )
        .explode("video", "i", empty_as_null=False)
        .with_columns(nth=pl.int_range(pl.len(), dtype=pl.Int64).reverse().over("person", "video"))
    )  # fmt: skip


def _timed(entries: pl.DataFrame, watched: pl.DataFrame) -> pl.DataFrame:
    """Give long watches or likes the time of the watch entry they belong to."""
    found = entries.join(
        watched.select("person", "video", "nth", at="time"),
        on=["person", "video", "nth"],
        how="left",
        maintain_order="left",
    )
    older = pl.col("at").is_null()
    place = (older.cast(pl.Int64).cum_sum() / (older.sum() + 1)).over("person")  # (0, 1), oldest first
    before = FLOOR_MS + place * (pl.col("window_ms") - FLOOR_MS).clip(lower_bound=0)
    return found.with_columns(time=pl.when(older).then(before.cast(pl.Int64)).otherwise(pl.col("at") + 1))


def _events(entries: pl.DataFrame, letter: str, kind: str, props: str) -> pl.DataFrame:
    nothing, nothing_ms = pl.lit(None, pl.String), pl.lit(None, pl.Int64)
    return entries.select(
        ROW,
        event_id=pl.format("kr:h:{}:{}:{}", "person", pl.lit(letter), "i"),
        type=pl.lit(kind),
        time=pl.col("time"),
        person_id=pl.col("person"),
        session_id=nothing,
        video_id=pl.col("video"),
        surface=pl.lit("history"),
        request_id=nothing,
        position_ms=nothing_ms,
        watch_ms=nothing_ms,
        props=pl.lit(props),
    )
