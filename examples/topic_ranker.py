"""A ranker: how often this person watched the candidate's topic long, of the times it was shown.

::

    [project.entry-points."zhiliu.rankers"]
    topics = "topic_ranker:TopicRanker"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.world import World
from zhiliu.types import F32, HEADS, Candidates, Query

PRIOR, STRENGTH = 0.33, 5.0
"""A topic never shown counts as watched long one time in three; five impressions outweigh that."""


class TopicRanker:
    """Predicts ``long_view`` alone."""

    name = "topics"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def predict(self, query: Query, candidates: Candidates) -> Mapping[str, F32]:
        topic = self.videos.tag[query.history.video, 0]  # (T,)
        long_view = (
            query.history.label_ms[:, HEADS.index("long_view")] < query.now_ms
        )  # only what is known by now
        topics = len(self.videos.tags)
        shown, hits = np.bincount(topic, minlength=topics), np.bincount(topic, long_view, minlength=topics)
        rate = (hits + STRENGTH * PRIOR) / (shown + STRENGTH)  # (topics,)
        return {"long_view": rate[self.videos.tag[candidates.video, 0]].astype(np.float32)}
