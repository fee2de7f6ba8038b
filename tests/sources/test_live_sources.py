"""Popularity, trending and following: contracts, and what each is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.artifact import new_artifact
from zhiliu.live.exclusion import not_again
from zhiliu.sources import ranking
from zhiliu.sources.following import Following
from zhiliu.sources.popularity import Popularity
from zhiliu.sources.ranking import Ranking
from zhiliu.sources.social import Social
from zhiliu.sources.trending import Trending
from zhiliu.testing.component_contracts import NOW_MS, SourceContract, history, query
from zhiliu.testing.small_world import DAY_MS, happened, ids_of, small_columns, small_world
from zhiliu.types import Candidates, Event, Likes, Query

HOUR_MS = 3_600_000


def watched(video: int, people: int, time: int = NOW_MS - 60_000) -> list[Event]:
    """So many people saw and watched it long."""
    return [
        event
        for i in range(people)
        for event in (
            happened("impression", video, f"w{i}", time),
            happened("view", video, f"w{i}", time + 1, watch_ms=60_000),
        )
    ]


class TestTrending(SourceContract):
    def make(self) -> Trending:
        return Trending.from_world(small_world([*watched(5, 3), *watched(9, 2)]))

    def test_what_more_people_watch_comes_first_and_the_untouched_follow_by_age(self) -> None:
        found = self.make().retrieve(query(), 5)
        assert found.video.tolist() == [5, 9, 0, 1, 2]
        assert (found["score"] > 0).tolist() == [True, True, False, False, False]

    def test_a_few_now_beat_many_last_week(self) -> None:
        world = small_world([*watched(5, 12, NOW_MS - 7 * DAY_MS), *watched(9, 3, NOW_MS - HOUR_MS)])
        assert Trending.from_world(world).retrieve(query(), 1).video.tolist() == [9]

    def test_what_is_hidden_by_many_sinks_below_the_untouched(self) -> None:
        world = small_world([happened("hide", 0, f"h{i}") for i in range(3)])
        found = Trending.from_world(world).retrieve(query(), 39)
        assert found.video.tolist()[-1] == 0

    def test_a_system_in_which_nothing_ever_happened_serves_its_newest(self) -> None:
        found = Trending.from_world(small_world()).retrieve(query(), 3)
        assert found.video.tolist() == [0, 1, 2]

    def test_the_list_follows_the_log_within_a_second_of_query_time(self) -> None:
        world = small_world(watched(5, 2))
        source = Trending.from_world(world)
        assert source.retrieve(query(), 1).video.tolist() == [5]
        log = world.live._events
        log.append(watched(8, 9))
        world.live.apply(log.read(world.live.offset, 1000))
        assert source.retrieve(query(now_ms=NOW_MS + 1000), 1).video.tolist() == [8]

    def test_an_empty_catalogue_gives_nothing(self) -> None:
        assert len(Trending.from_world(small_world(videos=small_columns(0))).retrieve(query(), 5)) == 0


class TestPopularity(SourceContract):
    def make(self) -> Popularity:
        return Popularity.from_world(small_world([*watched(5, 3), *watched(9, 2)]))

    def test_more_long_views_come_first_also_when_they_are_old(self) -> None:
        world = small_world([*watched(5, 12, NOW_MS - 7 * DAY_MS), *watched(9, 3, NOW_MS - HOUR_MS)])
        assert Popularity.from_world(world).retrieve(query(), 2).video.tolist() == [5, 9]

    def test_impressions_that_nobody_watched_count_against_a_video(self) -> None:
        bored = [happened("impression", 5, f"b{i}") for i in range(200)]
        world = small_world([*watched(5, 3), *bored, *watched(9, 3)])
        assert Popularity.from_world(world).retrieve(query(), 2).video.tolist() == [9, 5]

    def test_the_popularity_of_the_artifact_is_used_by_id(self, tmp_path: Path) -> None:
        with new_artifact(tmp_path, created_ms=NOW_MS) as writer:
            writer.json("video_ids", ["v3", "gone", "v39", "v7"])
            writer.array("popularity", np.array([1, 9, 8, 2], np.float32))
        world = small_world(watched(5, 3), artifact=writer.artifact)
        found = Popularity.from_world(world).retrieve(query(), 3)
        assert ids_of(world, found.video.tolist()) == ["v7", "v3", "v0"]
        assert found["score"].tolist() == [2.0, 1.0, 0.0]


class TestFollowing(SourceContract):
    def make(self) -> Following:
        return Following.from_world(small_world())

    def query(self) -> Query:
        return query(followed=("a3", "a5", "unknown author"))

    def test_only_followed_authors_newest_first(self) -> None:
        found = self.make().retrieve(self.query(), 5)
        assert found.video.tolist() == [3, 5, 13, 15, 23]

    def test_who_follows_nobody_gets_nothing(self) -> None:
        assert len(self.make().retrieve(query(), 5)) == 0

    def test_hidden_videos_of_followed_authors_are_not_found(self) -> None:
        found = self.make().retrieve(query(followed=("a9",)), 50)
        assert found.video.tolist() == [9, 19, 29]

    def test_seen_ones_make_room_for_older_ones(self) -> None:
        found = self.make().retrieve(query(followed=("a3",), history=history([3, 13])), 2)
        assert found.video.tolist() == [23, 33]


def liked(*told: tuple[int, int, str]) -> Likes:
    """(video, ms ago, who), the newest first."""
    video, ago, people = zip(*told, strict=True)
    return Likes(video=np.array(video, np.int32), time_ms=NOW_MS - np.array(ago, np.int64), people=people)


class TestSocial(SourceContract):
    def make(self) -> Social:
        return Social.from_world(small_world())

    def query(self) -> Query:
        likes = liked(
            (7, 1, "q1"), (5, HOUR_MS, "q2"), (3, HOUR_MS, "q1"), (5, 2 * HOUR_MS, "q1"), (9, DAY_MS, "q2")
        )
        return query(followed=("q1", "q2"), followed_likes=likes)

    def test_the_most_liked_first_then_the_newest_liked(self) -> None:
        found = self.make().retrieve(self.query(), 5)
        assert found.video.tolist() == [5, 7, 3, 9]

    def test_a_like_counts_half_after_three_days(self) -> None:
        found = self.make().retrieve(query(followed_likes=liked((4, 3 * DAY_MS, "q1"))), 5)
        assert found["score"].tolist() == [0.5]

    def test_who_follows_nobody_gets_nothing(self) -> None:
        assert len(self.make().retrieve(query(), 5)) == 0

    def test_what_is_hidden_or_was_seen_or_is_no_longer_there_is_not_found(self) -> None:
        likes = liked((39, 1, "q1"), (7, 2, "q1"), (8, 3, "q1"), (9, 4, "q1"), (10, 5, "q1"))
        asked = query(followed_likes=likes, history=history([7]), hidden=np.array([8], np.int32))
        assert self.make().retrieve(asked, 5).video.tolist() == [9, 10]

    def test_the_world_tells_a_request_what_followed_people_like(self) -> None:
        world = small_world([
            happened("follow", None, time=NOW_MS - 9, props={"author_id": "a1"}),
            happened("like", 4, "a1", NOW_MS - 5),
        ])  # fmt: skip
        asked = world.query("p1", now_ms=NOW_MS, seed=1, request_id="r")
        assert Social.from_world(world).retrieve(asked, 5).video.tolist() == [4]


rows = st.lists(st.integers(0, 39), max_size=45).map(lambda row: np.array(row, np.int32))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
    rows,
    rows,
    rows,
    st.integers(0, 45),
    st.integers(1, 50),
)
def test_the_kept_list_gives_what_sorting_everything_gives(
    scores: list[int], past: np.ndarray, seen: np.ndarray, hidden: np.ndarray, k: int, kept: int
) -> None:
    videos = small_columns()
    asked = query(history=history(past.tolist()), seen=seen, hidden=hidden)
    excluded = set(not_again(asked, videos).tolist())
    servable = [row for row in range(40) if videos.visible[row] and row not in excluded]
    expected = sorted(servable, key=lambda row: (-scores[row], -videos.published_ms[row], row))[:k]
    score = np.array(scores, np.float32)
    of = Ranking(videos)
    found = of.serve(asked, k, of._best(score, kept), lambda: score)
    assert found.video.tolist() == expected
    assert k == 0 or found["score"].tolist() == [scores[row] for row in expected]


def test_a_whole_list_is_kept_for_catalogues_of_its_length() -> None:
    assert ranking.KEPT >= 1500 + 500  # the longest cursor and the longest page of candidates


def test_who_has_seen_everything_gets_the_oldest_again() -> None:
    asked = query(history=history(list(range(39))))
    assert sorted(not_again(asked, small_columns()).tolist()) == list(range(20, 39))


def test_what_this_cursor_served_is_never_given_again_however_small_the_catalogue() -> None:
    asked = query(seen=np.arange(39, dtype=np.int32))
    assert len(Trending.from_world(small_world()).retrieve(asked, 5)) == 0


def test_merging_keeps_all_names_and_a_sources_own_columns() -> None:
    own = {"score": np.ones(1, np.float32), "one:because": np.array([7], np.int32), "two:x": np.zeros(1)}
    merged = Candidates.merge([
        ("one", Candidates(np.array([4], np.int32), own)),
        ("none", Candidates.empty()),
        ("two", Candidates(np.array([4, 5], np.int32), {"score": np.array([3, 2], np.float32)})),
    ])  # fmt: skip
    assert merged.video.tolist() == [4, 5]
    assert merged["sources"].tolist() == [0b101, 0b100]
    assert merged["one:because"].tolist() == [7, -1]
    assert set(merged.columns) == {"sources", "source:one", "source:two", "one:because"}
