"""Likes of followed people at any moment of a snapshot: what ``live.likers`` keeps for now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.social import FOLLOW_WORDS, FOLLOWED, LIKE_WORDS, LIKES, Heard
from zhiliu.labels.rules import whom
from zhiliu.types import I32, I64, NEVER_MS, Bool

BLOCK = 256
"""Rows looked up at once: at most BLOCK · FOLLOWED · LIKES likes are laid out, some 100 MB."""
KEY_BITS = 42
"""Milliseconds of 139 years in the lower bits of a key, who it was in the upper ones."""


@dataclass(frozen=True, slots=True)
class FollowedLikes:
    """Follows by person, and likes and unlikes by whoever is followed; ``until``: the next word of the pair."""

    follow_start: I64  # (U + 1,) first follow of each person
    follow_ms: I64  # (F,) ascending within a person
    follow_until: I64  # (F,)
    follow_of: I32  # (F,) number of who is followed
    word_start: I64  # (A + 1,) first word of each followed person
    word_ms: I64  # (E,) ascending within a followed person
    word_until: I64  # (E,)
    word_like: Bool  # (E,) False: an unlike
    word_video: I32  # (E,)

    @classmethod
    def load(
        cls, snapshot: Path, videos: VideoColumns, people: Sequence[str], until_ms: int | None = None
    ) -> Self:
        """From the events of a snapshot before ``until_ms``; ``people`` (U,) are those who may be asked for."""
        events = pl.scan_parquet(snapshot / "events.parquet")
        if until_ms is not None:
            events = events.filter(pl.col("time") < until_ms)
        follows = follow_frame(events, videos)
        words = word_frame(events, follows)
        authors = numbered(words["person"].unique(), "author", "number")
        follows = follows.join(numbered(people, "person", "row"), on="person")
        follows = follows.join(authors, on="author", how="left").sort("row", "time", "offset")
        words = words.join(authors, left_on="person", right_on="author").sort("number", "time", "offset")
        return cls(
            follow_start=starts(follows["row"], len(people)),
            follow_ms=follows["time"].to_numpy(),
            follow_until=follows["until"].to_numpy(),
            follow_of=follows["number"].fill_null(-1).to_numpy(),
            word_start=starts(words["number"], len(authors)),
            word_ms=words["time"].to_numpy(),
            word_until=words["until"].to_numpy(),
            word_like=(words["type"] == "like").to_numpy(),
            word_video=words["video_row"].to_numpy(),
        )

    def at(self, person: I32, state_ms: I64) -> Heard:
        """What each of ``person`` (B,) had heard before ``state_ms`` (B,); person −1 follows nobody."""
        b = len(person)
        if not len(self.word_ms):
            return Heard.nothing(b)
        heard = Heard(
            np.zeros((b, LIKES), np.bool_), np.zeros((b, LIKES), np.int32), np.zeros((b, LIKES), np.int64)
        )
        for first in range(0, b, BLOCK):
            cut = slice(first, first + BLOCK)
            row, word = self._newest(person[cut], state_ms[cut])
            place = from_end(row)
            heard.mask[first + row, place] = True
            heard.video[first + row, place] = self.word_video[word]
            heard.time_ms[first + row, place] = self.word_ms[word]
        return heard

    def _newest(self, person: I32, state_ms: I64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of a row asked for and a like that counts there, by row, then time."""
        known = np.maximum(person, 0)
        start = self.follow_start[known]
        row, follow = ragged(start, np.where(person >= 0, self.follow_start[known + 1], start))
        row, follow = holding(row, follow, state_ms, self.follow_ms, self.follow_until)
        newest = from_end(row) < FOLLOWED
        row, author = row[newest], self.follow_of[follow[newest]]
        row, author = row[author >= 0], author[author >= 0]
        end = self._words_before(author, state_ms[row])
        pair, word = ragged(np.maximum(end - LIKES, self.word_start[author]), end)
        row, word = row[pair][self.word_like[word]], word[self.word_like[word]]
        row, word = holding(row, word, state_ms, self.word_ms, self.word_until)
        order = np.lexsort((self.word_ms[word], row))
        row, word = row[order], word[order]
        counts = from_end(row) < LIKES
        return row[counts], word[counts]

    def _words_before(self, author: I32, state_ms: I64) -> NDArray[np.int64]:
        """(Q,) number after the author's last word with time < ``state_ms``."""
        since = int(self.word_ms.min())
        of = np.repeat(np.arange(len(self.word_start) - 1), np.diff(self.word_start))
        keys = (of << KEY_BITS) + (self.word_ms - since)
        asked = (author.astype(np.int64) << KEY_BITS) + np.clip(state_ms - since, 0, 2**KEY_BITS - 1)
        return np.searchsorted(keys, asked, "left")


def follow_frame(events: pl.LazyFrame, videos: VideoColumns) -> pl.DataFrame:
    """Follows: person, author, time, offset, until. Who follows themselves hears nothing of it."""
    said = (
        events.filter(pl.col("type").is_in([kind.value for kind in FOLLOW_WORDS]))
        .select("offset", "type", "person", "video_row", "time", "props")
        .collect()
    )
    authors = [
        whom(json.loads(props) if props else {}, row, videos)
        for props, row in zip(said["props"], said["video_row"], strict=True)
    ]
    said = said.drop("props").with_columns(pl.Series("author", authors, pl.String))
    said = said.filter((pl.col("author") != "") & (pl.col("author") != pl.col("person")))
    return until_next(said, "author").filter(pl.col("type") == "follow").drop("type", "video_row")


def word_frame(events: pl.LazyFrame, follows: pl.DataFrame) -> pl.DataFrame:
    """Likes and unlikes of whoever is followed: person, video_row, type, time, offset, until."""
    followed = follows.select(pl.col("author").unique().alias("person")).lazy()
    words = (
        events.filter(pl.col("type").is_in([kind.value for kind in LIKE_WORDS]) & (pl.col("video_row") >= 0))
        .select("offset", "type", "person", pl.col("video_row").cast(pl.Int32), "time")
        .join(followed, on="person", how="semi")
        .collect()
    )
    return until_next(words, "video_row")


def until_next(words: pl.DataFrame, about: str) -> pl.DataFrame:
    """Add ``until``: when the same person said the next word about the same thing."""
    ordered = words.sort("person", about, "time", "offset")
    return ordered.with_columns(
        pl.col("time").shift(-1).over("person", about).fill_null(NEVER_MS).alias("until")
    )


def numbered(names: Sequence[str] | pl.Series, name: str, number: str) -> pl.DataFrame:
    """Names with their place as int32."""
    column = pl.Series(name, names, pl.String)
    return pl.DataFrame({name: column, number: pl.Series(range(len(column)), dtype=pl.Int32)})


def starts(of: pl.Series, count: int) -> I64:
    """(count + 1,) first row of each number in a sorted column."""
    return np.searchsorted(of.to_numpy(), np.arange(count + 1)).astype(np.int64)


def ragged(first: NDArray[Any], last: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All of the ranges first … last - 1 (Q,) one after the other: number of the range, element."""
    length = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(length)), length)
    before = np.cumsum(length) - length
    return owner, np.arange(len(owner)) - before[owner] + first[owner]


def holding(
    row: NDArray[np.int64], word: NDArray[np.int64], state_ms: I64, since: I64, until: I64
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs whose word was said before the row's moment and not taken back before it."""
    now = state_ms[row]
    holds = (since[word] < now) & (now <= until[word])
    return row[holds], word[holds]


def from_end(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the same row come after each; ``row`` is sorted."""
    counted: NDArray[np.int64] = np.searchsorted(row, row, "right") - 1 - np.arange(len(row))
    return counted
