"""The best by score, nothing else."""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.live.world import World
from zhiliu.types import I64, Candidates, Query


class TopK:
    """Orders by score; of equal scores, the earlier candidate first."""

    name = "topk"

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Needs nothing."""
        return cls()

    def arrange(self, query: Query, candidates: Candidates, k: int) -> I64:
        """(min(k, C),) positions, best first."""
        if not len(candidates) or k <= 0:
            return np.zeros(0, np.int64)
        return np.argsort(-candidates["score"], kind="stable")[:k].astype(np.int64)
