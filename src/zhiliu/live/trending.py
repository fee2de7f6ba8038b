"""Which videos many people watch now: one decayed sum a video and window.

``TrendingTwin`` recounts from the raw list at every question; a property test holds the two together.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from zhiliu.types import I32, I64

F64 = NDArray[np.float64]

HOUR_MS: Final = 3_600_000
HALF_LIFE_MS: Final = np.array([HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS], np.float64)  # (W,)
SHARE: Final = np.array([0.5, 0.3, 0.2])
"""How much each window says: the hour finds what is new, the week steadies it."""
WORTH: Final = {
    "long_view": 1.0,
    "complete": 0.5,
    "like": 2.0,
    "comment": 2.0,
    "share": 3.0,
    "follow": 2.0,
    "hide": -4.0,
}
"""What one event adds, by the head it makes true."""
REBASE_HALF_LIVES: Final = 200
"""Weights grow by 2^200 at most before the origin moves: far below the largest float64, 2^1023."""


def rates(sums: F64, elapsed_ms: F64) -> F64:
    """(N,) events an hour, of sums (W, N) that were current ``elapsed_ms`` (W,) or () ago."""
    per_hour = np.log(2) * HOUR_MS / HALF_LIFE_MS  # the mean of a decayed count is rate * half-life / ln 2
    factor = SHARE * per_hour * np.exp2(-elapsed_ms / HALF_LIFE_MS)  # (W,)
    mixed: F64 = factor @ sums
    return mixed


class Trending:
    """Live sums. One writer at a time; a reader that comes in between sees some of a batch."""

    def __init__(self, videos: int) -> None:
        self.sums: F64 = np.zeros((len(HALF_LIFE_MS), videos))  # (W, N) as of origin_ms
        self.origin_ms: F64 = np.zeros(len(HALF_LIFE_MS))  # (W,)
        self.newest_ms = 0
        self.counted = 0
        """Events counted so far."""

    def grow(self, videos: int) -> None:
        """Make room for rows up to ``videos``."""
        if videos > self.sums.shape[1]:
            wider = np.zeros((len(HALF_LIFE_MS), videos))
            wider[:, : self.sums.shape[1]] = self.sums
            self.sums = wider

    def add(self, video: I32, time_ms: I64, worth: F64) -> None:
        """Count events (E,) in any order."""
        if not len(video):
            return
        self.newest_ms = max(self.newest_ms, int(time_ms.max()))
        for w, half_life in enumerate(HALF_LIFE_MS):
            if self.newest_ms - self.origin_ms[w] > REBASE_HALF_LIVES * half_life:
                self.sums[w] *= np.exp2(max((self.origin_ms[w] - self.newest_ms) / half_life, -1074.0))
                self.origin_ms[w] = self.newest_ms
            # what is 1000 half-lives older than the origin adds nothing that a float64 could hold
            weight = np.exp2(np.maximum((time_ms - self.origin_ms[w]) / half_life, -1074.0))
            np.add.at(self.sums[w], video, worth * weight)
        self.counted += len(video)

    def heat(self) -> F64:
        """(N,) how hot each video is, in weighted events an hour, as of the newest event.

        Not as of now: a log that has stopped is judged where its order still means something, not where all of it
        has faded to nothing; and while events come, the newest is now.
        """
        return rates(self.sums, self.newest_ms - self.origin_ms)


class TrendingTwin:
    """The same by recounting everything at every question."""

    def __init__(self, videos: int) -> None:
        self.videos = videos
        self.events: list[tuple[int, int, float]] = []

    def add(self, video: int, time_ms: int, worth: float) -> None:
        """Count one event."""
        self.events.append((video, time_ms, worth))

    def heat(self) -> F64:
        """(N,) as :meth:`Trending.heat`."""
        total = np.zeros(self.videos)
        newest_ms = max((time for _, time, _ in self.events), default=0)
        for video, time, worth in self.events:
            for share, half_life in zip(SHARE, HALF_LIFE_MS, strict=True):
                rate = worth * np.log(2) * HOUR_MS / half_life
                total[video] += share * rate * 2.0 ** ((time - newest_ms) / half_life)
        return total
