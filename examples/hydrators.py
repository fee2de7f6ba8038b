"""Two hydrators: columns that a ranker, filter or reranker of yours may read.

::

    [project.entry-points."zhiliu.hydrators"]
    age = "hydrators:Age"
    times_shown = "hydrators:TimesShown"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.counters import STAT, CounterReader
from zhiliu.live.world import World
from zhiliu.types import Candidates, Column, Query

DAY_MS = 86_400_000


class Age:
    """``age_days`` (C,) float32 since publication, at least 0."""

    name = "age"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def hydrate(self, query: Query, candidates: Candidates) -> Mapping[str, Column]:
        age_ms = query.now_ms - self.videos.published_ms[candidates.video]
        return {"age_days": (np.maximum(age_ms, 0) / DAY_MS).astype(np.float32)}


class TimesShown:
    """``times_shown`` (C,) float32: decayed count of impressions by everybody."""

    name = "times_shown"

    def __init__(self, counters: CounterReader) -> None:
        self._counters = counters

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's live counters."""
        return cls(world.live.counters)

    def hydrate(self, query: Query, candidates: Candidates) -> Mapping[str, Column]:
        now = np.array([query.now_ms])
        sums = self._counters.read("video", candidates.video.astype(np.int64), now)  # (C, S)
        return {"times_shown": sums[:, STAT["shown"]].astype(np.float32)}
