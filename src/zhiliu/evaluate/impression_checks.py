"""Every cell of an impressions file, before anything is scored: a wrong one is named, none is guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from zhiliu.events.check import EARLIEST_MS, SECONDS_BELOW
from zhiliu.events.connectors.checks import LONGEST_MS

LATEST_MS: Final = 4_102_444_800_000
"""2100: a later time is in microseconds, or nonsense."""
Fault = tuple[pl.Expr, str]
"""(rows it is in, what is right)"""


def first_fault(frame: pl.DataFrame, labels: Sequence[str]) -> str | None:
    """Column, row (1-based), value and rule of the first wrong cell of the first wrong column; None: all right."""
    for column, faults in rules(frame, labels):
        for bad, right in faults:
            rows = frame.select(bad.fill_null(value=True).alias("bad"))["bad"].arg_true()
            if len(rows):
                seen = frame[column][rows[0]]
                told = "is empty" if seen is None else f"is {seen!r}"
                return f"column {column}, row {rows[0] + 1}: {told}; {right}"
    return None


def rules(frame: pl.DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, list[Fault]]]:
    """What each needed column must be."""
    for column in ("user_id", "video_id"):
        yield column, [(pl.col(column).cast(pl.String).fill_null("") == "", "it must be an id")]
    time = whole("time_ms")
    yield (
        "time_ms",
        [
            (time.is_null(), "it must be whole milliseconds UTC"),
            ((time > 0) & (time < SECONDS_BELOW), "it looks like seconds; it must be milliseconds UTC"),
            (time < EARLIEST_MS, "it is before 2000; it must be milliseconds UTC"),
            (time > LATEST_MS, "it is after 2100; it must be milliseconds UTC"),
        ],
    )
    for column in ("play_time_ms", "duration_ms"):
        value = whole(column)
        yield column, [(value.is_null() | (value < 0), "it must be whole milliseconds, 0 or more")]
    yield "play_time_ms", [(whole("play_time_ms") > LONGEST_MS, "it is more than a day; send milliseconds")]
    yield "tab", [(whole("tab").is_null() | (whole("tab") < 0), "it must be a whole number, 0 or more")]
    for column in labels:
        yield column, [(~whole(column).is_in([0, 1]), "it must be 0 or 1")]


def whole(column: str) -> pl.Expr:
    """The column as int64; null where it is no whole number."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite() & (number == number.round())).then(number.cast(pl.Int64, strict=False))
