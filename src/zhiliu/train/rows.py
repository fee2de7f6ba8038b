"""Rows of a ranker: features of impressions with their labels, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zhiliu.features.profile import ProfileVocabulary
from zhiliu.features.video import BUCKETS, duration_bucket
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import Progress
from zhiliu.types import F32, HEADS, I64

WINDOW = 64
"""Past rows that features look at."""
SEQUENCE_LENGTH = 50
"""Past rows that the network attends to."""


@dataclass(frozen=True, slots=True)
class RankerRows:
    """B rows, aligned."""

    row: Tensor  # (B,) row number in the log
    numeric: Tensor  # (B, F)
    context: Tensor  # (B, 4)
    person: Tensor  # (B,) person row
    video: Tensor  # (B,) catalogue row
    past_video: Tensor  # (B, T) catalogue rows
    past: Tensor  # (B, T, H) float16: half the memory, outcomes are 0/1 and ages need no more
    past_mask: Tensor  # (B, T)
    labels: Tensor  # (B, P) what happened
    target: (
        Tensor  # (B, P) what the network is fitted to: the labels, or a mix with a teacher's probabilities
    )
    weight: Tensor  # (B, P) 0 where the head's label is unknown
    watch: Tensor  # (B,) quantile of watch time among videos of like length

    def __len__(self) -> int:
        return len(self.row)


def ranker_rows(
    log: TrainingLog,
    rows: NDArray[np.int64],
    state_ms: I64,
    *,
    quantiles: WatchQuantiles,
    progress: Progress | None = None,
    label: str = "features",
) -> RankerRows:
    """Features of the log's ``rows`` (B,), knowing what was known at ``state_ms`` (B,) ≤ time of the row."""
    past = log.history
    person, video = log.person[rows], past.video[rows]
    parts: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("numeric", "context", "video", "past", "mask")
    }
    for cut, f in log.features(person, video, past.surface[rows], past.time_ms[rows], state_ms, WINDOW):
        parts["numeric"].append(f.numeric)
        parts["context"].append(f.context)
        parts["video"].append(f.past_video[:, -SEQUENCE_LENGTH:])
        parts["past"].append(f.past[:, -SEQUENCE_LENGTH:].astype(np.float16))
        parts["mask"].append(f.past_mask[:, -SEQUENCE_LENGTH:])
        if progress is not None:
            progress(label, min(1.0, cut.stop / len(rows)))
    joined = {name: torch.from_numpy(np.concatenate(part)) for name, part in parts.items()}
    return RankerRows(
        row=torch.from_numpy(rows),
        numeric=joined["numeric"],
        context=joined["context"].long(),
        person=torch.from_numpy(person).long(),
        video=torch.from_numpy(video).long(),
        past_video=joined["video"].long(),
        past=joined["past"],
        past_mask=joined["mask"].float(),
        labels=torch.from_numpy(log.labels[rows]),
        target=torch.from_numpy(log.labels[rows].copy()),
        weight=torch.from_numpy(known_labels(log, rows)),
        watch=torch.from_numpy(quantiles.of(past.watch_ms[rows], log.videos.duration_ms[video])),
    )


def known_labels(log: TrainingLog, rows: NDArray[np.int64]) -> F32:
    """(B, P) 1 where the label is known: of an imported history, long views and likes only."""
    known = np.ones((len(rows), len(HEADS)), np.float32)
    half_told = ~log.trainable()[rows]
    for i, head in enumerate(HEADS):
        if head not in ("long_view", "like"):
            known[half_told, i] = 0.0
    return known


class WatchQuantiles:
    """Watch time ↔ its quantile among impressions of like length (D2Q, Zhan et al. 2022, §4.1)."""

    POINTS = 101

    def __init__(self, table: F32) -> None:
        self.table = table  # (BUCKETS, POINTS) watch_ms at quantiles 0 … 1

    @classmethod
    def fit(cls, watch_ms: F32, duration_ms: I64) -> WatchQuantiles:
        """From impressions (R,); a length never seen borrows all lengths."""
        grid = np.linspace(0, 1, cls.POINTS)
        bucket = duration_bucket(duration_ms)
        table = np.zeros((BUCKETS, cls.POINTS), np.float32)
        for b in range(BUCKETS):
            own = watch_ms[bucket == b]
            source = own if len(own) >= 50 else watch_ms
            table[b] = np.quantile(source, grid) if len(source) else 0.0
        return cls(table)

    def of(self, watch_ms: F32, duration_ms: I64) -> F32:
        """Quantile (R,) in [0, 1]: middle of the steps that share the value."""
        bucket = duration_bucket(duration_ms)
        quantile = np.zeros(len(watch_ms), np.float32)
        for b in range(BUCKETS):
            own = bucket == b
            low = np.searchsorted(self.table[b], watch_ms[own], "left")
            high = np.searchsorted(self.table[b], watch_ms[own], "right")
            quantile[own] = np.clip((low + high) / 2 / self.POINTS, 0, 1)
        return quantile


def person_codes(log: TrainingLog, vocabulary: ProfileVocabulary) -> Tensor:
    """(U, fields) codes of everybody's profile."""
    codes = [vocabulary.encode(p) for p in log.profiles]
    stacked = np.stack(codes) if codes else np.zeros((0, len(vocabulary.fields)), np.int32)
    return torch.from_numpy(stacked).long()
