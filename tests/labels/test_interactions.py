"""Impressions are joined with what followed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.train_fixtures import snapshot_of

from zhiliu.labels.interactions import increments, load_events, load_interactions
from zhiliu.labels.rules import heads_of
from zhiliu.testing.synthetic import START_MS, SyntheticLog, synthetic_log
from zhiliu.types import HEADS, NEVER_MS, Event, EventType, Video

VIDEO = Video(video_id="v", author_id="a", duration_ms=60_000)


def log_of(*events: Event) -> SyntheticLog:
    return SyntheticLog(videos=[VIDEO], people=[], events=list(events))


def event(kind: EventType, after_ms: int, request: str | None = "r", **fields: object) -> Event:
    return Event(
        event_id=f"{kind}:{after_ms}:{request}",
        type=kind,
        time=START_MS + after_ms,
        person_id="p",
        video_id="v",
        request_id=request,
        **fields,  # type: ignore[arg-type]
    )


def test_every_outcome_lands_on_its_impression_with_its_own_time(tmp_path: Path) -> None:
    log = log_of(
        event(EventType.IMPRESSION, 0),
        event(EventType.VIEW, 20_000, watch_ms=20_000),
        event(EventType.LIKE, 25_000),
        event(EventType.COMMENT, 30_000),
    )
    row = load_interactions(snapshot_of(log, tmp_path)).row(0, named=True)
    assert [head for head in HEADS if row[head]] == ["click", "long_view", "like", "comment"]
    assert row["long_view_ms"] == START_MS + 20_000
    assert row["like_ms"] == START_MS + 25_000
    assert row["share_ms"] == NEVER_MS
    assert row["watch_ms"] == 20_000
    assert row["known_ms"] == START_MS + 30_000


def test_two_impressions_of_one_video_keep_their_outcomes_apart(tmp_path: Path) -> None:
    log = log_of(
        event(EventType.IMPRESSION, 0, "first"),
        event(EventType.IMPRESSION, 1_000, "second"),
        event(EventType.LIKE, 2_000, "first"),
    )
    frame = load_interactions(snapshot_of(log, tmp_path))
    assert frame.select("request_id", "like").rows() == [("first", 1), ("second", 0)]


def test_an_outcome_without_request_goes_to_the_newest_earlier_impression(tmp_path: Path) -> None:
    log = log_of(
        event(EventType.IMPRESSION, 0, "first"),
        event(EventType.IMPRESSION, 1_000, "second"),
        event(EventType.LIKE, 2_000, None),
        event(EventType.IMPRESSION, 3_000, "third"),
    )
    frame = load_interactions(snapshot_of(log, tmp_path))
    assert frame["like"].to_list() == [0, 1, 0]


def test_a_view_that_was_not_served_makes_a_row_of_its_own(tmp_path: Path) -> None:
    log = log_of(event(EventType.VIEW, 0, None, watch_ms=50_000))
    frame = load_interactions(snapshot_of(log, tmp_path))
    assert frame.select("long_view", "watch_ms").rows() == [(1, 50_000.0)]


def test_a_platform_that_judged_itself_is_believed(tmp_path: Path) -> None:
    log = log_of(
        event(EventType.IMPRESSION, 0),
        event(EventType.VIEW, 500, watch_ms=500, props={"click": 1, "long_view": 0}),
    )
    row = load_interactions(snapshot_of(log, tmp_path)).row(0, named=True)
    assert (row["click"], row["long_view"]) == (1, 0)


def test_frame_rules_and_event_rules_agree(tmp_path: Path) -> None:
    log = synthetic_log(impressions=500)
    frame = load_events(snapshot_of(log, tmp_path))
    duration = {v.video_id: v.duration_ms for v in log.videos}
    by_id = {e.event_id: set(heads_of(e, duration[e.video_id or ""])) for e in log.events}
    for row in frame.iter_rows(named=True):
        assert {head for head in HEADS if row[head]} == by_id[row["event_id"]]


def test_increments_count_each_impression_and_each_head_once(tmp_path: Path) -> None:
    log = synthetic_log(impressions=500)
    snapshot = snapshot_of(log, tmp_path)
    counted = increments(load_events(snapshot))
    rows = load_interactions(snapshot)
    assert counted["shown"].sum() == rows.height == 500
    for head in HEADS:
        assert counted[head].sum() == rows[head].cast(pl.Int64).sum()


def test_a_log_without_impressions_is_refused_with_what_to_do(tmp_path: Path) -> None:
    search = Event(event_id="s", type=EventType.SEARCH, time=START_MS, person_id="p")
    with pytest.raises(ValueError, match="import a feed log first"):
        load_interactions(snapshot_of(log_of(search), tmp_path))
