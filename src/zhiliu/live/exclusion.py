"""What a person must not be shown again: for sources, so they do not find in vain, and for filters, as the rule."""

from __future__ import annotations

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.types import I32, Query


def not_again(query: Query, videos: VideoColumns) -> I32:
    """Rows (E,) that this query must not get: seen before, in this cursor, hidden. May hold a row twice.

    In a small catalogue only the newest exposures count, as many as half of what there is: who has seen
    everything gets the oldest again, not nothing.
    """
    past = query.history.video
    room = max(1, int(np.count_nonzero(videos.visible)) // 2)
    excluded = np.concatenate([past[-room:], query.seen, query.hidden])
    return excluded[excluded < len(videos)].astype(np.int32)
