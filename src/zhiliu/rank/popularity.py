"""The ranker of a system that has not been trained: rates of everybody, so a feed is never an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from zhiliu.features.builder import RARE_PRIOR, RARE_STRENGTH
from zhiliu.features.counters import STAT, CounterReader, smoothed
from zhiliu.features.history import PRIOR, trial_of
from zhiliu.live.world import World
from zhiliu.types import F32, HEADS, Candidates, Query

EVERYBODY_STRENGTH: Final = 50.0
"""Impressions that the constants of an empty system count as against everybody's rate."""
STRENGTH: Final = 20.0
"""Impressions that everybody's rate counts as against one video's; a rare head needs RARE_STRENGTH."""


class PopularityRanker:
    """Each head is the video's own smoothed rate. Says nothing about the person."""

    name = "popularity"

    def __init__(self, counters: CounterReader) -> None:
        self._counters = counters

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's live counters."""
        return cls(world.live.counters)

    def predict(self, query: Query, candidates: Candidates) -> Mapping[str, F32]:
        """Head → (C,) rates."""
        now = np.array([query.now_ms])
        every = self._counters.read("all", np.zeros(1, np.int64), now)  # (1, S)
        own = self._counters.read("video", candidates.video.astype(np.int64), now)  # (C, S)
        heads: dict[str, F32] = {}
        for head in HEADS:
            common = head in PRIOR
            hits, trials = STAT[head], STAT[trial_of(head)]
            prior = np.asarray(PRIOR.get(head, RARE_PRIOR))
            level = rate(every[:, hits], every[:, trials], prior, EVERYBODY_STRENGTH)
            strength = STRENGTH if common else RARE_STRENGTH
            heads[head] = rate(own[:, hits], own[:, trials], level, strength).astype(np.float32)
        return heads


def rate(hits: NDArray[Any], trials: NDArray[Any], prior: NDArray[Any], strength: float) -> NDArray[Any]:
    """Smoothed, at most 1: what was done without an impression (a shared link) is a trial too."""
    return smoothed(hits, np.maximum(trials, hits), prior, strength)
