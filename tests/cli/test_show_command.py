"""``zhiliu show`` tells the numbers that the log and the artifact hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command_answer import Zhiliu

from zhiliu.artifact import Artifact, open_artifact, versions
from zhiliu.settings import FeedSettings
from zhiliu.store import open_store
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.types import HEADS, Decision, DecisionItem, Event, EventType, Reason

LOG = synthetic_log(impressions=1000)
NEWEST_MS = max(event.time for event in LOG.events)
MIDDLE_MS = START_MS + 3 * 86_400_000
MIDDLE = datetime.fromtimestamp(MIDDLE_MS / 1000, UTC).isoformat()
PERSON = "p3"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic log, and every model of it."""
    folder = tmp_path_factory.mktemp("trained")
    with open_store(f"sqlite:///{folder / 'zhiliu.db'}") as store:
        store.catalog.put(LOG.videos)
        store.people.put(LOG.people)
        store.events.append(LOG.events)
    order = [sys.executable, "-m", "zhiliu", "train", "--workspace", str(folder), "--epochs", "1"]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def workspace(trained: Path) -> Path:
    return trained


@pytest.fixture
def artifact(trained: Path) -> Artifact:
    return open_artifact(versions(trained / "artifacts")[0])


def events_of(person: str, kind: EventType, before_ms: int = NEWEST_MS + 1) -> list[Event]:
    """Of the log, newest first."""
    found = [e for e in LOG.events if e.person_id == person and e.type is kind and e.time < before_ms]
    return sorted(found, key=lambda event: -event.time)


def test_a_person_is_shown_with_the_watches_and_likes_of_the_log(zhiliu: Zhiliu) -> None:
    shown = zhiliu("show", "person", PERSON, "--top", 1000, "--json").json
    assert shown["at_ms"] == NEWEST_MS + 60_000
    assert "newest event" in shown["clock"]
    behaviour = shown["behaviour"]
    views = {(e.video_id, e.request_id): e for e in events_of(PERSON, EventType.VIEW)}
    impressions = events_of(PERSON, EventType.IMPRESSION)
    assert [one["time_ms"] for one in behaviour["recent"]] == [e.time for e in impressions]
    duration = {video.video_id: video.duration_ms for video in LOG.videos}
    for one, impression in zip(behaviour["recent"], impressions, strict=True):
        view = views.get((impression.video_id, impression.request_id))
        ratio = None if view is None else (view.watch_ms or 0) / duration[one["video_id"]]
        assert one["watch_ratio"] == (None if ratio is None else pytest.approx(ratio, abs=1e-3))
    liked = [(e.video_id, e.time) for e in events_of(PERSON, EventType.LIKE)]
    assert [(one["video_id"], one["time_ms"]) for one in behaviour["likes"]] == liked
    assert len(behaviour["shares"]) == len(events_of(PERSON, EventType.SHARE_CREATE))
    assert behaviour["activity"]["counts"]["all"]["impression"] == len(impressions)


def test_a_persons_own_topic_comes_first_and_affinities_share_one_whole(zhiliu: Zhiliu) -> None:
    topics = zhiliu("show", "person", PERSON, "--json").json["behaviour"]["topics"]
    assert topics[0]["topic"] == "t3"
    assert topics[0]["lift"] > 0 > topics[-1]["lift"]
    assert sum(one["affinity"] for one in topics) == pytest.approx(1, abs=1e-3)


def test_each_profile_field_has_its_code_and_the_unknown_ones_are_named(
    zhiliu: Zhiliu, artifact: Artifact
) -> None:
    told = zhiliu("show", "person", PERSON, "--json").json["profile"]
    codes = artifact.json("ranker")["profile"]
    fields = {one["field"]: one for one in told["fields"]}
    assert fields["activity"]["code"] == codes["activity"]["low"]
    assert fields["gender"]["code"] is None
    assert {"age_band", "gender", "occupation", "language"} <= set(told["unknown"])
    assert told["counts"]["follow_count"] == 3
    assert told["numeric"]["follow_count"] == pytest.approx(np.log1p(3))


def test_nothing_later_than_the_asked_moment_is_shown(zhiliu: Zhiliu) -> None:
    shown = zhiliu("show", "person", PERSON, "--at", MIDDLE, "--top", 1000, "--json").json
    behaviour = shown["behaviour"]
    expected = len(events_of(PERSON, EventType.IMPRESSION, MIDDLE_MS))
    assert len(behaviour["recent"]) == behaviour["activity"]["counts"]["all"]["impression"] == expected
    assert all(one["time_ms"] < MIDDLE_MS for one in behaviour["recent"] + behaviour["likes"])
    assert any("learned from later" in note for note in shown["notes"])


def test_the_likes_of_followed_people_are_shown_newest_first(zhiliu: Zhiliu, trained: Path) -> None:
    with open_store(f"sqlite:///{trained / 'zhiliu.db'}") as store:
        follow = {"type": EventType.FOLLOW, "video_id": "v0", "props": {"author_id": PERSON}}
        store.events.append([Event(event_id="f", time=MIDDLE_MS, person_id="listener", **follow)])
    ties = zhiliu("show", "person", "listener", "--top", 3, "--json").json["social"]
    assert ties["followed_authors"][0]["author_id"] == PERSON
    expected = [(e.video_id, e.time) for e in events_of(PERSON, EventType.LIKE)[:3]]
    assert [(one["video_id"], one["time_ms"]) for one in ties["followed_likes"]] == expected
    assert {one["person"] for one in ties["followed_likes"]} == {PERSON}


def test_a_person_nobody_knows_is_shown_as_one_without_a_past(zhiliu: Zhiliu) -> None:
    shown = zhiliu("show", "person", "nobody", "--json").json
    assert shown["behaviour"]["recent"] == shown["behaviour"]["topics"] == []
    assert not shown["profile"]["known"]
    assert any("no history" in note for note in shown["notes"])


def test_a_videos_decayed_count_is_that_of_the_log(zhiliu: Zhiliu) -> None:
    shown = zhiliu("show", "video", "v7", "--at", MIDDLE, "--json").json["engagement"]
    times = {e.event_id: e.time for e in LOG.events if e.type is EventType.IMPRESSION and e.time < MIDDLE_MS}
    own = [e.time for e in LOG.events if e.video_id == "v7" and e.event_id in times]
    for key, counted in (("all", times.values()), ("video", own)):
        expected = sum(0.5 ** ((MIDDLE_MS - time) / (14 * 86_400_000)) for time in counted)
        assert shown["counts"][key]["shown"] == pytest.approx(expected, abs=1e-3)
    assert list(shown["rates"]["long_view"]) == ["bucket", "tag", "author", "video"]
    assert set(shown["rates"]) == {*HEADS, "ratio"}


def test_a_video_is_shown_with_its_words_and_the_vector_that_was_trained(zhiliu: Zhiliu) -> None:
    shown = zhiliu("show", "video", "v7", "--json").json
    video, told, words = LOG.videos[7], shown["metadata"], shown["text"]
    assert told["author"]["author_id"] == video.author_id
    assert told["duration_bucket"]["from_s"] <= video.duration_ms / 1000 < told["duration_bucket"]["to_s"]
    assert [tag["tag"] for tag in told["tags"]] == ["t1"]
    weights = [one["weight"] for one in words["terms"]]
    assert weights == sorted(weights, reverse=True)
    assert "#t1" in {one["term"] for one in words["terms"]}
    assert words["norm"] == pytest.approx(1, abs=1e-5)
    assert words["cosine_with_trained"] == pytest.approx(1, abs=1e-4)


def test_an_unknown_video_gets_one_clear_line(zhiliu: Zhiliu) -> None:
    for order in (("video", "v777"), ("similarity", "--video", "v777")):
        done = zhiliu("show", *order)
        assert (done.code, done.out) == (1, "")
        assert done.error == "zhiliu: no video 'v777' among the 60 of this workspace"


def scores_of(items: list[Mapping[str, Any]]) -> list[float]:
    return [one["score"] for one in items]


@pytest.mark.parametrize("metric", ["dot", "cosine"])
def test_the_videos_nearest_to_one_are_those_of_its_vectors(
    metric: str, zhiliu: Zhiliu, artifact: Artifact
) -> None:
    order = ("show", "similarity", "--video", "v7", "--metric", metric, "--top", 59, "--json")
    items = zhiliu(*order).json["items"]
    ids = artifact.json("video_ids")
    vectors = np.asarray(artifact.array("als_video")[:, :-1])
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = dict(zip(ids, vectors @ vectors[ids.index("v7")], strict=True))
    del expected["v7"]
    assert {one["video_id"]: one["score"] for one in items} == pytest.approx(expected, abs=1e-4)
    assert scores_of(items) == sorted(scores_of(items), reverse=True)


def test_similar_shows_the_trained_neighbour_list(zhiliu: Zhiliu, artifact: Artifact) -> None:
    shown = zhiliu("show", "similarity", "--video", "v7", "--model", "similar", "--top", 5, "--json").json
    ids = artifact.json("video_ids")
    near = artifact.array("similar_ids")[ids.index("v7")][:5]
    assert [one["video_id"] for one in shown["items"]] == [ids[i] for i in near if i >= 0]


@pytest.mark.parametrize("model", ["als", "two_tower", "text"])
def test_many_people_get_the_same_nearest_videos_as_one(model: str, zhiliu: Zhiliu, tmp_path: Path) -> None:
    people, out = tmp_path / "people.txt", tmp_path / "near.parquet"
    people.write_text("p1\np2\n\np3\np3\n")
    order = ("--model", model, "--metric", "dot", "--top", 4, "--json")
    shown = zhiliu("show", "similarity", "--people", people, "--out", out, *order).json
    assert (shown["people"], shown["placed"], shown["rows"]) == (3, 3, 12)
    written = pl.read_parquet(out)
    one = zhiliu("show", "similarity", "--person", "p3", *order).json["items"]
    rows = written.filter(pl.col("person_id") == "p3").sort("rank")
    assert rows["video_id"].to_list() == [item["video_id"] for item in one]
    assert rows["score"].to_list() == pytest.approx(scores_of(one), abs=1e-4)


def test_people_a_model_knows_nothing_of_are_counted_not_invented(zhiliu: Zhiliu, tmp_path: Path) -> None:
    people, out = tmp_path / "people.csv", tmp_path / "near.parquet"
    people.write_text("name,person_id\nA,p1\nB,nobody\n")
    shown = zhiliu("show", "similarity", "--people", people, "--out", out, "--json").json
    assert (shown["people"], shown["placed"]) == (2, 1)
    assert pl.read_parquet(out)["person_id"].unique().to_list() == ["p1"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "no file"),
        ("empty.txt", b"\n \n", "names nobody"),
        ("other.csv", b"user\n1\n", "person_id"),
        ("half.parquet", b"PAR1xx", "cannot be read"),
    ],
)
def test_a_wrong_file_of_people_gets_one_clear_line_and_writes_nothing(
    name: str, content: bytes | None, said: str, zhiliu: Zhiliu, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = zhiliu("show", "similarity", "--people", tmp_path / name, "--out", tmp_path / "o.parquet")
    assert done.code == 1
    assert said in done.error
    assert {path.name for path in tmp_path.iterdir()} == ({name} if content is not None else set())


def test_what_the_heads_add_sums_up_to_the_score_of_each_slot(zhiliu: Zhiliu, artifact: Artifact) -> None:
    shown = zhiliu("show", "ranking", "--person", PERSON, "--top", 5, "--json").json
    assert shown["served_by"] == artifact.version
    assert len(shown["items"]) == 5
    weights = FeedSettings().weights
    for item in shown["items"]:
        assert set(item["heads"]) == set(HEADS)
        assert all(0 < p < 1 for p in item["heads"].values())
        heads = item["heads"] | {"watch_ms": item["expected_watch_ms"]}
        for head, added in item["contributions"].items():
            assert added == pytest.approx(weights[head] * heads[head])
        assert sum(item["contributions"].values()) == pytest.approx(item["score"], abs=1e-5)
        assert item["sources"]
        assert item["reasons"]
    assert shown["attribution"]["video_id"] == shown["items"][0]["video_id"]
    assert any(shown["attribution"]["log_odds"].values())


def test_the_same_ranking_twice_is_the_same(zhiliu: Zhiliu) -> None:
    order = ("show", "ranking", "--person", PERSON, "--top", 3, "--json")
    assert zhiliu(*order).json == zhiliu(*order).json


def decision(request_id: str, model: str, **more: Any) -> Decision:
    item = DecisionItem(
        slot=0, video_id="v5", score=0.75, propensity=1.0, sources=("als",),
        heads={"long_view": 0.4, "hide": 0.00625}, reasons=(Reason("for_you", "为你推荐"),),
    )  # fmt: skip
    return Decision(
        request_id=request_id, person=PERSON, time_ms=MIDDLE_MS, surface="for_you",
        model=model, candidate_hash="h", candidate_count=9, seed=1, items=(item,), **{"policy": "greedy"} | more,
    )  # fmt: skip


def test_a_replay_is_what_was_served_at_that_moment(
    zhiliu: Zhiliu, trained: Path, artifact: Artifact
) -> None:
    with open_store(f"sqlite:///{trained / 'zhiliu.db'}") as store:
        store.decisions.append([decision("mine", artifact.version), decision("old", "another")])
        other_weights = {"weights": {"long_view": 10.0}, "policy": "greedy:01234567"}
        store.decisions.append([decision("weighed", artifact.version, **other_weights)])
    shown = zhiliu("show", "ranking", "--replay", "weighed", "--json").json
    assert shown["items"][0]["contributions"] == pytest.approx({"long_view": 4.0})
    assert shown["weights_logged"]
    shown = zhiliu("show", "ranking", "--replay", "mine", "--json").json
    assert not shown["weights_logged"]
    assert any("today's weights" in note for note in shown["notes"])
    assert (shown["replay"], shown["person"], shown["at_ms"]) == (True, PERSON, MIDDLE_MS)
    [item] = shown["items"]
    assert (item["video_id"], item["score"], item["sources"]) == ("v5", 0.75, ["als"])
    assert item["contributions"] == pytest.approx({"long_view": 0.8, "hide": -0.05})
    assert shown["attribution"]["log_odds"]
    other = zhiliu("show", "ranking", "--replay", "old", "--json").json
    assert other["attribution"] is None
    assert any("another" in note for note in other["notes"])
    gone = zhiliu("show", "ranking", "--replay", "none")
    assert (gone.code, "no decision 'none'" in gone.error) == (1, True)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("person", PERSON), ["基本画像", "recent watches", "followed creators"]),
        (("video", "v7"), ["元数据", "TF-IDF", "smoothed rates"]),
        (("similarity", "--person", PERSON), ["最相近的视频", "als, dot"]),
        (("ranking", "--person", PERSON), ["found by 来源", "概率", "what moved long_view"]),
    ],
)
def test_people_read_it_in_both_languages(order: tuple[str, ...], said: list[str], zhiliu: Zhiliu) -> None:
    done = zhiliu("show", *order)
    assert done.code == 0, done.err
    assert "最新事件后一分钟" in done.out
    assert [words for words in said if words not in done.out] == []


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("person", PERSON, "--at", "yesterday"), "is not an ISO time"),
        (("person", PERSON, "--at", "2022-05-01"), "has no offset"),
        (("similarity",), "one of --person, --video, --people"),
        (("similarity", "--person", "p1", "--video", "v1"), "one of --person, --video, --people"),
        (("similarity", "--people", "x.txt"), "needs --out"),
        (("ranking",), "one of --person, --replay"),
        (("ranking", "--replay", "r", "--at", MIDDLE), "leave --at out"),
    ],
)
def test_a_wrong_use_is_named(order: tuple[str, ...], said: str, zhiliu: Zhiliu) -> None:
    done = zhiliu("show", *order)
    assert done.code == 2
    assert said in done.err


class TestWithoutAModel:
    """What can be shown before anything was trained."""

    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Path:
        with open_store(f"sqlite:///{tmp_path / 'zhiliu.db'}") as store:
            store.catalog.put(LOG.videos)
            store.events.append(LOG.events[:600])
        return tmp_path

    @pytest.mark.parametrize("order", [("person", PERSON), ("video", "v7"), ("ranking", "--person", PERSON)])
    def test_it_says_what_is_missing_and_shows_the_rest(self, order: tuple[str, ...], zhiliu: Zhiliu) -> None:
        shown = zhiliu("show", *order, "--json").json
        assert shown["model"] is None
        assert "zhiliu train" in shown["notes"][0]
        assert shown.get("behaviour") or shown.get("engagement") or shown["ranker"] == "popularity"

    def test_similarity_has_nothing_to_show(self, zhiliu: Zhiliu) -> None:
        done = zhiliu("show", "similarity", "--person", PERSON)
        assert done.code == 1
        assert "zhiliu train" in done.error
