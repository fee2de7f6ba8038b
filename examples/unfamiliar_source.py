"""A source: the newest videos of topics this person has not been shown yet.

::

    [project.entry-points."zhiliu.sources"]
    unfamiliar = "unfamiliar_source:Unfamiliar"
"""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.exclusion import not_again
from zhiliu.live.world import World
from zhiliu.types import I32, Candidates, Query


class Unfamiliar:
    """One video a topic, the newest, topics in an order drawn from the seed of the request."""

    name = "unfamiliar"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos
        visible = np.flatnonzero(videos.visible).astype(np.int32)
        self._newest_first: I32 = visible[np.argsort(-videos.published_ms[visible], kind="stable")]  # (V,)

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k``; the score falls from 1 with the place in the draw."""
        known = np.unique(self.videos.tag[query.history.video, 0])
        rows = self._newest_first[~np.isin(self._newest_first, not_again(query, self.videos))]
        rows = rows[~np.isin(self.videos.tag[rows, 0], known)]
        _, newest = np.unique(self.videos.tag[rows, 0], return_index=True)  # the first of each topic
        drawn = rows[query.rng().permutation(newest)][: max(k, 0)]
        return Candidates(drawn, {"score": 1 / np.arange(1, len(drawn) + 1, dtype=np.float32)})
