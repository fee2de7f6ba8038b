"""The judge of retrieval: its rule, its figures, and that it finds a planted pattern."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.retrieval_fixtures import leaning_log
from tests.train_fixtures import snapshot_of

from zhiliu.artifact import Artifact, new_artifact
from zhiliu.evaluate.metrics import bootstrap_people
from zhiliu.evaluate.metrics_retrieval import coverage, mean_over_people, recall
from zhiliu.evaluate.retrieval import (
    Fixed,
    Future,
    Random,
    TrainedWorld,
    evaluate_retrieval,
    future_of,
    judge,
    queries,
    trained_sources,
)
from zhiliu.sources.placement import Placement
from zhiliu.testing.synthetic import START_MS
from zhiliu.train.als import Als, AlsConfig
from zhiliu.train.log import TrainingLog
from zhiliu.train.popularity import Popularity

CUT_MS = START_MS + 4 * 86_400_000


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = leaning_log(people=300, videos=1200, impressions=40_000)
    return snapshot_of(log, tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def log(snapshot: Path) -> TrainingLog:
    return TrainingLog.load(snapshot, until_ms=CUT_MS)


@pytest.fixture(scope="module")
def artifact(snapshot: Path, log: TrainingLog, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with new_artifact(tmp_path_factory.mktemp("artifacts"), created_ms=CUT_MS) as writer:
        writer.json("video_ids", log.videos.ids)
        for recipe in (Popularity(log=log), Als(AlsConfig(factors=8, regularization=10.0), log)):
            recipe.fit(snapshot, writer.path, until_ms=CUT_MS, seed=0, device="cpu")
    assert writer.artifact is not None
    return writer.artifact


def test_recall_counts_positives_in_the_first_k():
    assert recall(np.array([4, 2, 9], np.int32), np.array([9, 2, 7, 1], np.int32), 2) == 0.25
    assert recall(np.array([4, 2, 9], np.int32), np.array([9, 2, 7, 1], np.int32), 3) == 0.5
    assert recall(np.zeros(0, np.int32), np.array([1], np.int32), 5) == 0.0
    with pytest.raises(ValueError, match="left out"):
        recall(np.array([1], np.int32), np.zeros(0, np.int32), 1)


def test_coverage_counts_each_video_once():
    lists = [np.array([1, 2, 3], np.int32), np.array([2, 1], np.int32)]
    assert coverage(lists, 2, 10) == 0.2
    assert coverage(lists, 3, 10) == 0.3
    assert coverage([], 3, 10) == 0.0


def test_the_interval_of_a_mean_holds_the_mean_and_narrows_with_people():
    rng = np.random.default_rng(0)
    wide, narrow = (
        mean_over_people(rng.random(n), bootstrap_people(np.arange(n), 200, 0)) for n in (30, 3000)
    )
    for found in (wide, narrow):
        assert found.low < found.value < found.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4


def test_positives_are_new_long_views_after_the_cut_and_the_seen_are_counted_out(snapshot, log):
    future = future_of(snapshot, log, CUT_MS, None, 0)
    whole = TrainingLog.load(snapshot).frame
    for name, wanted in zip(future.people, future.positives, strict=True):
        mine = whole.filter(whole["person"] == name)
        late = mine.filter((mine["time_ms"] >= CUT_MS) & (mine["long_view"] == 1))["video_row"]
        early = mine.filter(mine["time_ms"] < CUT_MS)["video_row"]
        assert set(wanted.tolist()) == set(late.to_list()) - set(early.to_list())
    assert future.excluded > 0


def test_a_query_carries_nothing_from_after_the_cut(snapshot, log):
    for query in queries(future_of(snapshot, log, CUT_MS, 20, 0), log, CUT_MS, 0):
        assert query.now_ms == CUT_MS
        assert (query.history.time_ms < CUT_MS).all()
        assert set(query.history.video.tolist()) <= set(query.seen.tolist())


def test_als_beats_popularity_and_popularity_is_no_worse_than_chance(snapshot, log, artifact):
    world = TrainedWorld.of(log.videos, artifact)
    report = evaluate_retrieval(
        snapshot, log, trained_sources(world), cut_ms=CUT_MS, quotas={"als": 300, "popularity": 50}
    )
    at = {name: cuts[100] for name, cuts in report.sources.items()}
    assert set(at) == {"als", "popularity", "random", "merged"}
    assert at["als"].against_popularity.low > 0
    assert abs(at["random"].recall.value - 100 / 1200) < 0.03
    assert at["popularity"].against_popularity.value == 0
    assert at["random"].coverage == 1.0
    assert at["als"].hit_rate.value >= at["als"].recall.value
    said = json.loads(json.dumps(report.as_dict()))
    assert said["people"] == report.people == len(set(future_of(snapshot, log, CUT_MS, None, 0).people))
    assert set(said["sources"]["als"]) == {"@100", "@500"}
    assert {len(line) for line in report.lines()} == {7}


def test_the_same_seed_draws_the_same_people_and_the_same_figures(snapshot, log):
    sources = [
        Random(Placement.same(1200)),
        Fixed("popularity", np.arange(1200, dtype=np.float32), Placement.same(1200)),
    ]
    first, again = (
        evaluate_retrieval(snapshot, log, sources, cut_ms=CUT_MS, limit=15, seed=3).as_dict()
        for _ in range(2)
    )
    assert first == again
    assert first["people"] == 15


def test_a_person_who_is_new_after_the_cut_is_judged_with_an_empty_past(snapshot, log):
    future = Future(["new"], np.array([-1], np.int32), [np.array([5], np.int32)], 0)
    (query,) = queries(future, log, CUT_MS, 0)
    assert len(query.history) == len(query.seen) == 0
    found = Fixed("popularity", np.arange(1200, dtype=np.float32), Placement.same(1200)).retrieve(query, 3)
    report = judge({"popularity": [found.video]}, future, 1200, 0)
    assert report.sources["popularity"][100].recall.value == 0.0


def test_a_cut_after_everything_and_a_log_beyond_the_cut_are_refused(snapshot, log):
    with pytest.raises(ValueError, match="move the cut back"):
        evaluate_retrieval(snapshot, log, [], cut_ms=START_MS + 400 * 86_400_000)
    with pytest.raises(ValueError, match="beyond the cut"):
        evaluate_retrieval(snapshot, log, [], cut_ms=START_MS)
