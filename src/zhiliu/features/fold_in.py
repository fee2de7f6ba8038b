"""A person vector for implicit ALS from nothing but a past: the closed-form least squares of one person's row."""

from __future__ import annotations

import numpy as np

from zhiliu.types import F32, I32


def confidence(interest: F32, alpha: float) -> F32:
    """ALS confidence of rows with an interest weight > 0; training and serving both count with it."""
    return (alpha * interest).astype(np.float32)


def fold_in(vectors: F32, confidence: F32, gram: F32, regularization: float) -> F32:
    """Solve (YᵀY + Yₚᵀ(C - 1)Yₚ + λI) x = Yₚᵀ c for one person (Hu, Koren, Volinsky, ICDM 2008).

    ``vectors`` (T, D) of the past videos, each video once; ``confidence`` (T,); ``gram`` = YᵀY (D, D) over the whole
    catalogue. Returns (D,); zeros without a past.
    """
    d = len(gram)
    if not len(vectors):
        return np.zeros(d, np.float32)
    left = (
        gram
        + (vectors * (confidence - 1)[:, None]).T @ vectors
        + regularization * np.eye(d, dtype=np.float32)
    )
    solved: F32 = np.linalg.solve(left, vectors.T @ confidence).astype(np.float32)
    return solved


def strongest(rows: I32, weight: F32) -> tuple[I32, F32]:
    """Each row number once with its highest weight, weights of 0 left out: (T',), (T',)."""
    unique, inverse = np.unique(rows, return_inverse=True)
    highest = np.zeros(len(unique), np.float32)
    np.maximum.at(highest, inverse, weight)
    keep = highest > 0
    return unique[keep], highest[keep]
