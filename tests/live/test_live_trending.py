"""Decayed sums against a recount of everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.live.trending import Trending, TrendingTwin

HOUR_MS = 3_600_000
START_MS = 1_650_000_000_000
moments = st.integers(0, 24 * 400).map(lambda h: START_MS + h * HOUR_MS // 3)
counted = st.tuples(st.integers(0, 4), moments, st.sampled_from([1.0, 2.5, -4.0]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(counted, max_size=6), max_size=6), st.integers(-10, 24 * 200))
def test_trending_is_a_recount_of_the_log_however_it_was_batched(
    batches: list[list[tuple[int, int, float]]], later_h: int
) -> None:
    fast, slow = Trending(3), TrendingTwin(5)
    fast.grow(5)
    for batch in batches:
        video, time_ms, worth = (
            (np.array(column) for column in zip(*batch, strict=True)) if batch else [np.zeros(0)] * 3
        )
        fast.add(video.astype(np.int32), time_ms.astype(np.int64), worth.astype(float))
        for one in batch:
            slow.add(*one)
    newest_ms = max((time for batch in batches for _, time, _ in batch), default=START_MS)
    now_ms = newest_ms + later_h * HOUR_MS
    np.testing.assert_allclose(fast.heat(now_ms), slow.heat(now_ms), rtol=1e-6, atol=1e-9)


def test_a_log_that_stopped_years_ago_still_has_an_order() -> None:
    trending = Trending(2)
    trending.add(np.array([0, 1, 1], np.int32), np.array([START_MS] * 3), np.ones(3))
    heat = trending.heat(START_MS + 4 * 365 * 24 * HOUR_MS)
    assert heat[1] > heat[0] > 0


def test_growing_keeps_what_was_counted() -> None:
    trending = Trending(1)
    trending.add(np.array([0], np.int32), np.array([START_MS]), np.ones(1))
    before = trending.heat(START_MS)[0]
    trending.grow(3)
    trending.grow(2)
    assert trending.heat(START_MS).tolist() == [before, 0.0, 0.0]
