"""The best videos for everybody, kept as a list; a query takes the first it may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.index.exact import top_k
from zhiliu.live.exclusion import among, not_again
from zhiliu.types import F32, I32, Candidates, Query

KEPT: Final = 4096
"""Length of the list; who has been shown nearly all of it is answered from the whole catalogue."""


class Ranking:
    """Visible videos by one score, best first; of equal scores the newer upload first, then the lower row."""

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos
        self.visible: I32 = np.flatnonzero(videos.visible).astype(np.int32)  # (V,)
        newest_first = np.argsort(-videos.published_ms[self.visible], kind="stable")
        self.by_age: I32 = self.visible[newest_first]

    def order(self, score: NDArray[Any]) -> tuple[I32, F32]:
        """The list for scores (N,): rows and scores (≤ KEPT,)."""
        return self._best(score, KEPT)

    def serve(
        self, query: Query, k: int, order: tuple[I32, F32], score: Callable[[], NDArray[Any]]
    ) -> Candidates:
        """The first ``k`` of the list that this person may be shown; ``score`` (N,) is asked when it runs out."""
        if k <= 0:
            return Candidates.empty()
        excluded = not_again(query, self.videos)
        rows, scores = order
        if len(excluded) + k > len(rows) < len(self.visible):
            rows, scores = self._best(score(), len(excluded) + k)
        kept = np.flatnonzero(~among(rows, excluded, self.videos))[:k]
        return Candidates(rows[kept], {"score": scores[kept]})

    def _best(self, score: NDArray[Any], k: int) -> tuple[I32, F32]:
        by_age = score[self.by_age].astype(
            np.float32
        )  # (V,), newest first, so that equal scores keep that order
        best = top_k(by_age, k)
        return self.by_age[best], by_age[best]
