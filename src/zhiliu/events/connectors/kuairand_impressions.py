"""KuaiRand impression rows → events: what was shown, how long it played, what was done."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from zhiliu.events.connectors.casting import Rule, Texts, cast_columns
from zhiliu.events.connectors.checks import LONGEST_MS, field_rules, split
from zhiliu.events.connectors.fields import MAX_ID, ROW, Field
from zhiliu.events.connectors.mapping import Plan
from zhiliu.events.connectors.source import Checked

FLAGS = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view")
UNUSED = ("profile_stay_time", "comment_stay_time", "is_profile_enter", "date", "hourmin", "is_rand")
"""Columns of KuaiRand logs that no event needs."""

_FLAG = Field(pl.Int64(), "0 or 1", required=True)
_LENGTH = Field(pl.Int64(), "whole milliseconds, 0 or more", required=True)
_ID = Field(pl.String(), f"an id of 1 to {MAX_ID} characters", required=True, max_chars=64, is_id=True)
IMPRESSION: dict[str, Field] = {
    "user_id": _ID,
    "video_id": _ID,
    "time_ms": Field(pl.Int64(), "whole milliseconds UTC", required=True, is_time=True),
    **dict.fromkeys(FLAGS, _FLAG),
    "play_time_ms": _LENGTH,
    "duration_ms": _LENGTH,
    "tab": Field(pl.Int64(), "a whole number, 0 or more", required=True),
}
PLAN = Plan("events", {name: name for name in IMPRESSION}, {}, {}, {})
ACTIONS = (
    ("is_like", "like", "l"),
    ("is_follow", "follow", "f"),
    ("is_comment", "comment", "c"),
    ("is_forward", "share_create", "s"),
    ("is_hate", "hide", "x"),
)
"""(flag, event type, letter in the event id)."""


NOTHING = pl.lit(None, pl.String)


def surface_of_tab(tab: pl.Expr) -> pl.Expr:
    """Surface of a tab number: tab 1 is the main feed, the others keep their number."""
    return (
        pl.when(tab == 1).then(pl.lit("for_you")).otherwise(pl.concat_str(pl.lit("tab"), tab.cast(pl.String)))
    )


class Twins:
    """Finds rows written twice: identical in every column, in one chunk or two neighbours.

    Logs are in time order, so twins lie together; the store would find others by their event ids.
    """

    def __init__(self) -> None:
        self.previous = pl.Series(dtype=pl.UInt64)

    def drop(self, raw: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """The frame without later twins, and how many those were."""
        marks = raw.select(pl.struct(pl.exclude(ROW)).hash()).to_series()
        first = marks.is_first_distinct() & ~marks.is_in(self.previous.implode())
        self.previous = marks
        return raw.filter(first), raw.height - int(first.sum())


def events(raw: pl.DataFrame, name: str, texts: Texts, authors: pl.DataFrame, now_ms: int) -> Checked:
    """Impression rows (R,) → events in time order. ``authors``: (video_id, author_id) for follows.

    A few rows name the same person, video and time with another play: they are one impression, with the
    longest play and every action of them.
    """
    wide, rules = cast_columns(raw, IMPRESSION, PLAN, name, texts)
    play = pl.col("=play_time_ms")
    rules += [
        *field_rules(IMPRESSION, now_ms),
        *(Rule(f, pl.col(f"={f}") > 1, pl.format("is {}; must be 0 or 1", pl.col(f"={f}"))) for f in FLAGS),
        Rule("play_time_ms", play > LONGEST_MS, pl.format("is {}, more than a day; send ms", play)),
    ]
    good, rejected = split(wide, rules)
    rows = good.select(ROW, *(pl.col(f"={field}").alias(field) for field in IMPRESSION))
    shown = (
        rows.group_by("user_id", "video_id", "time_ms", maintain_order=True)
        .agg(pl.first(ROW, "tab"), pl.col(*FLAGS, "play_time_ms").max())
        .with_columns(
            surface=surface_of_tab(pl.col("tab")),
            request_id=pl.format("kr:{}:{}", "user_id", "time_ms"),
            key=pl.format("{}:{}:{}", "user_id", "video_id", "time_ms"),
            after=pl.col("time_ms") + pl.col("play_time_ms"),
        )
    )
    frame = pl.concat(_outcomes(shown, authors)).sort("time", maintain_order=True)
    return Checked(frame, rejected, merged=rows.height - shown.height)


def _outcomes(shown: pl.DataFrame, authors: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """One frame an event type."""
    yield _events(shown, "impression", "i", time="time_ms")
    viewed = shown.filter((pl.col("play_time_ms") > 0) | (pl.col("is_click") == 1))
    judged = pl.struct(click="is_click", long_view="long_view").struct.json_encode()
    yield _events(viewed, "view", "v", props=judged, watch_ms=pl.col("play_time_ms"))
    for flag, kind, letter in ACTIONS:
        done = shown.filter(pl.col(flag) == 1)
        if kind == "follow":
            done = done.join(authors, on="video_id", how="left", maintain_order="left")
            author = pl.when(pl.col("author_id").is_not_null()).then(
                pl.struct("author_id").struct.json_encode()
            )
            yield _events(done, kind, letter, props=author)
        else:
            yield _events(done, kind, letter)


def _events(
    rows: pl.DataFrame,
    kind: str,
    letter: str,
    *,
    props: pl.Expr = NOTHING,
    time: str = "after",
    watch_ms: pl.Expr | None = None,
) -> pl.DataFrame:
    nothing_ms = pl.lit(None, pl.Int64)
    return rows.select(
        ROW,
        event_id=pl.concat_str(pl.lit(f"kr:{letter}:"), "key"),
        type=pl.lit(kind),
        time=pl.col(time),
        person_id=pl.col("user_id"),
        session_id=NOTHING,
        video_id=pl.col("video_id"),
        surface=pl.col("surface"),
        request_id=pl.col("request_id"),
        position_ms=nothing_ms,
        watch_ms=nothing_ms if watch_ms is None else watch_ms,
        props=props,
    )
