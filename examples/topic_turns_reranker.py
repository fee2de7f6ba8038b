"""A reranker: topics take turns, each with its best video, then its second best.

::

    [project.entry-points."zhiliu.rerankers"]
    topic_turns = "topic_turns_reranker:TopicTurns"
"""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.world import World
from zhiliu.types import I64, Candidates, Query


class TopicTurns:
    """Within a turn, the higher score first."""

    name = "topic_turns"

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)

    def arrange(self, query: Query, candidates: Candidates, k: int) -> I64:
        best_first = np.argsort(-candidates["score"], kind="stable")
        topic = self.videos.tag[candidates.video[best_first], 0]
        turn = np.zeros(len(topic), np.int64)  # (C,) how many better ones its topic has
        for code in np.unique(topic):
            turn[topic == code] = np.arange(np.count_nonzero(topic == code))
        return best_first[np.argsort(turn, kind="stable")][:k].astype(np.int64)
