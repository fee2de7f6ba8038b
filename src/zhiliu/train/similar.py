"""Item-to-item: videos the same people were interested in, and for cold videos those with like content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.video import duration_bucket
from zhiliu.index.exact import top_k
from zhiliu.train.log import TrainingLog
from zhiliu.train.retrieval_data import (
    Progress,
    few_threads,
    interest_matrix,
    open_log,
    report,
    trained_text,
)
from zhiliu.types import F32, I32

BLOCK = 512
"""Videos whose similarities to all others are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarConfig:
    """Knobs of the recipe."""

    neighbours: int = 100
    shrink: float = 20.0
    """Added to every denominator; small: trusts pairs seen once, large: only what many share."""
    damping: float = 0.5
    """Power of each video's own weight in the denominator: .5 is the cosine, less lets popular videos through."""
    content: float = 0.002
    """Largest content score of a warm pair (ten times that for a cold one): it orders what co-watching leaves equal.
    On KuaiRand .01 already costs a hundredth of recall@100, .05 nearly all of it."""
    cold_rows: float = 20.0
    """Interest at which co-watching and content weigh the same."""


@dataclass(frozen=True, slots=True)
class Similar:
    """Writes ``similar_ids.npy`` (N, S) int32 snapshot rows, -1 padded, and ``similar_scores.npy`` (N, S)."""

    config: SimilarConfig = SimilarConfig()
    log: TrainingLog | None = None
    name: ClassVar[str] = "similar"

    def fit(
        self,
        snapshot: Path,
        out: Path,
        *,
        until_ms: int,
        seed: int,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Mapping[str, Any]:
        """Neighbours from everything before ``until_ms``; content of the text recipe where it ran.

        Raises:
            ValueError: nothing usable before the cut.

        """
        log = open_log(snapshot, until_ms, self.log)
        text = trained_text(out)
        with few_threads():
            ids, scores = neighbours(
                interest_matrix(log), content_vectors(log.videos, text), self.config, progress
            )
        np.save(out / "similar_ids.npy", ids)
        np.save(out / "similar_scores.npy", scores)
        return {"videos": len(ids), "mean_neighbours": float((ids >= 0).sum(1).mean()) if len(ids) else 0.0}


def neighbours(
    matrix: sp.csr_matrix, content: F32, config: SimilarConfig, progress: Progress | None = None
) -> tuple[I32, F32]:
    """Top lists (N, S) from people × videos and unit content vectors (N, Dc), block by block: never N × N at once."""
    n = matrix.shape[1]
    s = min(config.neighbours, max(0, n - 1))
    ids, scores = np.full((n, s), -1, np.int32), np.zeros((n, s), np.float32)
    by_video = matrix.T.tocsr()  # (N, U)
    size = np.asarray(by_video.multiply(by_video).sum(1)).ravel().astype(np.float32)  # (N,) squared weight
    scale = np.power(np.maximum(size, 1e-9), config.damping)
    trust = size / (size + config.cold_rows)
    for first in range(0, n if s else 0, BLOCK):
        cut = slice(first, min(first + BLOCK, n))
        shared = (by_video[cut] @ matrix).toarray()  # (b, N)
        together = shared / (scale[cut, None] * scale[None, :] + config.shrink)
        alike = np.maximum(content[cut] @ content.T, 0.0)
        warm = trust[cut, None] * trust[None, :]
        score = together + config.content * (1 + 9 * (1 - warm)) * alike
        score[np.arange(cut.stop - first), np.arange(first, cut.stop)] = -np.inf
        for i, row in enumerate(score.astype(np.float32), first):
            best = top_k(row, s)
            best = best[row[best] > 0]
            ids[i, : len(best)], scores[i, : len(best)] = best, row[best]
        report(progress, "similar", cut.stop / n)
    return ids, scores


def content_vectors(videos: VideoColumns, text: F32 | None) -> F32:
    """(N, Dc) unit vectors: author, first tag and length as hashed directions of one random space, and the text."""
    rng = np.random.default_rng(0)  # fixed directions, not chance: any orthogonal-ish set does
    width = 32

    def directions(codes: I32, count: int, weight: float) -> F32:
        table = rng.normal(size=(count, width)).astype(np.float32) * np.float32(weight / width**0.5)
        table[0] = 0  # unknown is like nothing
        return table[codes]

    facts = directions(videos.author, len(videos.authors), 1.0)
    facts = facts + directions(videos.tag[:, 0], len(videos.tags), 1.0)
    facts = facts + directions(duration_bucket(videos.duration_ms), 16, 0.5)
    both = facts if text is None or len(text) != len(facts) else np.concatenate([facts, 1.5 * text], 1)
    unit: F32 = (both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return unit
