"""What a video is: length bucket, age. Content that never changes after upload."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiliu.types import I32, I64

BUCKET_EDGES_S = np.array([0.001, 7, 12, 18, 30, 45, 60, 90, 120, 180], np.float64)
"""Upper edges in seconds; bucket 0 is an unknown length. 7 and 18 s are where KuaiRand's labels change rule."""
BUCKETS = len(BUCKET_EDGES_S) + 1


def duration_bucket(duration_ms: NDArray[Any]) -> I32:
    """0 … BUCKETS-1 for lengths in ms, same shape."""
    return np.digitize(duration_ms / 1000.0, BUCKET_EDGES_S).astype(np.int32)


FRESH_DAYS = 7.0


def fresh_days(now_ms: I64, published_ms: I64) -> NDArray[np.float32]:
    """Days since upload, at most seven; seven for an unknown date, 0 for one in the future.

    Beyond a week age says little about a video and much about the calendar: in a log of a few weeks it would
    tell the days to predict from the days to learn from.
    """
    days = np.where(published_ms > 0, (now_ms - published_ms) / 86_400_000, FRESH_DAYS)
    return np.clip(days, 0.0, FRESH_DAYS).astype(np.float32)
