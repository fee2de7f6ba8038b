"""Metrics of retrieved lists: recall, hit rate, coverage; a person is one observation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zhiliu.evaluate.metrics import Interval, interval
from zhiliu.types import I32

F64 = NDArray[np.float64]


def recall(found: I32, positives: I32, k: int) -> float:
    """Share of the positives (P,) among the first ``k`` of ``found`` (K,). Never divided by min(k, P).

    Raises:
        ValueError: no positives; such a person must be left out, not counted as 0.

    """
    if not len(positives):
        raise ValueError("recall of nobody: a person without positives must be left out")
    return float(np.isin(positives, found[:k]).mean())


def coverage(lists: Sequence[I32], k: int, catalogue: int) -> float:
    """Share of the catalogue that is in anybody's first ``k``."""
    if not lists or not catalogue:
        return 0.0
    return len(np.unique(np.concatenate([found[:k] for found in lists]))) / catalogue


def mean_over_people(values: F64, draws: NDArray[np.int32]) -> Interval:
    """Mean of (G,) with the percentile interval over bootstrap draws (resamples, G) of people."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    return interval(float(values.mean()), draws @ values / draws.sum(1))
