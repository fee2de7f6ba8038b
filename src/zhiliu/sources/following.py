"""The newest videos of the authors this person follows."""

from __future__ import annotations

from typing import Final, Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.exclusion import not_again
from zhiliu.live.world import World
from zhiliu.types import I32, I64, Candidates, Query

AUTHORS: Final = 500
"""Newest follows that are looked at."""
HALF_LIFE_MS: Final = 7 * 86_400_000
"""Score of a video: 1 when it comes out, half a week later .5."""


class Following:
    """Looks up each followed author's visible videos, newest first."""

    name = "following"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos
        visible = np.flatnonzero(videos.visible).astype(np.int32)
        order = np.lexsort((-videos.published_ms[visible], videos.author[visible]))
        self._rows: I32 = visible[order]  # (V,) by author, then newest first
        self._start: I64 = np.searchsorted(
            videos.author[self._rows], np.arange(len(videos.authors) + 1)
        )  # author code -> its first place in _rows

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` not seen yet, newest first."""
        codes = [code for a in query.followed[:AUTHORS] if (code := self.videos.authors.code_of.get(a))]
        if not codes or k <= 0:
            return Candidates.empty()
        excluded = not_again(query, self.videos)
        reach = k + len(excluded)  # no author can need more
        rows = np.concatenate([
            self._rows[self._start[c] : min(self._start[c + 1], self._start[c] + reach)] for c in dict.fromkeys(codes)
        ])  # fmt: skip
        rows = rows[~np.isin(rows, excluded)]
        published_ms = self.videos.published_ms[rows]
        newest = np.lexsort((rows, -published_ms))[:k]
        age = np.clip(query.now_ms - published_ms[newest], 0, 100 * HALF_LIFE_MS) / HALF_LIFE_MS
        return Candidates(rows[newest], {"score": np.exp2(-age).astype(np.float32)})
