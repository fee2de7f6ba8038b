"""What the people this person follows like."""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.social import Heard, decayed
from zhiliu.live.exclusion import among, not_again
from zhiliu.live.world import World
from zhiliu.types import Candidates, Query


class Social:
    """Adds up each video's likes by followed people, newer ones counting more."""

    name = "social"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` not seen yet, the most and newest liked first."""
        heard = Heard.of(query.followed_likes, query.now_ms)
        if not heard.mask.any() or k <= 0:
            return Candidates.empty()
        weight = decayed(heard, np.array([query.now_ms]))[0]
        rows, place = np.unique(heard.video[heard.mask], return_inverse=True)
        score = np.bincount(place, weight[heard.mask[0]]).astype(np.float32)
        servable = self.videos.visible[rows] & ~among(rows, not_again(query, self.videos), self.videos)
        rows, score = rows[servable], score[servable]
        best = np.lexsort((rows, -score))[:k]
        return Candidates(rows[best], {"score": score[best]})
