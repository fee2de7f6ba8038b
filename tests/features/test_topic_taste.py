"""A person's taste for a topic fades with its age."""

from __future__ import annotations

import numpy as np
import pytest

from zhiliu.features.counters import Counters
from zhiliu.features.history import Ask, Outcomes, Window, outcomes, pair_columns
from zhiliu.testing.small_world import small_columns
from zhiliu.types import HEADS

NOW_MS, DAY_MS = 1_700_000_000_000, 86_400_000


def taste(days: float) -> tuple[float, float]:
    """(same_topic_long_view, same_author_long_view) of v0 after one long view of another by its topic and author."""
    videos = small_columns(71)
    labels = np.zeros((1, 1, len(HEADS)), np.float32)
    labels[..., HEADS.index("long_view")] = 1
    window = Window(
        np.ones((1, 1), bool), np.array([[70]], np.int32), np.ones((1, 1), np.int32),
        np.array([[NOW_MS - int(days * DAY_MS)]]), np.zeros((1, 1), np.float32), labels,
    )  # fmt: skip
    now = np.array([NOW_MS])
    ask = Ask(np.array([0], np.int32), np.array([1], np.int32), now, now)
    seen: Outcomes = outcomes(window, now, videos, Counters(videos))
    columns = pair_columns(ask, window, seen, videos)
    return float(columns["same_topic_long_view"][0]), float(columns["same_author_long_view"][0])


def test_a_long_view_of_two_weeks_ago_counts_half_for_its_topic() -> None:
    new, author = taste(0)
    old, author_later = taste(14)
    lift = new  # one row of lift r: (r + 5·r/6) / 6
    residual = lift * 6 / (1 + 5 / 6)
    assert residual == pytest.approx(1 - 0.33, abs=0.02)
    assert old == pytest.approx((residual / 2 + 5 * residual / 6) / 5.5, rel=1e-5)
    assert author_later == pytest.approx(author)
    assert taste(140)[0] == pytest.approx(residual / 6, rel=1e-2)
