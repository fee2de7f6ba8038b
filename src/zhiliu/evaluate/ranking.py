"""Judge rankers on impressions they have not seen: per head AUC, per-user gAUC, log loss, calibration, error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiliu.evaluate.metrics import (
    Interval,
    auc,
    bootstrap_people,
    ece,
    interval,
    log_loss,
    mse,
    person_auc,
    weighted_auc,
)
from zhiliu.types import F32, HEADS

RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class HeadReport:
    """One head of one model on one set of rows."""

    auc: Interval
    gauc: Interval
    log_loss: float
    ece: float
    mse: float
    positives: int
    samples: NDArray[np.float64]  # (2, resamples) AUC and gAUC of each resample of people

    def as_dict(self) -> dict[str, Any]:
        """JSON: plain ``auc`` and ``gauc`` with their intervals beside them."""
        flat = asdict(self)
        del flat["samples"]
        for name in ("auc", "gauc"):
            value = flat[name]
            flat[name], flat[f"{name}_95"] = value["value"], [value["low"], value["high"]]
        return flat


@dataclass(frozen=True, slots=True)
class Rows:
    """R impressions to judge on."""

    person: NDArray[np.int64]  # (R,) codes 0 … G-1
    labels: F32  # (R, P)

    def __len__(self) -> int:
        return len(self.person)


def judge(
    rows: Rows, heads: Mapping[str, F32], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, HeadReport]:
    """Every head that a model predicts and the rows have both outcomes of."""
    draws = bootstrap_people(rows.person, resamples, seed)
    reports: dict[str, HeadReport] = {}
    for i, head in enumerate(HEADS):
        if head in heads:
            label = rows.labels[:, i].astype(np.float64)
            if 0 < label.sum() < len(label):
                reports[head] = judge_head(label, heads[head].astype(np.float64), rows.person, draws)
    return reports


def judge_head(
    label: NDArray[np.float64],
    score: NDArray[np.float64],
    person: NDArray[np.int64],
    draws: NDArray[np.int32],
) -> HeadReport:
    """The figures of one head, intervals over people."""
    at = weighted_auc(label, score)
    aucs = np.array([at(draw[person].astype(np.float64)) for draw in draws])
    each = person_auc(label, score, person)
    weight = draws[:, each.person] * each.rows  # (resamples, G)
    total = weight.sum(1)
    gaucs = np.divide(weight @ each.value, total, out=np.full(len(draws), np.nan), where=total > 0)
    return HeadReport(
        auc=interval(auc(label, score), aucs),
        gauc=interval(each.mean(), gaucs),
        log_loss=log_loss(label, score),
        ece=ece(label, score),
        mse=mse(label, score),
        positives=int(label.sum()),
        samples=np.stack([aucs, gaucs]),
    )


def difference(ours: HeadReport, theirs: HeadReport) -> tuple[Interval, Interval]:
    """AUC and gAUC of ``ours`` minus ``theirs``: paired, if both were judged on the same rows with the same seed."""
    gap = ours.samples - theirs.samples
    return (
        interval(ours.auc.value - theirs.auc.value, gap[0]),
        interval(ours.gauc.value - theirs.gauc.value, gap[1]),
    )
