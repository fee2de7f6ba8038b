"""What followed people like, seen from one moment: one definition for training and serving.

Of a pair, person and author or person and video, the newest word strictly before the moment counts: a follow
until an unfollow, a like until an unlike. An author's id is also the key the author acts under.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.context import DAY_MS
from zhiliu.features.history import Ask, alike, total
from zhiliu.types import F32, I32, I64, Bool, EventType, Likes

LIKES: Final = 64
"""Newest likes that count: of each followed person that many likes and unlikes are looked at, of all likes of
all of them that many are taken. Larger: further back, slower."""
FOLLOWED: Final = 200
"""Newest follows that are looked at."""
HALF_LIFE_MS: Final = 3 * DAY_MS
"""A like counts half as much after this time."""
LIKE_WORDS: Final = (EventType.LIKE, EventType.UNLIKE)
FOLLOW_WORDS: Final = (EventType.FOLLOW, EventType.UNFOLLOW)


@dataclass(frozen=True, slots=True)
class Heard:
    """Likes of followed people before each moment. W is B or 1; L may be 0."""

    mask: Bool  # (W, L)
    video: I32  # (W, L)
    time_ms: I64  # (W, L)

    @classmethod
    def nothing(cls, w: int) -> Self:
        """Of ``w`` people who follow nobody, (w, 0)."""
        return cls(np.zeros((w, 0), np.bool_), np.zeros((w, 0), np.int32), np.zeros((w, 0), np.int64))

    @classmethod
    def of(cls, likes: Likes, state_ms: int) -> Self:
        """What one request knows, (1, L)."""
        return cls((likes.time_ms < state_ms)[None], likes.video[None], likes.time_ms[None])


def social_columns(ask: Ask, heard: Heard, videos: VideoColumns) -> dict[str, F32]:
    """log1p of the decayed likes of each candidate, and of its author's videos: (B,) or (1,) each."""
    if not heard.mask.any():
        nothing = np.zeros(len(heard.mask), np.float32)
        return {"followed_likes": nothing, "followed_liked_author": nothing}
    weight = decayed(heard, ask.state_ms)
    liked = {
        "followed_likes": alike(ask.video, heard.video),
        "followed_liked_author": alike(videos.author[ask.video], videos.author[heard.video]),
    }
    return {name: np.log1p(total(equal, weight)).astype(np.float32) for name, equal in liked.items()}


def decayed(heard: Heard, state_ms: I64) -> F32:
    """(W, L) weight of each like at ``state_ms`` (W,): 1 when new, 0 where there is none."""
    age: Any = np.where(heard.mask, state_ms[:, None] - heard.time_ms, 0) / HALF_LIFE_MS
    weight: F32 = (np.exp2(-age) * heard.mask).astype(np.float32)
    return weight
