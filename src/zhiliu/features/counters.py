"""Counters with exponential decay: how often a video, its author, its topic, its length was shown and liked.

``Counters`` is the live form: add events as they come, read at any later time. ``replay`` is the training
form: the same numbers at many (key, time) points at once, from the whole log. A property test holds the two
together. Both count an event at its own time and read strictly before the time asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.context import LOGGED, SURFACE_CODES
from zhiliu.features.video import BUCKETS, duration_bucket
from zhiliu.types import I32, I64

F64 = NDArray[np.float64]

STATS: tuple[str, ...] = (
    "shown", "judged", "click", "long_view", "complete", "like", "follow", "comment", "share", "hide", "ratio",
)  # fmt: skip
"""``shown``: impressions. ``judged``: those whose click is known (an imported history may not tell).
``ratio``: sum of watch ratios, each at most 2. The others: how often the head became true."""
STAT = {name: i for i, name in enumerate(STATS)}

KINDS: tuple[str, ...] = ("all", "bucket", "tag", "author", "video", "surface", "surface_bucket")
"""What is counted by; each row of a log adds to one key of every kind."""

HALF_LIFE_MS = 14 * 86_400_000
"""Weights halve every two weeks: short against a catalogue's life, long against a day's noise."""


def keys_of(kind: str, videos: VideoColumns, video: I32, surface: I32) -> I64:
    """Key (B,) of catalogue rows (B,) seen on surfaces (B,) or (1,)."""
    if kind == "all":
        key: NDArray[Any] = np.zeros(len(video), np.int64)
    elif kind == "bucket":
        key = duration_bucket(videos.duration_ms[video])
    elif kind == "tag":
        key = videos.tag[video, 0]
    elif kind == "author":
        key = videos.author[video]
    elif kind == "video":
        key = video
    elif kind == "surface":
        key = np.broadcast_to(surface, video.shape)
    elif kind == "surface_bucket":
        key = surface.astype(np.int64) * BUCKETS + duration_bucket(videos.duration_ms[video])
    else:
        raise ValueError(f"unknown counter kind {kind!r}; known: {', '.join(KINDS)}")
    return key.astype(np.int64)


def key_count(kind: str, videos: VideoColumns) -> int:
    """How many keys a kind has for this catalogue."""
    return {
        "all": 1,
        "bucket": BUCKETS,
        "tag": len(videos.tags),
        "author": len(videos.authors),
        "video": len(videos),
        "surface": SURFACE_CODES,
        "surface_bucket": SURFACE_CODES * BUCKETS,
    }[kind]


@dataclass(frozen=True, slots=True)
class Increments:
    """What happened, ready to count: one row an event."""

    video: I32  # (E,)
    surface: I32  # (E,)
    time_ms: I64  # (E,) non-decreasing
    stats: F64  # (E, S) in the order of STATS

    @classmethod
    def of(cls, video: I32, surface: I32, time_ms: I64, said: Mapping[str, NDArray[Any]]) -> Increments:
        """From columns (E,): ``shown``, the heads, ``ratio``.

        Of an imported history only exposures, long views and likes are counted: its clicks and watch times are
        not told, so they would have hits without trials.
        """
        judged = surface != LOGGED
        stats = np.zeros((len(video), len(STATS)))
        for name, i in STAT.items():
            if name == "judged":
                stats[:, i] = said["shown"] * judged
            else:
                stats[:, i] = said[name] * (1 if name in ("shown", "long_view", "like") else judged)
        return cls(video, surface, time_ms, stats)

    def before(self, time_ms: int) -> Increments:
        """Only what happened before a time."""
        cut = slice(0, int(np.searchsorted(self.time_ms, time_ms, "left")))
        return Increments(self.video[cut], self.surface[cut], self.time_ms[cut], self.stats[cut])


class Counters:
    """Live counters. Not thread-safe: one writer; readers take their copy through ``read``."""

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos
        self.sums: dict[str, F64] = {k: np.zeros((key_count(k, videos), len(STATS))) for k in KINDS}
        self.origin_ms = 0
        """Sums are kept as of this time: a new event weighs 2^((time - origin) / half-life)."""

    def add(self, increments: Increments) -> None:
        """Count events; times may arrive slightly out of order."""
        if not len(increments.time_ms):
            return
        self.rebase(int(increments.time_ms[-1]))
        weight = growth(increments.time_ms - self.origin_ms)
        for kind, sums in self.sums.items():
            key = keys_of(kind, self.videos, increments.video, increments.surface)
            np.add.at(sums, key, increments.stats * weight[:, None])

    def read(self, kind: str, key: I64, state_ms: I64) -> F64:
        """Decayed sums (B, S) of the keys (B,) at ``state_ms`` (1,); everything added counts."""
        values: F64 = self.sums[kind][key] * growth(self.origin_ms - state_ms)[:, None]
        return values

    def rebase(self, time_ms: int) -> None:
        """Move the origin when weights would grow large: once in 40 half-lives."""
        if self.origin_ms == 0:
            self.origin_ms = time_ms
        elif time_ms - self.origin_ms > 40 * HALF_LIFE_MS:
            for sums in self.sums.values():
                sums *= growth(np.asarray(self.origin_ms - time_ms))
            self.origin_ms = time_ms

    def grow(self, videos: VideoColumns) -> None:
        """Make room for a catalogue that has grown; keys of known videos do not change."""
        self.videos = videos
        for kind in KINDS:
            missing = key_count(kind, videos) - len(self.sums[kind])
            if missing > 0:
                self.sums[kind] = np.vstack([self.sums[kind], np.zeros((missing, len(STATS)))])


class Replay:
    """The counters of a whole log, readable at any (key, time): what ``Counters`` would have said then."""

    def __init__(self, videos: VideoColumns, increments: Increments) -> None:
        self.videos = videos
        self.start_ms = int(increments.time_ms[0]) if len(increments.time_ms) else 0
        self.kinds: dict[str, tuple[I64, I64, F64]] = {}
        weighted = increments.stats * growth(increments.time_ms - self.start_ms)[:, None]
        for kind in KINDS:
            key = keys_of(kind, videos, increments.video, increments.surface)
            order = np.argsort(key, kind="stable")
            first = np.searchsorted(key[order], np.arange(key_count(kind, videos)))
            times = self.composite(key[order], increments.time_ms[order])
            self.kinds[kind] = (times, first, running_sums(key[order], weighted[order]))

    def composite(self, key: I64, time_ms: I64) -> I64:
        """Sorts by key, then time; times fit 42 bits (139 years)."""
        since = np.clip(time_ms - self.start_ms, 0, 2**42 - 1)
        combined: I64 = (key << 42) + since
        return combined

    def read(self, kind: str, key: I64, state_ms: I64) -> F64:
        """Decayed sums (B, S) of keys (B,) at times (B,) or (1,), counting only what came strictly before."""
        times, first, sums = self.kinds[kind]
        last = np.searchsorted(times, self.composite(key, state_ms), "left") - 1
        found = last >= first[key]
        values: F64 = (
            np.where(found[:, None], sums[np.maximum(last, 0)], 0.0)
            if len(sums)
            else np.zeros((len(key), len(STATS)))
        )
        return values * growth(self.start_ms - state_ms)[:, None]


def running_sums(key: I64, values: F64) -> F64:
    """Cumulative sums (E, S) that start anew at each key; ``key`` is sorted.

    Within the key, not one sum over the whole log minus its start: late weights of other keys would drown
    the early ones in rounding.
    """
    frame = pl.from_numpy(values).with_columns(pl.Series("key", key))
    sums: F64 = frame.select(pl.exclude("key").cum_sum().over("key")).to_numpy()
    return sums


def growth(elapsed_ms: NDArray[Any]) -> F64:
    """2^(elapsed / half-life): how much more a later event weighs than one at zero."""
    factor: F64 = np.exp2(elapsed_ms / HALF_LIFE_MS)
    return factor


def smoothed(hits: F64, trials: F64, prior: F64 | float, strength: float, most: float = 1.0) -> F64:
    """Empirical-Bayes rate: ``prior`` counts as ``strength`` trials. All (B,). At most ``most``.

    A log may tell of views without their impressions: whoever watched was shown it.
    """
    shown = np.maximum(trials, hits / most)
    rate: F64 = (hits + strength * prior) / (shown + strength)
    return rate


class CounterReader(Protocol):
    """Live counters or a replay."""

    def read(self, kind: str, key: I64, state_ms: I64) -> F64:
        """Decayed sums (B, S) of keys (B,) at times (B,) or (1,)."""
        ...
