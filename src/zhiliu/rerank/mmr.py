"""Good and different: maximal marginal relevance (Carbonell & Goldstein 1998) with gaps between authors and topics.

Slot by slot, the candidate with the highest ``(1 - diversity) · relevance - diversity · similarity`` to the most
similar one already placed. ``mmr_twin`` says the same in plain loops; a property test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Self

import numpy as np

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.world import World
from zhiliu.types import F32, I32, I64, Candidates, Query

SimilarTo = Callable[[int], F32]
"""Place in the pool → (P,) how similar the others are to that one, at most 1."""

POOL: Final = 8
"""Candidates that compete for each slot: the best ``POOL * k`` by score; all, when those break a gap."""
VECTORS: Final = ("sentence_video", "text_video", "two_tower_video")
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
        best_first = np.argsort(-candidates["score"], kind="stable").astype(np.int64)
        pool = best_first[: POOL * k]  # (P,)
        chosen, kept_gaps = self._choose(candidates, pool, k)
        if not kept_gaps and len(pool) < len(best_first):
            pool = best_first  # further down there may be others
            chosen, _ = self._choose(candidates, pool, k)
        return pool[chosen]

    def _choose(self, candidates: Candidates, pool: I64, k: int) -> tuple[I64, bool]:
        video = candidates.video[pool]
        return mmr(
            relevance(candidates["score"][pool]),
            self.similar_to(video),
            self.videos.author[video],
            self.videos.tag[video, 0],
            k,
            diversity=self.diversity,
            author_gap=self.author_gap,
            topic_gap=self.topic_gap,
        )

    def similar_to(self, video: I32) -> SimilarTo:
        """Cosine of the vectors of rows (P,); without vectors, the share of topics in common."""
        if self._vectors is None or self._positions is None:
            return jaccard(self.videos.tag[video])
        unit = self._vectors[self._positions[video]]  # (P, D)
        return lambda place: unit @ unit[place]


def mmr(
    relevance: F32,
    similar_to: SimilarTo,
    author: I32,
    topic: I32,
    k: int,
    *,
    diversity: float,
    author_gap: int,
    topic_gap: int,
) -> tuple[I64, bool]:
    """(k,) positions of the pool (P,), and whether every gap was kept. Author and topic 0 are unknown: no gap."""
    gain = (1 - diversity) * relevance.astype(np.float64)  # (P,), -inf once placed
    nearest = np.zeros(len(gain))  # (P,) similarity to the most similar one placed
    broken = np.zeros(len(gain), np.int64)  # (P,) how many gaps it would break in this slot
    gaps = [(codes, gap) for codes, gap in ((author, author_gap), (topic, topic_gap)) if gap]
    chosen = np.empty(k, np.int64)
    kept_gaps = True
    for slot in range(k):
        for codes, gap in gaps:
            if slot > gap and (code := codes[chosen[slot - gap - 1]]):
                broken -= codes == code
        value = gain - diversity * nearest
        best = int(np.where(broken, -np.inf, value).argmax())
        if broken[best] or value[best] == -np.inf:  # every one left breaks a gap: those that break the fewest
            left = value > -np.inf
            fewest = broken[left].min()
            best = int(np.where(left & (broken == fewest), value, -np.inf).argmax())
            kept_gaps = False
        chosen[slot] = best
        gain[best] = -np.inf
        np.maximum(nearest, similar_to(best), out=nearest)
        for codes, _ in gaps:
            if code := codes[best]:
                broken += codes == code
    return chosen, kept_gaps


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


def jaccard(tag: I32) -> SimilarTo:
    """Topics in common ÷ topics of both, from codes (P, TAGS) with 0 for none."""
    names, place = np.unique(tag, return_inverse=True)
    has = np.zeros((len(tag), len(names)), np.float32)
    has[np.arange(len(tag))[:, None], place.reshape(tag.shape)] = 1
    has[:, names == 0] = 0
    count = has.sum(1)

    def share(place: int) -> F32:
        common = has @ has[place]  # (P,)
        shared: F32 = common / np.maximum(count + count[place] - common, 1)
        return shared

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
