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
    """Sums neighbour lists over the past; ``similar:because`` (C,) is the liked video that speaks most for each."""

    ids: I32  # (N, S) artifact rows, -1 padded
    scores: F32  # (N, S)
    placement: Placement
    anchors: int = 100
    """Newest past videos to start from, each by its interest; small: what is hot now, large: all tastes."""
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
        """At most ``k`` videos not in the past, best first, with ``score`` and ``similar:because`` (-1: none)."""
        if not self.ids.size:
            return Candidates.empty()
        rows, interest, labels = past_of(query, self.placement)
        weight = (interest * recency(query, self.placement))[-self.anchors :]
        rows, chosen = rows[-self.anchors :], liked(labels)[-self.anchors :]
        pair = (weight[:, None] * self.scores[rows]).ravel()  # (anchors * S,)
        target = self.ids[rows].ravel()
        anchor = np.repeat(np.where(chosen, rows, -1), self.ids.shape[1])
        real = target >= 0
        pair, target, anchor = pair[real], target[real], anchor[real]
        total = np.bincount(target, pair, len(self.placement.rows)).astype(np.float32)
        total[total == 0] = -np.inf
        found = self.placement.best(query, total, k)
        because = self.strongest(pair, target, anchor)[self.placement.of_videos(found.video)]
        named = np.where(because >= 0, self.placement.rows[because], -1).astype(np.int32)
        return found.with_columns({"similar:because": named})

    def strongest(self, pair: F32, target: I32, anchor: I32) -> I32:
        """(N,) for each target the liked anchor that adds most to it, -1 where only mere exposures do."""
        because = np.full(len(self.placement.rows), -1, np.int32)
        liked_first = np.flatnonzero(anchor >= 0)
        weakest_first = liked_first[np.argsort(pair[liked_first], kind="stable")]
        because[target[weakest_first]] = anchor[weakest_first]  # the strongest is written last
        return because
