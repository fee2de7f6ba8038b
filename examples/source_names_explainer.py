"""An explainer: which sources found the video, by name.

::

    [project.entry-points."zhiliu.explainers"]
    source_names = "source_names_explainer:SourceNames"
"""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.explain.texts import language_of
from zhiliu.live.world import World
from zhiliu.types import Candidates, Query, Reason

TEXTS = {"zh": "由 {names} 找到", "en": "Found by {names}"}


class SourceNames:
    """One reason, ``found_by``, with the sources as refs."""

    name = "source_names"

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Needs nothing."""
        return cls()

    def reasons(self, query: Query, items: Candidates) -> tuple[tuple[Reason, ...], ...]:
        scores = {
            name.removeprefix("source:"): column
            for name, column in items.columns.items()
            if name.startswith("source:")
        }
        text = TEXTS[language_of(query)]
        told = []
        for i in range(len(items)):
            names = tuple(name for name, score in scores.items() if not np.isnan(score[i]))
            told.append((Reason("found_by", text.format(names=", ".join(names)), names),))
        return tuple(told)
