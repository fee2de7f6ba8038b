"""Counts what everybody does: the decayed counters of the features, and trending. Written in batches.

An event is a few numbers in a list until somebody reads, or the list is long: one numpy call for many events.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.context import LOGGED, surface_code
from zhiliu.features.counters import KINDS, STAT, STATS, Counters, Increments, key_count
from zhiliu.labels.rules import heads_of
from zhiliu.live.trending import WORTH, Trending
from zhiliu.types import I64, Event, EventType

F64 = NDArray[np.float64]

WAITING: Final = 1024
"""Events that wait to be counted at most; larger: cheaper an event, longer pauses for a reader."""
RATIO: Final = STATS.index("ratio")
TOLD_BY_HISTORY: Final = frozenset({"shown", "long_view", "like"})
WORTH_OF_STATS: Final = np.array([WORTH.get(stat, 0.0) for stat in STATS])  # (S,)
NAMED: Final = ("author", "tag")
"""Kinds whose keys are codes of names, which another catalogue may number otherwise."""


def bit(stat: str) -> int:
    """The place of a stat in a mask."""
    return 1 << STAT[stat]


def masks() -> tuple[F64, F64]:
    """Every mask of stats as a row: (2^S, S), and what it is worth to trending: (2^S,)."""
    every = np.arange(1 << len(STATS))
    rows = ((every[:, None] >> np.arange(len(STATS))) & 1).astype(np.float64)
    return rows, rows @ WORTH_OF_STATS


class Tally:
    """The :class:`zhiliu.features.counters.CounterReader` of the live path. Thread-safe."""

    def __init__(self, videos: VideoColumns) -> None:
        self.lock = threading.Lock()
        self.counters = Counters(videos)
        self.trending = Trending(len(videos))
        self.newest_ms = 0
        self._videos = videos
        self._durations: list[int] = videos.duration_ms.tolist()
        self._stats_of, self._worth_of = masks()
        self._waiting: list[tuple[int, int, int, int, float]] = []  # video, surface, time, mask, ratio

    def note(self, event: Event, video: int) -> None:
        """An event about catalogue row ``video``; counted at the next read or when enough have gathered.

        The caller holds ``lock``.
        """
        kind = event.type
        duration = self._durations[video]
        surface = surface_code(event.surface)
        ratio = 0.0
        if kind is EventType.IMPRESSION:
            mask = SHOWN if surface == LOGGED else SHOWN_AND_JUDGED
        else:
            heads = heads_of(event, duration)
            mask = 0
            for head in heads:
                if surface != LOGGED or head in TOLD_BY_HISTORY:
                    mask |= BIT[head]
            if kind is EventType.VIEW and duration > 0 and surface != LOGGED:
                ratio = min((event.watch_ms or 0) / duration, 2.0)
        if mask or ratio:
            self._waiting.append((video, surface, event.time, mask, ratio))
            if len(self._waiting) >= WAITING:
                self.settle()

    def settle(self) -> None:
        """Count what waits. The caller holds ``lock``."""
        if not self._waiting:
            return
        columns = np.array(self._waiting)  # (E, 5); float64 holds ms until the year 287396
        self._waiting.clear()
        video, surface = columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32)
        time_ms, mask = columns[:, 2].astype(np.int64), columns[:, 3].astype(np.int64)
        stats = self._stats_of[mask]
        stats[:, RATIO] = columns[:, 4]
        self._add(Increments(video, surface, time_ms, stats), self._worth_of[mask])

    def count(self, increments: Increments) -> None:
        """Many events at once, in any order. The caller holds ``lock``."""
        self.settle()
        if len(increments.video):
            self._add(increments, increments.stats @ WORTH_OF_STATS)

    def _add(self, increments: Increments, worth: F64) -> None:
        self.newest_ms = max(self.newest_ms, int(increments.time_ms.max()))
        self.counters.rebase(self.newest_ms)  # by the newest, whatever the order
        self.counters.add(increments)
        moved = worth != 0
        self.trending.add(increments.video[moved], increments.time_ms[moved], worth[moved])

    def read(self, kind: str, key: I64, state_ms: I64) -> F64:
        """Decayed sums (B, S) of keys (B,) at ``state_ms`` (1,), everything that came included.

        Not later than an hour after the newest event: a log that has stopped is read as of its end. Years of
        decay would leave nothing of it, and no model has ever been trained on nothing.
        """
        with self.lock:
            self.settle()
            return self.counters.read(kind, key, np.minimum(state_ms, self.newest_ms + GRACE_MS))

    def heat(self) -> F64:
        """(N,) of :meth:`Trending.heat`, everything that came included."""
        with self.lock:
            self.settle()
            return self.trending.heat()

    def catalogue(self, videos: VideoColumns) -> None:
        """Another catalogue: room for new rows, and names that got another number keep their counts."""
        with self.lock:
            self.settle()
            for kind, before, after in (
                ("author", self._videos.authors.names, videos.authors.names),
                ("tag", self._videos.tags.names, videos.tags.names),
            ):
                if before != after[: len(before)]:
                    self.counters.sums[kind] = renumbered(self.counters.sums[kind], before, after)
            self.counters.grow(videos)
            self.trending.grow(len(videos))
            self._videos, self._durations = videos, videos.duration_ms.tolist()

    def dump(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a checkpoint."""
        with self.lock:
            self.settle()
            sums = {f"sums_{kind}": values.copy() for kind, values in self.counters.sums.items()}
            return sums | {
                "authors": np.array(self._videos.authors.names),
                "tags": np.array(self._videos.tags.names),
                "origin_ms": np.array(self.counters.origin_ms),
                "trending": self.trending.sums.copy(),
                "trending_origin_ms": self.trending.origin_ms.copy(),
                "newest_ms": np.array([self.newest_ms, self.trending.newest_ms, self.trending.counted]),
            }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it was made by another version, or for a larger catalogue.

        """
        names = {"author": self._videos.authors.names, "tag": self._videos.tags.names}
        with self.lock:
            for kind in KINDS:
                sums = saved[f"sums_{kind}"]
                if kind in names:
                    sums = renumbered(sums, saved[f"{kind}s"].tolist(), names[kind])
                room = key_count(kind, self._videos)
                if sums.shape[1] != len(STATS) or len(sums) > room:
                    raise ValueError(f"checkpoint counts {sums.shape} by {kind}; there is room for {room}")
                self.counters.sums[kind] = np.zeros((room, len(STATS)))
                self.counters.sums[kind][: len(sums)] = sums
            self.counters.origin_ms = int(saved["origin_ms"])
            self.trending = Trending(saved["trending"].shape[1])
            self.trending.sums = saved["trending"].astype(np.float64)
            self.trending.origin_ms = saved["trending_origin_ms"].astype(np.float64)
            self.trending.grow(len(self._videos))
            self.newest_ms, self.trending.newest_ms, self.trending.counted = saved["newest_ms"].tolist()
            self._waiting.clear()


SHOWN: Final = bit("shown")
SHOWN_AND_JUDGED: Final = bit("shown") | bit("judged")
BIT: Final[Mapping[str, int]] = {stat: bit(stat) for stat in STATS}
GRACE_MS: Final = 3_600_000


def renumbered(sums: F64, before: list[str], after: list[str]) -> F64:
    """Sums (keys, S) by the codes of ``before`` as sums by the codes of ``after``; names gone are dropped."""
    code_of = {name: code for code, name in enumerate(after)}
    target = np.array([code_of.get(name, -1) for name in before], np.int64)
    moved: F64 = np.zeros((len(after), sums.shape[1]))
    moved[target[target >= 0]] = sums[np.flatnonzero(target >= 0)]
    return moved
