"""What a person must not be shown again: for sources, so they do not find in vain, and for filters, as the rule."""

from __future__ import annotations

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.types import I32, Bool, Query


def seen_before(query: Query, videos: VideoColumns) -> I32:
    """Rows (E,) seen lately or served in this cursor. May hold a row twice.

    In a small catalogue only the newest exposures count, as many as half of what there is: who has seen
    everything gets the oldest again, not nothing.
    """
    room = max(1, int(np.count_nonzero(videos.visible)) // 2)
    return np.concatenate([query.history.video[-room:], query.seen]).astype(np.int32)


def not_again(query: Query, videos: VideoColumns) -> I32:
    """Rows (E,) seen before or hidden. May hold a row twice."""
    return np.concatenate([seen_before(query, videos), query.hidden]).astype(np.int32)


def among(video: I32, excluded: I32, videos: VideoColumns) -> Bool:
    """(C,) True where ``video`` is in ``excluded`` (E,); a mask over the catalogue, np.isin would sort both."""
    mask = np.zeros(len(videos), np.bool_)
    mask[excluded[excluded < len(mask)]] = True  # a cursor may name rows of a larger catalogue
    found: Bool = mask[video]
    return found
