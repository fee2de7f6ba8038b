"""Good and different: maximal marginal relevance (Carbonell & Goldstein 1998) with gaps between authors and topics.

Slot by slot, the candidate with the highest ``(1 - diversity) · relevance - diversity · similarity`` to the most
similar one already placed. ``mmr_twin`` says the same in plain loops; a property test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.world import World
from zhiliu.types import F32, I32, I64, Candidates, Query

POOL: Final = 8
"""Candidates that compete for each slot: the best ``POOL * k`` by score. More would only bring worse ones in."""
VECTORS: Final = ("text_video", "two_tower_video")
"""Artifact arrays that similarity is measured with: the first there is. Without any, topics are compared."""


class Mmr:
    """Arranges a slate; every gap is kept while anything is left that keeps it."""

    name = "mmr"

    def __init__(
        self,
        videos: VideoColumns,
        *,
        diversity: float,
        author_gap: int,
        topic_gap: int,
        vectors: F32 | None = None,
        positions: I32 | None = None,
    ) -> None:
        self.videos = videos
        self.diversity = diversity
        self.author_gap = author_gap
        self.topic_gap = topic_gap
        self._vectors = vectors  # (N_artifact + 1, D) unit rows; the last is zero, for videos without one
        self._positions = positions  # (N_catalogue,), -1: without one

    @classmethod
    def from_world(cls, world: World) -> Self:
        """With the settings of the feed and the vectors of the artifact, if it has any."""
        feed = world.settings.feed
        vectors = unit_vectors(world.artifact)
        return cls(
            world.videos,
            diversity=feed.diversity,
            author_gap=feed.author_gap,
            topic_gap=feed.topic_gap,
            vectors=vectors,
            positions=None if vectors is None else world.artifact_pos,
        )

    def arrange(self, query: Query, candidates: Candidates, k: int) -> I64:
        """(min(k, C),) positions, first slot first."""
        k = min(k, len(candidates))
        if k <= 0:
            return np.zeros(0, np.int64)
        pool = np.argsort(-candidates["score"], kind="stable")[: POOL * k].astype(np.int64)  # (P,)
        video = candidates.video[pool]
        return pool[
            mmr(
                relevance(candidates["score"][pool]),
                self.similarity(video),
                self.videos.author[video],
                self.videos.tag[video, 0],
                k,
                diversity=self.diversity,
                author_gap=self.author_gap,
                topic_gap=self.topic_gap,
            )
        ]

    def similarity(self, video: I32) -> F32:
        """(P, P) cosine of the vectors of rows (P,); without vectors, the share of topics in common."""
        if self._vectors is not None and self._positions is not None:
            unit = self._vectors[self._positions[video]]  # (P, D)
            cosine: F32 = unit @ unit.T
            return cosine
        return jaccard(self.videos.tag[video])


def mmr(
    relevance: F32,
    similarity: F32,
    author: I32,
    topic: I32,
    k: int,
    *,
    diversity: float,
    author_gap: int,
    topic_gap: int,
) -> I64:
    """(k,) positions of the pool (P,). Author and topic 0 are unknown: they keep no gap."""
    gain = (1 - diversity) * relevance.astype(np.float64)  # (P,), -inf once placed
    nearest = np.zeros(len(gain))  # (P,) similarity to the most similar one placed
    same_author = (author[:, None] == author[None, :]) & (author > 0)[:, None]  # (P, P)
    same_topic = (topic[:, None] == topic[None, :]) & (topic > 0)[:, None]
    broken = np.zeros(len(gain), np.int64)  # (P,) how often it would break a gap here
    chosen = np.empty(k, np.int64)
    for slot in range(k):
        if author_gap and slot > author_gap:
            broken -= same_author[chosen[slot - author_gap - 1]]
        if topic_gap and slot > topic_gap:
            broken -= same_topic[chosen[slot - topic_gap - 1]]
        value = gain - diversity * nearest
        best = int(np.where(broken, -np.inf, value).argmax())
        if broken[best] or value[best] == -np.inf:  # every one left breaks a gap: those that break the fewest
            left = value > -np.inf
            fewest = broken[left].min()
            best = int(np.where(left & (broken == fewest), value, -np.inf).argmax())
        chosen[slot] = best
        gain[best] = -np.inf
        np.maximum(nearest, similarity[best], out=nearest)
        if author_gap:
            broken += same_author[best]
        if topic_gap:
            broken += same_topic[best]
    return chosen


def mmr_twin(
    relevance: Sequence[float],
    similarity: Sequence[Sequence[float]],
    author: Sequence[int],
    topic: Sequence[int],
    k: int,
    *,
    diversity: float,
    author_gap: int,
    topic_gap: int,
) -> list[int]:
    """As :func:`mmr`, one candidate at a time."""
    chosen: list[int] = []
    while len(chosen) < k:
        left = [i for i in range(len(relevance)) if i not in chosen]

        def value(i: int) -> tuple[float, float, int]:
            nearest = max([0.0, *(similarity[j][i] for j in chosen)])
            recent_authors = [author[j] for j in chosen[-author_gap:]] if author_gap else []
            recent_topics = [topic[j] for j in chosen[-topic_gap:]] if topic_gap else []
            broken = recent_authors.count(author[i]) * (author[i] > 0)
            broken += recent_topics.count(topic[i]) * (topic[i] > 0)
            return -broken, (1 - diversity) * relevance[i] - diversity * nearest, -i

        chosen.append(max(left, key=value))
    return chosen


def relevance(score: F32) -> F32:
    """(P,) scores from best to worst as 1 to 0, so that they can be weighed against a similarity; all equal: 1."""
    low, high = score[-1], score[0]
    if high <= low:
        return np.ones(len(score), np.float32)
    scaled: F32 = (score - low) / (high - low)
    return scaled


def jaccard(tag: I32) -> F32:
    """(P, P) topics in common ÷ topics of both, from codes (P, TAGS) with 0 for none."""
    names, place = np.unique(tag, return_inverse=True)
    has = np.zeros((len(tag), len(names)), np.float32)
    has[np.arange(len(tag))[:, None], place.reshape(tag.shape)] = 1
    has[:, names == 0] = 0
    common = has @ has.T
    count = has.sum(1)
    share: F32 = common / np.maximum(count[:, None] + count[None, :] - common, 1)
    return share


def unit_vectors(artifact: Artifact | None) -> F32 | None:
    """(N_artifact + 1, D) rows of length 1, and a zero row at the end; None without an artifact that has vectors."""
    name = next((n for n in VECTORS if artifact is not None and artifact.has(f"{n}.npy")), None)
    if artifact is None or name is None:
        return None
    trained = np.asarray(artifact.array(name), np.float32)
    length = np.linalg.norm(trained, axis=1, keepdims=True)
    unit = trained / np.maximum(length, np.finfo(np.float32).tiny)
    return np.concatenate([unit, np.zeros((1, trained.shape[1]), np.float32)])
