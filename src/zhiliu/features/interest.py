"""How much one row of a person's past says "more like this": the weight that every retrieval model counts with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from zhiliu.types import F32, HEADS, I32, I64, History

EXPOSED: Final = 0.5
"""Shown, whatever followed: whoever chose it had a reason. ALS recall@500 on KuaiRand's future days is .82 with 1,
.80 with .5, .79 with .25 and .72 without; but the more it counts, the more a feed learns from its own choices."""
WEIGHT_OF_HEAD: Final[dict[str, float]] = {
    "click": 0.0, "long_view": 3.0, "complete": 0.0, "like": 3.0, "follow": 2.0, "comment": 2.0, "share": 3.0,
}  # fmt: skip
"""Added when the head is true; ``hide`` makes the whole weight 0 instead."""
HIDE: Final = HEADS.index("hide")

KINDS: Final = ("exposed", "clicked", "long_viewed", "reacted", "hidden")
"""What the sequence of a person's past is told of each row; the strongest wins."""
REACTIONS: Final = [HEADS.index(head) for head in ("like", "follow", "comment", "share")]


def interest(labels: NDArray[Any]) -> F32:
    """Weight (…,) ≥ 0 of rows with labels (…, P) in the order of HEADS."""
    weights = np.array([WEIGHT_OF_HEAD.get(head, 0.0) for head in HEADS], np.float32)
    total: F32 = (EXPOSED + labels.astype(np.float32) @ weights) * (labels[..., HIDE] == 0)
    return total.astype(np.float32)


def kinds(labels: NDArray[Any]) -> I32:
    """Code (…,) into KINDS of rows with labels (…, P)."""
    code = np.where(labels[..., HEADS.index("click")] > 0, 1, 0)
    code = np.where(labels[..., HEADS.index("long_view")] > 0, 2, code)
    code = np.where((labels[..., REACTIONS] > 0).any(-1), 3, code)
    return np.where(labels[..., HIDE] > 0, 4, code).astype(np.int32)


def liked(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(…,) True where the person watched long or reacted, and did not hide it."""
    code = kinds(labels)
    mask: NDArray[np.bool_] = (code == 2) | (code == 3)
    return mask


def known_labels(history: History, now_ms: int) -> F32:
    """(T, P) what was true and known before ``now_ms``."""
    return (history.label_ms < now_ms).astype(np.float32)


GAP_EDGES_MS: Final = np.array(
    [60e3, 600e3, 3600e3, 6 * 3600e3, 86_400e3, 3 * 86_400e3, 7 * 86_400e3, 14 * 86_400e3]
)
GAPS: Final = len(GAP_EDGES_MS) + 1


def gap_bucket(gap_ms: I64) -> I32:
    """0 … GAPS-1 for the time since a row of the past, in ms."""
    return np.digitize(gap_ms, GAP_EDGES_MS).astype(np.int32)
