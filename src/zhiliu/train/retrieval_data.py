"""What the retrieval recipes share: the log up to the cut, weights of its rows, people × videos as sparse matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zhiliu.features.interest import interest
from zhiliu.train.log import TrainingLog
from zhiliu.types import F32, HEADS

Progress = Callable[[str, float], None]
THREADS = 2
"""Training shares the machine with a server."""
POPULARITY_HALF_LIFE_MS = 2 * 86_400_000
"""On KuaiRand one to two days is best: recall@100 .274, against .232 for counts without decay."""


def open_log(snapshot: Path, until_ms: int, log: TrainingLog | None) -> TrainingLog:
    """The log given, or the snapshot's up to ``until_ms``.

    Raises:
        ValueError: nothing usable before the cut, or the given log reaches beyond it.

    """
    if log is None:
        return TrainingLog.load(snapshot, until_ms=until_ms)
    if len(log) and int(log.history.time_ms.max()) >= until_ms:
        newest = int(log.history.time_ms.max())
        raise ValueError(
            f"the log given reaches to {newest} ms, the cut is {until_ms} ms; load it up to the cut"
        )
    return log


def report(progress: Progress | None, what: str, share: float) -> None:
    """Tell how far a recipe is, if anybody listens."""
    if progress is not None:
        progress(what, share)


@contextmanager
def few_threads() -> Iterator[None]:
    """BLAS and OpenMP on at most THREADS threads inside the block."""
    with threadpool_limits(limits=THREADS):
        yield


def interest_matrix(log: TrainingLog, weight: F32 | None = None) -> sp.csr_matrix:
    """(U, N) float32: for each person and video the highest weight of their rows; zero where never shown."""
    weight = interest(log.labels) if weight is None else weight
    keep = np.flatnonzero(weight > 0)
    order = keep[np.argsort(weight[keep], kind="stable")]  # the highest comes last and stays
    key = log.person[order].astype(np.int64) * max(1, len(log.videos)) + log.history.video[order]
    _, last = np.unique(key[::-1], return_index=True)
    rows = order[::-1][last]
    return sp.csr_matrix(
        (weight[rows], (log.person[rows], log.history.video[rows])),
        shape=(len(log.people), len(log.videos)),
        dtype=np.float32,
    )


def long_views(log: TrainingLog) -> NDArray[np.bool_]:
    """(R,) rows whose video was watched long."""
    true: NDArray[np.bool_] = log.labels[:, HEADS.index("long_view")] > 0
    return true


def decayed_long_views(
    log: TrainingLog, half_life_ms: float = POPULARITY_HALF_LIFE_MS
) -> NDArray[np.float64]:
    """(N,) long views of each video, weights halving back from the newest row of the log."""
    age_ms = log.history.time_ms.max() - log.history.time_ms
    weight = np.exp2(-age_ms / half_life_ms) * long_views(log)
    counts: NDArray[np.float64] = np.bincount(log.history.video, weight, len(log.videos)).astype(np.float64)
    return counts


def log_level(counts: NDArray[Any]) -> F32:
    """(N,) log(1 + count ÷ mean count): the same scale for a small log and a large one. Zeros stay 0."""
    mean = float(counts.mean()) if len(counts) else 0.0
    level: F32 = np.log1p(counts / mean if mean > 0 else np.zeros(len(counts))).astype(np.float32)
    return level


def trained_text(out: Path) -> F32 | None:
    """(N, Dt) what the text recipe wrote: sentence embeddings where they were asked for, else TF-IDF vectors."""
    for name in ("sentence_video.npy", "text_video.npy"):
        if (out / name).is_file():
            vectors: F32 = np.load(out / name)
            return vectors
    return None
