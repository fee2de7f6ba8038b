"""More like what this person lately watched long or reacted to, and which of those each video is like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from zhiliu.features.interest import liked
from zhiliu.sources.placement import Placement, ServingWorld, artifact_of, past_of, recency
from zhiliu.types import F32, I32, Candidates, Query


@dataclass(frozen=True, slots=True)
class SimilarSource:
    """Sums neighbour lists of the newest liked videos; ``similar:because`` (C,) names the strongest of them."""

    ids: I32  # (N, S) artifact rows, -1 padded
    scores: F32  # (N, S)
    placement: Placement
    anchors: int = 30
    """Newest liked videos to start from; small: what is hot now, large: all tastes."""
    name: ClassVar[str] = "similar"
    needs: ClassVar[tuple[str, ...]] = ("similar_ids.npy", "similar_scores.npy")

    @classmethod
    def from_world(cls, world: ServingWorld) -> Self:
        """Of the world's artifact, which has the files of ``needs``."""
        artifact = artifact_of(world, cls.name)
        return cls(
            np.ascontiguousarray(artifact.array("similar_ids")),
            np.ascontiguousarray(artifact.array("similar_scores")),
            Placement.of(world),
        )

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` videos not in the past, best first, with ``score`` and ``similar:because`` catalogue rows."""
        if not self.ids.size:
            return Candidates.empty()
        rows, interest, labels = past_of(query, self.placement)
        weight = interest * recency(query, self.placement)
        newest = np.flatnonzero(liked(labels))[-self.anchors :]
        rows, weight = rows[newest], weight[newest]
        pair = (weight[:, None] * self.scores[rows]).ravel()  # (anchors * S,)
        target = self.ids[rows].ravel()
        anchor = np.repeat(rows, self.ids.shape[1])
        real = target >= 0
        pair, target, anchor = pair[real], target[real], anchor[real]
        total = np.bincount(target, pair, len(self.placement.rows)).astype(np.float32)
        total[total == 0] = -np.inf
        found = self.placement.best(query, total, k)
        because = np.full(len(self.placement.rows), -1, np.int32)
        weakest_first = np.argsort(pair, kind="stable")
        because[target[weakest_first]] = anchor[weakest_first]  # the strongest is written last
        return found.with_columns(
            {"similar:because": self.placement.rows[because[self.placement.of_videos(found.video)]]}
        )
