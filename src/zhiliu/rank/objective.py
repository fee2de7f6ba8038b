"""Blends what a ranker predicts into the one number the slate is ordered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from zhiliu.live.world import World
from zhiliu.settings import FeedSettings
from zhiliu.types import F32, Decision


class WeightedSum:
    """Σ weight · head over the heads that are both weighted and predicted; ``settings.feed.weights``."""

    name = "weighted_sum"

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)

    @classmethod
    def from_world(cls, world: World) -> Self:
        """With the weights of the settings."""
        return cls(world.settings.feed.weights)

    def score(self, heads: Mapping[str, F32]) -> F32:
        """(C,) the higher the better; zeros when no head has a weight."""
        if not heads:
            raise ValueError("the ranker predicted no head; there is nothing to order by")
        total = np.zeros(len(next(iter(heads.values()))), np.float32)
        for name, probability in heads.items():
            weight = self.weights.get(name)
            if weight:
                total += np.float32(weight) * probability
        return total


def weights_of(decision: Decision, feed: FeedSettings) -> tuple[Mapping[str, float], bool]:
    """Weights a page was scored with, and whether the log kept them; today's for records from before it did."""
    if decision.weights or ":" in decision.policy:
        return decision.weights, True
    return (feed.weights if feed.objective == WeightedSum.name else {}), False


def shares(heads: Mapping[str, float], weights: Mapping[str, float]) -> list[tuple[str, float, float, float]]:
    """(head, value, weight, value · weight) of one video, those that moved its score most first.

    A head without a weight moved nothing.
    """
    told = [
        (head, value, weights.get(head, 0.0), value * weights.get(head, 0.0)) for head, value in heads.items()
    ]
    return sorted(told, key=lambda share: -abs(share[3]))
