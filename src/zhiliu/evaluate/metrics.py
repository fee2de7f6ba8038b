"""Metrics of predicted probabilities, with bootstrap intervals over people: a person's rows go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def auc(label: F64, score: F64) -> float:
    """Probability that a positive is scored above a negative, ties half (Hanley & McNeil 1982); nan for one class."""
    positives = float(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[label > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclass(frozen=True, slots=True)
class PersonAuc:
    """AUC within each person who has both outcomes."""

    person: I64  # (G,) codes of those people
    value: F64  # (G,)
    rows: F64  # (G,) impressions, the weight in gAUC

    def mean(self) -> float:
        """gAUC: impression-weighted mean (Zhu et al. 2017)."""
        return float(np.average(self.value, weights=self.rows)) if len(self.value) else float("nan")


def person_auc(label: F64, score: F64, person: I64) -> PersonAuc:
    """One AUC a person; people with one class only have none. All (R,)."""
    order = np.lexsort((score, person))
    p, y, s = person[order], label[order], score[order]
    start = np.flatnonzero(np.r_[True, p[1:] != p[:-1]]) if len(p) else np.zeros(0, np.int64)
    size = np.diff(np.r_[start, len(p)])
    within = average_ranks(p, s, start, size)
    positives = np.add.reduceat(y, start) if len(start) else np.zeros(0)
    negatives = size - positives
    rank_sum = np.add.reduceat(within * y, start) if len(start) else np.zeros(0)
    both = (positives > 0) & (negatives > 0)
    value = (rank_sum - positives * (positives + 1) / 2)[both] / (positives * negatives)[both]
    return PersonAuc(p[start[both]], value, size[both].astype(np.float64))


def average_ranks(person: I64, score: F64, start: I64, size: I64) -> F64:
    """Rank from 1 within each person, ties share the mean; input sorted by person, then score."""
    if not len(score):
        return np.zeros(0)
    place = np.arange(len(score)) - np.repeat(start, size) + 1.0
    first = np.flatnonzero(np.r_[True, (person[1:] != person[:-1]) | (score[1:] != score[:-1])])
    count = np.diff(np.r_[first, len(score)])
    return np.repeat(place[first] + (count - 1) / 2, count)


def log_loss(label: F64, probability: F64) -> float:
    """Mean negative log likelihood in nats."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))


def mse(label: F64, probability: F64) -> float:
    """Mean squared error (Brier score)."""
    return float(np.mean((label - probability) ** 2))


def ece(label: F64, probability: F64, bins: int = 15) -> float:
    """Expected calibration error over bins of equal mass (Naeini et al. 2015)."""
    order = np.argsort(probability, kind="stable")
    gaps = [
        len(part) * abs(float(label[part].mean() - probability[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(label)) if len(label) else float("nan")


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def bootstrap_people(person: I64, resamples: int, seed: int) -> NDArray[np.int32]:
    """(resamples, G) how often each of the G people is drawn; ``person`` holds their codes 0 … G-1."""
    people = int(person.max()) + 1 if len(person) else 0
    rng = np.random.default_rng(seed)
    draws = [np.bincount(rng.integers(0, people, people), minlength=people) for _ in range(resamples)]
    return np.array(draws, np.int32)


def weighted_auc(label: F64, score: F64) -> Callable[[F64], float]:
    """AUC as a function of row weights: sorts once, so a bootstrap costs one pass a resample."""
    order = np.argsort(score, kind="stable")
    y, s = label[order], score[order]
    first = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])

    def at(weight: F64) -> float:
        w = weight[order]
        positive = np.add.reduceat(w * y, first)
        negative = np.add.reduceat(w * (1 - y), first)
        below = np.cumsum(negative) - negative
        total = positive.sum() * negative.sum()
        return float((positive * (below + negative / 2)).sum() / total) if total else float("nan")

    return at


def interval(value: float, samples: F64) -> Interval:
    """Percentile interval."""
    low, high = np.nanpercentile(samples, [2.5, 97.5]) if len(samples) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))
