"""What is being watched now. When nothing has ever happened: what was published last."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from zhiliu.live.state import LiveState
from zhiliu.live.world import World
from zhiliu.sources.ranking import Ranking
from zhiliu.types import F32, I32, Candidates, Query

REFRESH_MS: Final = 1_000
"""The list is made anew after this much query time; the shortest half-life is an hour."""


class Trending:
    """Ranks by ``LiveState.heat``; videos nobody touched follow by age, so an empty system serves its catalogue.

    ``score`` (C,) is the heat in weighted events an hour; 0 for a video that is there only because it is new.
    """

    name = "trending"

    def __init__(self, ranking: Ranking, live: LiveState) -> None:
        self.ranking = ranking
        self._live = live
        self._order: tuple[I32, F32] | None = None
        self._ordered_ms = 0

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue and live state."""
        return cls(Ranking(world.videos), world.live)

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` this person has not seen, hottest first."""
        if self._order is None or abs(query.now_ms - self._ordered_ms) >= REFRESH_MS:
            self._order = self.ranking.order(self._heat())
            self._ordered_ms = query.now_ms
        return self.ranking.serve(query, k, self._order, self._heat)

    def _heat(self) -> NDArray[np.float64]:
        """(N,) of this source's catalogue; the live state may know a newer one."""
        return self._live.heat()[: len(self.ranking.videos)]
