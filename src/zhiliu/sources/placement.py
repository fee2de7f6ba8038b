"""Rows of the artifact ↔ rows of the catalogue, which has grown and shrunk since training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.interest import interest, known_labels
from zhiliu.index.exact import top_k
from zhiliu.types import F32, I32, Candidates, Query

RECENT_HALF_LIFE_MS = 7 * 86_400_000
"""A past watch says half as much about today after this time."""


class ServingWorld(Protocol):
    """What retrieval reads of ``live.world.World``."""

    @property
    def videos(self) -> VideoColumns: ...
    @property
    def artifact(self) -> Artifact | None: ...
    @property
    def artifact_rows(self) -> I32:
        """(N_artifact,) catalogue row of each artifact row, -1 if gone."""
        ...

    @property
    def artifact_pos(self) -> I32:
        """(N_catalogue,) artifact row of each catalogue row, -1 if new."""
        ...


def artifact_of(world: ServingWorld, source: str) -> Artifact:
    """The artifact a source reads.

    Raises:
        ValueError: there is none; the registry makes only sources whose ``needs`` are there.

    """
    if world.artifact is None:
        raise ValueError(f"source {source!r} needs a trained artifact; run zhiliu train")
    return world.artifact


@dataclass(frozen=True, slots=True)
class Placement:
    """Where artifact rows are in the catalogue, and which of them may be served."""

    rows: I32  # (N_artifact,) catalogue rows, -1 if gone
    positions: I32  # (N_catalogue,) artifact rows, -1 if new
    unservable: I32  # artifact rows that are gone or invisible; few, so a list is faster than a mask

    @classmethod
    def of(cls, world: ServingWorld) -> Placement:
        """As the world is now."""
        rows = np.asarray(world.artifact_rows, np.int32)
        invisible = np.ones(len(rows), np.bool_)
        there = rows >= 0
        invisible[there] = ~world.videos.visible[rows[there]]
        return cls(rows, np.asarray(world.artifact_pos, np.int32), np.flatnonzero(invisible).astype(np.int32))

    @classmethod
    def same(cls, count: int) -> Placement:
        """Artifact and catalogue have the same ``count`` rows, all visible."""
        rows = np.arange(count, dtype=np.int32)
        return cls(rows, rows, np.zeros(0, np.int32))

    def of_videos(self, video: I32) -> I32:
        """Artifact rows (…,) of catalogue rows (…,); -1 for videos newer than the artifact."""
        known = (video >= 0) & (video < len(self.positions))
        if not len(self.positions):
            return np.full(video.shape, -1, np.int32)
        return np.where(known, self.positions[np.where(known, video, 0)], -1).astype(np.int32)

    def best(self, query: Query, scores: F32, k: int) -> Candidates:
        """The ``k`` best servable videos by artifact-row scores (N_artifact,) that the person has not had yet.

        ``scores`` is overwritten.
        """
        scores[self.unservable] = -np.inf
        for had in (query.history.video, query.seen, query.hidden):
            rows = self.of_videos(had)
            scores[rows[rows >= 0]] = -np.inf
        best = top_k(scores, k)
        found = scores[best]
        alive = found > -np.inf
        return Candidates(self.rows[best[alive]], {"score": found[alive]})


def past_of(query: Query, placement: Placement) -> tuple[I32, F32, NDArray[np.float32]]:
    """The past that the artifact knows: artifact rows (T,), interest (T,), labels (T, P); strictly before now."""
    history = query.history
    rows = placement.of_videos(history.video)
    labels = known_labels(history, query.now_ms)
    keep = (rows >= 0) & (history.time_ms < query.now_ms)
    return rows[keep], interest(labels)[keep], labels[keep]


def recency(query: Query, placement: Placement) -> F32:
    """(T,) weights of the rows ``past_of`` returns, halving with age."""
    history = query.history
    keep = (placement.of_videos(history.video) >= 0) & (history.time_ms < query.now_ms)
    age_ms = query.now_ms - history.time_ms[keep]
    weight: F32 = np.exp2(-age_ms / RECENT_HALF_LIFE_MS).astype(np.float32)
    return weight
