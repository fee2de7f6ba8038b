"""Snapshot → interactions: one row an impression, with every outcome and the time it became known.

An outcome belongs to the impression with the same person, video and ``request_id``; without a matching
request, to the person's newest earlier impression of that video; without any, it makes a row of its own
(something was watched that this system did not serve). ``live.state`` does the same event by event.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from zhiliu.labels.rules import (
    CLICK_MS,
    CLICK_RATIO,
    COMPLETE_RATIO,
    HEAD_OF_TYPE,
    LONG_VIEW_MS,
)
from zhiliu.types import HEADS, NEVER_MS

VIEW_HEADS = ("click", "long_view", "complete")


def load_interactions(snapshot: Path) -> pl.DataFrame:
    """One row an impression, in the order of the log.

    Columns: ``person`` str, ``person_row`` i32 (by first appearance), ``video_row`` i32, ``time_ms``,
    ``known_ms`` (last outcome), ``watch_ms`` f32, ``watch_known_ms`` (NEVER_MS: none), ``duration_ms``,
    ``surface`` str, ``request_id``, one i8 column a head, one i64 column ``<head>_ms`` a head, and
    ``estimated`` bool for rows whose time the importer had to estimate (never trained on, only history).

    Raises:
        ValueError: the snapshot holds no impression and no view.

    """
    return interactions(load_events(snapshot))


def load_events(snapshot: Path) -> pl.DataFrame:
    """The events that labels are made of, in the order of the log, with what they mean.

    Adds ``duration_ms``, ``estimated`` and one bool column a head: whether this event makes the head true.

    Raises:
        ValueError: nothing of the kind is in the snapshot.

    """
    videos = pl.read_parquet(snapshot / "videos.parquet").select(
        pl.col("row").cast(pl.Int32).alias("video_row"), "duration_ms"
    )
    events = labelled(pl.read_parquet(snapshot / "events.parquet"), videos).sort("time_ms", "offset")
    if events.is_empty():
        raise ValueError(
            f"{snapshot}: no impression, view or reaction on a known video; import a feed log first"
        )
    return events.with_columns(estimated()).drop("props")


def labelled(events: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Events that labels are made of, in the order given, with ``duration_ms`` and a bool column a head.

    ``events`` has at least video_row, type, time, watch_ms, props; ``videos`` video_row and duration_ms.
    """
    kinds = ["impression", "view", *(kind.value for kind in HEAD_OF_TYPE)]
    return (
        events.filter((pl.col("video_row") >= 0) & pl.col("type").is_in(kinds))
        .rename({"time": "time_ms"})
        .join(videos, on="video_row", how="left", maintain_order="left")
        .with_columns(pl.col("duration_ms").fill_null(0), props_of("click"), props_of("long_view"))
        .with_columns(truth())
        .drop("said_click", "said_long_view")
    )


def increments(events: pl.DataFrame) -> pl.DataFrame:
    """What each event adds to counters: ``video_row``, ``surface``, ``time_ms``, ``shown``, the heads, ``ratio``."""
    length = pl.col("duration_ms")
    ratio = pl.when(length > 0).then(pl.col("watch_ms").fill_null(0) / length).otherwise(0.0)
    return events.select(
        "video_row",
        "surface",
        "time_ms",
        (pl.col("type") == "impression").alias("shown"),
        *HEADS,
        pl.when(pl.col("type") == "view").then(ratio.clip(0, 2)).otherwise(0.0).alias("ratio"),
    )


def interactions(events: pl.DataFrame) -> pl.DataFrame:
    """Join impressions with what followed; ``events`` is sorted by (time_ms, offset)."""
    shown = events.filter(pl.col("type") == "impression").unique(
        ["person", "video_row", "request_id", "time_ms"], keep="first", maintain_order=True
    )
    shown = shown.select(
        "offset", "person", "video_row", "time_ms", "duration_ms", "surface", "request_id", "estimated"
    ).with_columns(pl.col("offset").alias("shown"))
    outcomes = attach(events.filter(pl.col("type") != "impression"), shown)
    orphans = outcomes.filter(pl.col("shown").is_null())
    own = orphans.unique(["person", "video_row", "request_id"], keep="first", maintain_order=True)
    own = own.with_columns(pl.col("offset").alias("shown")).select(shown.columns)
    outcomes = pl.concat([outcomes.filter(pl.col("shown").is_not_null()), claim(orphans, own)])
    rows = pl.concat([shown, own]).join(summarise(outcomes), on="shown", how="left", maintain_order="left")
    return finish(rows)


def attach(outcomes: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Add ``shown``: offset of the impression an outcome belongs to, null when there is none."""
    by_request = shown.filter(pl.col("request_id").is_not_null()).unique(
        ["person", "video_row", "request_id"], keep="last"
    )
    outcomes = outcomes.join(
        by_request.select("person", "video_row", "request_id", "shown"),
        on=["person", "video_row", "request_id"],
        how="left",
        maintain_order="left",
    )
    newest = outcomes.sort("time_ms", maintain_order=True).join_asof(
        shown.select("person", "video_row", "time_ms", pl.col("shown").alias("newest")).sort(
            "time_ms", maintain_order=True
        ),
        on="time_ms",
        by=["person", "video_row"],
        strategy="backward",
        check_sortedness=False,
    )
    return newest.with_columns(pl.coalesce("shown", "newest").alias("shown")).drop("newest")


def claim(orphans: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Orphan outcomes with the row that the first of them made."""
    keys = ["person", "video_row", "request_id"]
    return orphans.drop("shown").join(
        own.select(*keys, "shown"), on=keys, how="left", nulls_equal=True, maintain_order="left"
    )


def truth() -> list[pl.Expr]:
    """One bool column a head: the rules of ``labels.rules`` over a frame."""
    watch, duration = pl.col("watch_ms").fill_null(0), pl.col("duration_ms")
    view = pl.col("type") == "view"
    known_length = duration > 0
    click = (watch >= CLICK_MS) | (known_length & (watch >= CLICK_RATIO * duration))
    needed = pl.when(known_length).then(pl.min_horizontal(duration, LONG_VIEW_MS)).otherwise(LONG_VIEW_MS)
    said = {
        "click": pl.coalesce(pl.col("said_click"), click),
        "long_view": pl.coalesce(pl.col("said_long_view"), watch >= needed),
        "complete": known_length & (watch >= COMPLETE_RATIO * duration),
    }
    columns = [(view & said[head]).alias(head) for head in VIEW_HEADS]
    for head in HEADS[len(VIEW_HEADS) :]:
        kinds = [kind.value for kind, of in HEAD_OF_TYPE.items() if of == head]
        columns.append(pl.col("type").is_in(kinds).alias(head))
    return columns


def summarise(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Per impression: watch time and when each head became true."""
    view = pl.col("type") == "view"
    return outcomes.group_by("shown").agg(
        pl.col("watch_ms").filter(view).sum().cast(pl.Float32).alias("watch_ms"),
        pl.col("time_ms").filter(view & pl.col("watch_ms").is_not_null()).max().alias("watch_known_ms"),
        pl.col("time_ms").max().alias("known_ms"),
        *(pl.col("time_ms").filter(pl.col(head)).min().alias(f"{head}_ms") for head in HEADS),
    )


def finish(rows: pl.DataFrame) -> pl.DataFrame:
    """Order by the log, number the people, fill what did not happen."""
    rows = rows.sort("time_ms", "offset")
    return rows.select(
        "person",
        pl.col("video_row").cast(pl.Int32),
        "time_ms",
        pl.max_horizontal(pl.col("known_ms").fill_null(0), "time_ms").alias("known_ms"),
        pl.col("watch_ms").fill_null(0.0).cast(pl.Float32),
        pl.col("watch_known_ms").fill_null(NEVER_MS),
        pl.col("duration_ms").cast(pl.Int64),
        "surface",
        "request_id",
        *(pl.col(f"{head}_ms").is_not_null().cast(pl.Int8).alias(head) for head in HEADS),
        *(pl.col(f"{head}_ms").fill_null(NEVER_MS) for head in HEADS),
        "estimated",
    ).with_columns(person_rows(rows["person"]))


def person_rows(person: pl.Series) -> pl.Series:
    """int32 number of each person by first appearance."""
    order = person.unique(maintain_order=True)
    numbers = pl.DataFrame({"person": order, "person_row": pl.Series(range(len(order)), dtype=pl.Int32)})
    return person.to_frame("person").join(numbers, on="person", how="left", maintain_order="left")[
        "person_row"
    ]


def props_of(name: str) -> pl.Expr:
    """``said_<name>``: what the platform itself said in props; null when it said nothing."""
    said = pl.col("props").str.json_path_match(f"$.{name}")
    return (
        pl.when(said.is_null()).then(None).otherwise(said.is_in(["1", "true", "1.0"])).alias(f"said_{name}")
    )


def estimated() -> pl.Expr:
    """Whether the importer had to estimate the time of the event."""
    said = pl.col("props").str.json_path_match("$.time")
    return said.eq_missing(pl.lit("estimated")).alias("estimated")
