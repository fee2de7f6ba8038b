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
@given(st.lists(st.lists(counted, max_size=6), max_size=6))
def test_trending_is_a_recount_of_the_log_however_it_was_batched(
    batches: list[list[tuple[int, int, float]]],
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
    np.testing.assert_allclose(fast.heat(), slow.heat(), rtol=1e-6, atol=1e-9)


def test_what_is_hot_now_is_above_what_was_hotter_and_the_old_order_is_kept_however_old() -> None:
    trending = Trending(3)
    trending.add(np.array([0, 1, 1], np.int32), np.array([START_MS] * 3), np.ones(3))
    assert np.argsort(-trending.heat()).tolist() == [1, 0, 2]
    trending.add(np.array([2], np.int32), np.array([START_MS + 24 * HOUR_MS]), np.ones(1))
    assert np.argsort(-trending.heat()).tolist() == [2, 1, 0]


def test_heat_can_be_held_by_a_float32_after_a_year_of_events() -> None:
    trending = Trending(2)
    for day in range(365):
        trending.add(np.array([day % 2], np.int32), np.array([START_MS + day * 24 * HOUR_MS]), np.ones(1))
        assert np.isfinite(trending.heat().astype(np.float32)).all()
    assert trending.heat()[0] > trending.heat()[1] > 0


def test_growing_keeps_what_was_counted() -> None:
    trending = Trending(1)
    trending.add(np.array([0], np.int32), np.array([START_MS]), np.ones(1))
    before = trending.heat()[0]
    trending.grow(3)
    trending.grow(2)
    assert trending.heat().tolist() == [before, 0.0, 0.0]
