"""The plug-ins of examples/: each keeps its contract, and together they make a feed."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.train_fixtures import snapshot_of

from zhiliu.artifact import new_artifact
from zhiliu.live.world import World
from zhiliu.testing.component_contracts import (
    NOW_MS,
    ExplainerContract,
    HydratorContract,
    ObjectiveContract,
    RankerContract,
    RerankerContract,
    SourceContract,
    history,
    query,
)
from zhiliu.testing.small_world import happened, small_columns, small_world
from zhiliu.testing.synthetic import SyntheticLog
from zhiliu.types import Candidates, Event, EventType, Query, Video

FOLDER = Path(__file__).parents[2] / "examples"


def example(file: str) -> Any:
    """The module of an example, as an installed package would give it."""
    module = ModuleType(file)
    vars(module).update(runpy.run_path(str(FOLDER / f"{file}.py"), run_name=file))
    return module


unfamiliar = example("unfamiliar_source")
hydrators = example("hydrators")
topics = example("topic_ranker")
odds = example("odds_objective")
turns = example("topic_turns_reranker")
names = example("source_names_explainer")
ratings = example("ratings_importer")
authors = example("author_recipe")


class TestUnfamiliar(SourceContract):
    def make(self) -> Any:
        return unfamiliar.Unfamiliar.from_world(small_world())

    def query(self) -> Query:
        return query(history=history([0, 1]))

    def test_topics_that_were_shown_are_not_found(self) -> None:
        found = self.make().retrieve(self.query(), 50)
        first = small_columns().tag[found.video, 0]
        assert not set(first.tolist()) & set(small_columns().tag[[0, 1], 0].tolist())
        assert len(set(first.tolist())) == len(first) == 5


class TestAge(HydratorContract):
    def make(self) -> Any:
        return hydrators.Age.from_world(small_world())

    def test_days_since_publication_and_none_in_the_future(self) -> None:
        given = Candidates(np.array([0, 3], np.int32))
        assert self.make().hydrate(query(), given)["age_days"].tolist() == [1.0, 4.0]
        assert self.make().hydrate(query(now_ms=0), given)["age_days"].tolist() == [0.0, 0.0]


class TestTimesShown(HydratorContract):
    def make(self) -> Any:
        seen = [happened("impression", 3, f"w{i}", NOW_MS - 1) for i in range(4)]
        return hydrators.TimesShown.from_world(small_world(seen))

    def test_impressions_are_counted(self) -> None:
        given = Candidates(np.array([0, 3], np.int32))
        assert self.make().hydrate(query(), given)["times_shown"].tolist() == pytest.approx([0, 4])


class TestTopicRanker(RankerContract):
    def make(self) -> Any:
        return topics.TopicRanker.from_world(small_world())

    def query(self) -> Query:
        return query(history=history([0, 7, 14]))

    def test_the_topic_watched_long_is_above_one_never_shown(self) -> None:
        heads = self.make().predict(self.query(), Candidates(np.array([21, 1], np.int32)))
        assert heads["long_view"][0] > heads["long_view"][1] == pytest.approx(0.33)

    def test_what_becomes_known_later_does_not_count(self) -> None:
        later = query(history=history([0, 7, 14]), now_ms=NOW_MS - 10 * 60_000)
        heads = self.make().predict(later, Candidates(np.array([21], np.int32)))
        assert heads["long_view"][0] < 0.33


class TestWatchedNotHidden(ObjectiveContract):
    def make(self) -> Any:
        return odds.WatchedNotHidden()


class TestTopicTurns(RerankerContract):
    def make(self) -> Any:
        return turns.TopicTurns(small_columns(60))

    def test_every_topic_comes_once_before_any_comes_twice(self) -> None:
        rows = self.make().arrange(query(), self.candidates(60), 14)
        given = small_columns(60).tag[self.candidates(60).video[rows], 0].tolist()
        assert len(set(given[:7])) == len(set(given[7:])) == 7


class TestSourceNames(ExplainerContract):
    def make(self) -> Any:
        return names.SourceNames()


def trained_world(folder: Path) -> World:
    """Author a1 is liked by everybody who sees a video of his, a0 by nobody."""
    videos = [
        Video(video_id=f"v{i}", author_id=f"a{i % 2}", published_ms=NOW_MS - 86_400_000) for i in range(8)
    ]
    events: list[Event] = []
    for i in range(200):
        events.append(happened("impression", i % 8, f"w{i}", NOW_MS - 1000))
        if i % 2:
            events.append(happened("like", i % 8, f"w{i}", NOW_MS - 1000))
        else:
            events.append(happened("like", i % 8, f"w{i}", NOW_MS + 1000))  # after the cut
    snapshot = snapshot_of(SyntheticLog(videos=videos, people=[], events=events), folder)
    with new_artifact(folder / "artifacts", created_ms=NOW_MS) as writer:
        writer.json("video_ids", [video.video_id for video in videos])
        told = authors.Authors().fit(snapshot, writer.path, until_ms=NOW_MS, seed=0)
        assert told == {"authors": 2}
    return small_world(artifact=writer.artifact)


class TestBestAuthors(SourceContract):
    @pytest.fixture(autouse=True)
    def trained(self, tmp_path: Path) -> None:
        self.world = trained_world(tmp_path)

    def make(self) -> Any:
        return authors.BestAuthors.from_world(self.world)

    def test_the_liked_author_comes_first_and_likes_after_the_cut_are_unknown(self) -> None:
        found = self.make().retrieve(query(), 8)
        assert found.video.tolist() == [1, 3, 5, 7, 0, 2, 4, 6]
        assert found["score"][0] > 0.5 > 0.02 > found["score"][4]


def test_the_importers_lines_are_taken_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::5::978300760\n1::11::2::978302109\n", "utf-8")
    zhiliu = [sys.executable, "-m", "zhiliu", "--workspace", str(tmp_path / "w")]
    lines = subprocess.run(
        [sys.executable, str(FOLDER / "ratings_importer.py"), str(tmp_path / "ratings.dat")],
        capture_output=True,
        check=True,
    ).stdout
    (tmp_path / "events.jsonl").write_bytes(lines)
    (tmp_path / "again.jsonl").write_bytes(lines)
    for file, told in (("events", (3, 0, 0)), ("again", (0, 3, 0))):
        done = subprocess.run(
            [*zhiliu, "--json", "import", "jsonl", str(tmp_path / f"{file}.jsonl"), "--create-videos"],
            capture_output=True,
            check=True,
            text=True,
        )
        result = ratings.msgspec.json.decode(done.stdout)
        assert (result["accepted"], result["duplicates"], result["rejected"]) == told


def test_a_line_the_importer_cannot_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::5::978300760\n1,11,2\n", "utf-8")
    with pytest.raises(ValueError, match=r"ratings.dat:2: '1,11,2' is not person::video::stars::seconds"):
        list(ratings.events(tmp_path / "ratings.dat"))


def test_the_importer_tells_a_like_from_four_stars_on(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::4::978300760\n1::11::3::978302109\n", "utf-8")
    told = [(event.type, event.video_id) for event in ratings.events(tmp_path / "ratings.dat")]
    assert told == [(EventType.IMPRESSION, "10"), (EventType.LIKE, "10"), (EventType.IMPRESSION, "11")]
