"""A rate is a rate, whatever a log leaves out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.features.builder import rate_columns
from zhiliu.features.counters import smoothed
from zhiliu.features.history import Ask, Window, expected
from zhiliu.live.state import LiveState
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.small_world import happened, small_columns
from zhiliu.types import HEADS, Event, EventType

NOW_MS = 1_700_000_000_000
KINDS = [kind.value for kind in (
    EventType.IMPRESSION, EventType.VIEW, EventType.LIKE, EventType.FOLLOW, EventType.COMMENT,
    EventType.SHARE_CREATE, EventType.HIDE,
)]  # fmt: skip


@st.composite
def told(draw: st.DrawFn) -> list[Event]:
    """Any outcomes of three videos, often without an impression."""
    some = st.tuples(
        st.sampled_from(KINDS), st.integers(0, 2), st.sampled_from(["for_you", "history", "search"]),
        st.integers(0, 200_000), st.integers(0, 20 * 86_400_000),
    )  # fmt: skip
    return [
        happened(
            kind,
            video,
            f"p{n}-{copy}",
            NOW_MS - 1 - ago,
            surface=surface,
            watch_ms=watch if kind == "view" else None,
        )
        for n, (kind, video, surface, watch, ago) in enumerate(draw(st.lists(some, max_size=15)))
        for copy in range(40)
    ]


@settings(max_examples=60, deadline=None)
@given(events=told())
def test_no_rate_leaves_its_range_when_impressions_are_missing(events: list[Event]) -> None:
    videos, log = small_columns(), MemoryLog()
    log.append(sorted(events, key=lambda event: event.time))
    live = LiveState(log, videos)
    live.apply(log.read(0, log.last_offset()))
    now = np.array([NOW_MS])
    ask = Ask(np.arange(5, dtype=np.int32), np.array([1], np.int32), now, now)
    columns = rate_columns(ask, videos, live.counters)
    for name, column in columns.items():
        most = np.inf if name.endswith("_shown") else 2.0 if name.endswith("_ratio") else 1.0
        assert (column >= 0).all(), name
        assert (column <= most + 1e-9).all(), f"{name} is {column.max()}"
    rows = np.arange(4, dtype=np.int32)[None]
    shape = rows.shape
    zeros = np.zeros(shape, np.float32)
    window = Window(
        np.ones(shape, bool), rows, np.ones(shape, np.int32), np.full(shape, NOW_MS - 5), zeros,
        np.zeros((*shape, len(HEADS)), np.float32),
    )  # fmt: skip
    for head, rate in expected(window, now, videos, live.counters).items():
        assert ((rate >= 0) & (rate <= 1)).all(), head


def test_views_without_impressions_make_a_rate_of_one_and_not_more() -> None:
    hits, nothing = np.array([300.0]), np.zeros(1)
    assert smoothed(hits, nothing, 1.0, 50.0)[0] == 1.0
    assert smoothed(hits, nothing, 2.0, 50.0, 2.0)[0] == 2.0
    assert smoothed(hits, np.array([600.0]), 0.5, 50.0)[0] == 0.5
