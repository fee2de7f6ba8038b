"""Collaborative filtering: the history folded into the factor space, at request time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from zhiliu.features.fold_in import confidence, fold_in, strongest
from zhiliu.sources.placement import Placement, ServingWorld, artifact_of, past_of
from zhiliu.types import F32, Candidates, Query


@dataclass(frozen=True, slots=True)
class AlsSource:
    """People who were interested in the same videos were interested in these. Needs a past; else finds nothing."""

    vectors: F32  # (N, D)
    level: F32  # (N,) the popularity term
    gram: F32  # (D, D)
    regularization: float
    alpha: float
    placement: Placement
    name: ClassVar[str] = "als"
    needs: ClassVar[tuple[str, ...]] = ("als_video.npy", "als_gram.npy", "als.json")

    @classmethod
    def from_world(cls, world: ServingWorld) -> Self:
        """Of the world's artifact, which has the files of ``needs``."""
        artifact = artifact_of(world, cls.name)
        facts = artifact.json("als")
        vectors = artifact.array("als_video")
        return cls(
            np.asfortranarray(vectors[:, :-1]),  # one product with a vector is 1.7 times as fast by columns
            np.ascontiguousarray(vectors[:, -1]),
            np.ascontiguousarray(artifact.array("als_gram")),
            float(facts["regularization"]),
            float(facts["alpha"]),
            Placement.of(world),
        )

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` videos not in the past, best first."""
        person = self.person(query)
        if not person.any():
            return Candidates.empty()
        return self.placement.best(query, self.vectors @ person + self.level, k)

    def person(self, query: Query) -> F32:
        """(D,) the person vector of this moment; zeros without a past."""
        rows, interest, _ = past_of(query, self.placement)
        rows, interest = strongest(rows, interest)
        return fold_in(self.vectors[rows], confidence(interest, self.alpha), self.gram, self.regularization)
