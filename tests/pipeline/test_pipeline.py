"""The stages together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zhiliu.pipeline import Pipeline
from zhiliu.registry import build_pipeline
from zhiliu.settings import FeedSettings
from zhiliu.testing.component_contracts import NOW_MS, history, query
from zhiliu.testing.small_world import happened, small_columns, small_world
from zhiliu.types import F32, Bool, Candidates, Query


class Fixed:
    """Finds given rows."""

    def __init__(self, name: str, rows: list[int]) -> None:
        self.name, self.rows = name, rows

    def retrieve(self, query: Query, k: int) -> Candidates:
        rows = np.array(self.rows[:k], np.int32)
        return Candidates(rows, {"score": np.arange(len(rows), 0, -1).astype(np.float32)})


class Broken:
    """Finds nothing but trouble."""

    name = "broken"

    def retrieve(self, query: Query, k: int) -> Candidates:
        raise TimeoutError("late")

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        raise RuntimeError("the rule cannot be checked")


class TellingRanker:
    """Tells its features."""

    name = "telling"

    def predict(self, query: Query, candidates: Candidates) -> dict[str, F32]:
        return self.predict_with_features(query, candidates)[0]

    def predict_with_features(self, query: Query, candidates: Candidates) -> tuple[dict[str, F32], F32]:
        features = np.stack([candidates.video, -candidates.video], 1).astype(np.float32)
        return {"click": (candidates.video / 100).astype(np.float32)}, features


def pipeline(**changes: object) -> Pipeline:
    busy = [happened("impression", i % 30, f"w{i}") for i in range(60)]
    busy += [happened("view", i % 7, f"w{i}", watch_ms=60_000) for i in range(60)]
    built = build_pipeline(small_world(busy))
    return replace(built, **changes)  # type: ignore[arg-type]


def test_a_failing_source_is_skipped_and_named() -> None:
    slate = pipeline(sources=[(Broken(), 5), (Fixed("fixed", [3, 4, 5]), 5)])(query(), 3)
    assert sorted(slate.items.video.tolist()) == [3, 4, 5]
    assert (slate.failed, slate.source_names) == (("broken",), ("broken", "fixed"))
    assert slate.items["sources"].tolist() == [0b10] * 3


def test_when_all_sources_fail_the_slate_is_empty_not_an_error() -> None:
    slate = pipeline(sources=[(Broken(), 5)])(query(), 3)
    assert (len(slate.items), slate.reasons, slate.failed, slate.candidate_count) == (0, (), ("broken",), 0)


def test_a_failing_filter_is_fatal() -> None:
    with pytest.raises(RuntimeError, match="cannot be checked"):
        pipeline(filters=[Broken()])(query(), 3)


def test_all_sources_of_a_video_are_remembered() -> None:
    slate = pipeline(sources=[(Fixed("one", [1, 2]), 5), (Fixed("two", [2, 3]), 5)])(query(), 3)
    bits = dict(zip(slate.items.video.tolist(), slate.items["sources"].tolist(), strict=True))
    assert bits == {1: 0b01, 2: 0b11, 3: 0b10}


def test_what_filters_dropped_is_counted_by_name() -> None:
    asked = query(history=history([1]), hidden=np.array([2], np.int32))
    slate = pipeline(sources=[(Fixed("fixed", [1, 2, 3, 39, 77]), 9)])(asked, 3)
    assert slate.items.video.tolist() == [3]
    assert slate.dropped == {"available": 2, "surface": 0, "seen": 1, "hidden": 1}


def test_the_same_query_gives_the_same_slate_from_a_world_built_anew() -> None:
    asked = query(history=history([1, 2]), followed=("a3",))
    one, other = pipeline()(asked, 10), pipeline()(asked, 10)
    assert one.items.video.tolist() == other.items.video.tolist()
    assert one.items.columns.keys() == other.items.columns.keys()
    for name, column in one.items.columns.items():
        np.testing.assert_array_equal(column, other.items[name], err_msg=name)
    assert (one.reasons, one.candidate_hash, one.dropped) == (
        other.reasons,
        other.candidate_hash,
        other.dropped,
    )


def test_a_cursor_serves_the_whole_catalogue_without_a_repeat() -> None:
    serve, seen, pages = pipeline(), np.zeros(0, np.int32), 0
    while len(page := serve(query(seen=seen), 7).items.video):
        assert not np.isin(page, seen).any()
        seen = np.concatenate([seen, page])
        pages += 1
    assert sorted(seen.tolist()) == list(range(39))
    assert pages == 6


def test_a_slate_has_a_reason_a_video_and_scores_are_finite() -> None:
    slate = pipeline()(query(), 10)
    assert len(slate.items) == len(slate.reasons) == 10
    assert all(slate.reasons)
    assert np.isfinite(slate.items["score"]).all()


def test_an_empty_catalogue_gives_an_empty_slate() -> None:
    slate = build_pipeline(small_world(videos=small_columns(0)))(query(), 10)
    assert (len(slate.items), slate.failed) == (0, ())


def test_no_more_than_the_limit_are_ranked_and_every_sources_best_are_among_them() -> None:
    built = pipeline(
        sources=[(Fixed("one", list(range(20))), 20), (Fixed("two", list(range(20, 38))), 20)], rank_limit=4
    )
    slate = built(query(), 10)
    assert sorted(slate.items.video.tolist()) == [0, 1, 20, 21]
    assert slate.candidate_count == 4


def test_the_features_a_ranker_tells_are_those_of_the_videos_served() -> None:
    slate = pipeline(ranker=TellingRanker())(query(), 5)
    assert slate.items["features"].tolist() == [[row, -row] for row in slate.items.video.tolist()]


def test_what_a_person_does_changes_the_next_page() -> None:
    world = small_world()
    serve, log = build_pipeline(world), world.live._events

    def page() -> list[int]:
        asked = world.query("p1", now_ms=NOW_MS, seed=1, request_id="r")
        return serve(asked, 5).items.video.tolist()

    first = page()
    log.append([
        happened("hide", first[0]),
        happened("hide", first[1], props={"scope": "author"}),
        happened("impression", first[2]),
    ])  # fmt: skip
    world.live.apply(log.read(0, 10))
    after = page()
    author = world.videos.author
    assert first[0] not in after
    assert first[2] not in after
    assert author[first[1]] not in author[after]


def test_the_following_surface_shows_followed_authors_only() -> None:
    slate = pipeline()(query(surface="following", followed=("a3",)), 10)
    assert sorted(slate.items.video.tolist()) == [3, 13, 23, 33]
    assert len(pipeline()(query(surface="following"), 10).items) == 0


def test_the_weights_of_the_settings_decide_the_order() -> None:
    events = [happened("impression", i, f"w{n}") for i in (1, 2) for n in range(50)]
    events += [happened("like", 1, f"w{n}") for n in range(50)]
    events += [happened("view", 2, f"w{n}", watch_ms=60_000) for n in range(50)]
    for weights, best in (({"like": 1.0}, 1), ({"long_view": 1.0}, 2)):
        slate = build_pipeline(small_world(events, feed=FeedSettings(weights=weights)))(query(), 1)
        assert slate.items.video.tolist() == [best]
