"""What many people watched long: the same for everybody, and hard to beat."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from zhiliu.features.counters import STAT, CounterReader
from zhiliu.live.world import World
from zhiliu.sources.ranking import Ranking
from zhiliu.types import F32, I32, Candidates, Query

PRIOR: Final = 0.33
"""Share of impressions watched long before anything is counted (KuaiRand's)."""
STRENGTH: Final = 20.0
"""Impressions the prior counts as."""
REFRESH_MS: Final = 60_000
"""Live counts are ranked anew after this much query time: half-lives are days."""


def popularity(long_view: NDArray[Any], shown: NDArray[Any]) -> F32:
    """(N,) from decayed counts (N,): smoothed rate of long views times log of how many there were."""
    rate = (long_view + STRENGTH * PRIOR) / (np.maximum(shown, long_view) + STRENGTH)
    score: NDArray[Any] = rate * np.log1p(long_view)
    return score.astype(np.float32)


class Popularity:
    """Ranks by the artifact's ``popularity`` where there is one, else by the live counters."""

    name = "popularity"

    def __init__(self, ranking: Ranking, counters: CounterReader, trained: F32 | None = None) -> None:
        self.ranking = ranking
        self._counters = counters
        self._trained = trained  # (N_catalogue,)
        self._order: tuple[I32, F32] | None = None
        self._ordered_ms = 0

    @classmethod
    def from_world(cls, world: World) -> Self:
        """A video newer than the artifact counts 0 there."""
        trained = None
        if world.artifact is not None and world.artifact.has("popularity.npy"):
            values = np.asarray(world.artifact.array("popularity"), np.float32)
            known = world.artifact_pos >= 0
            trained = np.zeros(len(world.videos), np.float32)
            trained[known] = values[world.artifact_pos[known]]
        return cls(Ranking(world.videos), world.live.counters, trained)

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` this person has not seen, most popular first."""
        stale = self._trained is None and abs(query.now_ms - self._ordered_ms) >= REFRESH_MS
        if self._order is None or stale:
            self._order = self.ranking.order(self._score(query.now_ms))
            self._ordered_ms = query.now_ms
        return self.ranking.serve(query, k, self._order, lambda: self._score(query.now_ms))

    def _score(self, now_ms: int) -> F32:
        """(N,) of the whole catalogue."""
        if self._trained is not None:
            return self._trained
        every = np.arange(len(self.ranking.videos))
        sums = self._counters.read("video", every, np.array([now_ms]))
        return popularity(sums[:, STAT["long_view"]], sums[:, STAT["shown"]])
