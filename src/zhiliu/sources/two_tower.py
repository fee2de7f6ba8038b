"""The two-tower model: the person tower runs on the past and profile of the request, then one product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from zhiliu.artifact import onnx_session
from zhiliu.features.interest import gap_bucket, kinds, known_labels
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.features.tower import profile_codes, profile_numeric
from zhiliu.sources.placement import Placement, ServingWorld, artifact_of
from zhiliu.types import F32, Candidates, Query


@dataclass(frozen=True, slots=True)
class TwoTowerSource:
    """Finds videos even for somebody without a past: the profile alone gives a vector."""

    vectors: F32  # (N, D)
    level: F32  # (N,) each video's own bias
    past: F32  # (N, D) content vectors the person tower reads
    tower: Any  # an onnxruntime session
    length: int
    vocabulary: ProfileVocabulary
    placement: Placement
    name: ClassVar[str] = "two_tower"
    needs: ClassVar[tuple[str, ...]] = (
        "two_tower_video.npy", "two_tower_past.npy", "two_tower_person.onnx", "two_tower.json",
    )  # fmt: skip

    @classmethod
    def from_world(cls, world: ServingWorld) -> Self:
        """Of the world's artifact, which has the files of ``needs``."""
        artifact = artifact_of(world, cls.name)
        facts = artifact.json("two_tower")
        vectors = artifact.array("two_tower_video")
        return cls(
            np.asfortranarray(vectors[:, :-1]),  # one product with a vector is 1.7 times as fast by columns
            np.ascontiguousarray(vectors[:, -1]),
            np.ascontiguousarray(artifact.array("two_tower_past")),
            onnx_session(artifact.file("two_tower_person.onnx")),
            int(facts["history"]),
            ProfileVocabulary(facts["profile"]),
            Placement.of(world),
        )

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` videos not in the past, best first."""
        return self.placement.best(query, self.vectors @ self.person(query)[:-1] + self.level, k)

    def person(self, query: Query) -> F32:
        """(D + 1,) the person vector of this moment."""
        (vector,) = self.tower.run(None, self.inputs(query))
        row: F32 = vector[0]
        return row

    def inputs(self, query: Query) -> dict[str, Any]:
        """What the person tower is fed: one row of each input, the past padded on the left as in training."""
        history = query.history
        rows = self.placement.of_videos(history.video)
        at = np.flatnonzero((rows >= 0) & (history.time_ms < query.now_ms))[-self.length :]
        blank = self.length - len(at)
        past = np.zeros((1, self.length, self.past.shape[1]), np.float32)
        kind, gap = np.zeros((1, self.length), np.int64), np.zeros((1, self.length), np.int64)
        mask = np.zeros((1, self.length), np.float32)
        past[0, blank:] = self.past[rows[at]]
        kind[0, blank:] = kinds(known_labels(history, query.now_ms)[at])
        gap[0, blank:] = gap_bucket(query.now_ms - history.time_ms[at])
        mask[0, blank:] = 1
        return {
            "past": past,
            "kind": kind,
            "gap": gap,
            "mask": mask,
            "codes": profile_codes(self.vocabulary, query.profile)[None],
            "numeric": profile_numeric(query.profile, query.now_ms, len(at))[None],
        }
