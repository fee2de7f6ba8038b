"""An objective: the odds that it is watched long and not hidden, whatever the weights say.

::

    [project.entry-points."zhiliu.objectives"]
    watched_not_hidden = "odds_objective:WatchedNotHidden"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from zhiliu.live.world import World
from zhiliu.types import F32


class WatchedNotHidden:
    """P(long view) · (1 − P(hide)); a head that the ranker does not predict does not count."""

    name = "watched_not_hidden"

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Needs nothing."""
        return cls()

    def score(self, heads: Mapping[str, F32]) -> F32:
        count = len(next(iter(heads.values())))
        score = np.ones(count, np.float32)
        if "long_view" in heads:
            score = score * heads["long_view"]
        if "hide" in heads:
            score = score * (1 - heads["hide"])
        return score
