"""Reasons: contract, and that each is told only where its evidence is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zhiliu.artifact import new_artifact
from zhiliu.explain.reasons import Reasons
from zhiliu.explain.texts import TEXTS, language_of
from zhiliu.testing.component_contracts import NOW_MS, ExplainerContract, history, query
from zhiliu.testing.small_world import small_world
from zhiliu.types import Candidates, Likes, Person, Query, Reason


def found(rows: list[int], **sources: list[float]) -> Candidates:
    """Candidates with the score each source gave; nan: it did not find them."""
    columns = {f"source:{name}": np.array(scores, np.float32) for name, scores in sources.items()}
    return Candidates(np.array(rows, np.int32), columns)


def codes(told: tuple[tuple[Reason, ...], ...]) -> list[list[str]]:
    return [[reason.code for reason in reasons] for reasons in told]


NAN = float("nan")


class TestReasons(ExplainerContract):
    def make(self) -> Reasons:
        return Reasons(small_world())

    def test_trending_and_popular_need_heat_and_counts_else_it_is_just_new(self) -> None:
        items = found([1, 2, 3, 4], trending=[2, 0, NAN, 1], popularity=[NAN, NAN, 3, 1])
        assert codes(self.make().reasons(query(), items)) == [
            ["trending"],
            ["new"],
            ["popular"],
            ["trending", "popular"],
        ]

    def test_following_names_the_author_and_only_one_who_is_followed(self) -> None:
        items = found([3, 4], following=[1, NAN], trending=[1, 1])
        told = self.make().reasons(query(followed=("a3", "a4"), context={"language": "en-US"}), items)
        assert told[0][0] == Reason("following", "You follow a3", ("a3",))
        assert codes(told) == [["following", "trending"], ["trending"]]

    def test_who_of_the_followed_liked_it_is_told_the_newest_first_and_only_where_social_found_it(
        self,
    ) -> None:
        likes = Likes(
            video=np.array([3, 4, 3, 3], np.int32),
            time_ms=NOW_MS - np.arange(1, 5, dtype=np.int64),
            people=("q2", "q1", "q1", "q2"),
        )
        items = found([3, 4], social=[1, NAN], trending=[NAN, 1])
        told = self.make().reasons(query(followed_likes=likes, context={"language": "en"}), items)
        assert told[0] == (Reason("followed_liked", "Liked by people you follow", ("q2", "q1")),)
        assert codes(told)[1] == ["trending"]

    def test_similar_to_names_the_watched_video_that_brought_it(self) -> None:
        items = found([3, 4], similar=[0.9, NAN]).with_columns(
            {"similar:because": np.array([7, -1], np.int32)}
        )
        told = self.make().reasons(query(history=history([7])), items)
        assert told[0] == (Reason("similar_to", "因为你看过《Title 7》", ("v7",)),)
        assert "similar_to" not in codes(told)[1]

    def test_a_video_without_a_title_is_told_without_one(self) -> None:
        world = small_world()
        untitled = type(world).of(world.settings, world.videos, world.live)
        items = found([3], similar=[0.9]).with_columns({"similar:because": np.array([7], np.int32)})
        told = Reasons(untitled).reasons(query(context={"language": "en"}), items)
        assert told[0] == (Reason("similar_to", "Similar to a video you watched", ("v7",)),)

    def test_a_topic_is_told_with_its_share_of_what_was_watched_long(self) -> None:
        past = history([0, 7, 14, 1])  # first topics t0 t0 t0 t1, second u0 u1 u2 u1
        told = self.make().reasons(query(history=past), found([21], als=[1.0]))
        assert told[0][0] == Reason("topic", "你最近看得久的视频里，75% 讲“t0”", ("t0",))

    def test_a_topic_seen_but_not_watched_long_is_no_reason(self) -> None:
        past = history([0, 7, 14, 1], long_view=False)
        assert codes(self.make().reasons(query(history=past), found([21], als=[1.0]))) == [["for_you"]]

    def test_a_topic_is_no_reason_where_nothing_personal_placed_the_video(self, tmp_path: Path) -> None:
        asked, items = query(history=history([0, 7, 14])), found([21], trending=[1.0])
        assert codes(self.make().reasons(asked, items)) == [["trending"]]
        with new_artifact(tmp_path, created_ms=NOW_MS) as writer:
            writer.json("video_ids", ["v0"])
        trained = Reasons(small_world(artifact=writer.artifact))
        assert codes(trained.reasons(asked, items)) == [["topic", "trending"]]

    def test_what_a_plug_in_found_is_told_as_picked_for_you(self) -> None:
        assert codes(self.make().reasons(query(), found([1], my_plug_in=[1.0]))) == [["for_you"]]

    def test_at_most_two_reasons_the_most_personal_first(self) -> None:
        items = found([3], following=[1], similar=[1], als=[1], trending=[1], popularity=[1]).with_columns(
            {"similar:because": np.array([10], np.int32)}
        )
        told = self.make().reasons(query(history=history([3, 10, 17]), followed=("a3",)), items)
        assert codes(told) == [["following", "similar_to"]]


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (query(), "zh"),
        (query(context={"language": "en"}), "en"),
        (query(context={"language": "EN_gb"}), "en"),
        (query(context={"language": "fr"}), "zh"),
        (query(context={"language": ""}, profile=Person(person_id="p", language="en")), "en"),
        (query(context={"language": "zh"}, profile=Person(person_id="p", language="en")), "zh"),
        (query(context={"language": 7}), "zh"),
    ],
)
def test_the_language_is_that_of_the_request_then_of_the_profile_then_chinese(
    asked: Query, language: str
) -> None:
    assert language_of(asked) == language


def test_every_text_is_there_in_both_languages_with_the_same_places_to_fill() -> None:
    for texts in TEXTS.values():
        assert set(texts) == {"zh", "en"}
        fillings = {"author": "A", "title": "T", "topic": "C", "share": 50}
        for name, value in fillings.items():
            used = {("{" + name + "}") in text for text in texts.values()}
            assert len(used) == 1, (name, value, texts)
