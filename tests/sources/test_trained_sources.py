"""Sources that read an artifact, trained here on a log where each person likes one topic of six."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.retrieval_fixtures import leaning_log
from tests.train_fixtures import snapshot_of

from zhiliu.artifact import Artifact, new_artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.sources.als import AlsSource
from zhiliu.sources.placement import Placement
from zhiliu.sources.similar import SimilarSource
from zhiliu.sources.text import TextSource
from zhiliu.sources.two_tower import TwoTowerSource
from zhiliu.testing.component_contracts import NOW_MS, SourceContract, history, query
from zhiliu.testing.small_world import small_world
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.train.als import Als, AlsConfig
from zhiliu.train.log import TrainingLog
from zhiliu.train.similar import Similar
from zhiliu.train.text_vectors import TextVectors
from zhiliu.train.two_tower import TwoTower, TwoTowerConfig
from zhiliu.train.two_tower_data import Examples
from zhiliu.types import NEVER_MS, Candidates, Query, Video

UNTIL_MS = START_MS + 5 * 86_400_000
CATALOGUE = synthetic_log().videos
TWO_TOWER = TwoTowerConfig(
    width=16, history=20, batch=128, epoch_rows=4000, epochs=6, patience=3, learning_rate=1e-2
)
KINDS: list[Any] = [AlsSource, TwoTowerSource, SimilarSource, TextSource]
every_source = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(leaning_log(), tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def artifact(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    with new_artifact(tmp_path_factory.mktemp("artifacts"), created_ms=UNTIL_MS) as writer:
        writer.json("video_ids", log.videos.ids)
        als = Als(AlsConfig(factors=16, regularization=5.0), log)
        for recipe in (TextVectors(log=log), als, Similar(log=log), TwoTower(TWO_TOWER, log)):
            recipe.fit(snapshot, writer.path, until_ms=UNTIL_MS, seed=0, device="cpu")
    assert writer.artifact is not None
    return writer.artifact


def world_of(artifact: Artifact, videos: list[Video]):
    return small_world(artifact=artifact, videos=VideoColumns.build(enumerate(videos)))


def fan_of(topic: int, **changes: Any) -> Query:
    return query(history=history([topic, topic + 6, topic + 12, topic + 18]), **changes)


class TrainedSource(SourceContract):
    kind: Any

    @pytest.fixture(autouse=True)
    def trained(self, artifact: Artifact) -> None:
        self.world = world_of(artifact, CATALOGUE)

    def make(self) -> Any:
        return self.kind.from_world(self.world)

    def query(self) -> Query:
        return fan_of(2)


class TestAls(TrainedSource):
    kind = AlsSource


class TestTwoTower(TrainedSource):
    kind = TwoTowerSource


class TestSimilar(TrainedSource):
    kind = SimilarSource


class TestText(TrainedSource):
    kind = TextSource


@every_source
def test_fans_of_a_topic_get_that_topic_first(kind, artifact):
    source = kind.from_world(world_of(artifact, CATALOGUE))
    share = [np.mean(source.retrieve(fan_of(topic), 5).video % 6 == topic) for topic in range(6)]
    assert np.mean(share) > 0.5  # chance is a sixth


@every_source
def test_the_past_the_hidden_and_the_invisible_are_never_found(kind, artifact):
    asked = fan_of(3, hidden=np.array([27], np.int32))
    videos = [replace_status(video, "deleted") if video.video_id == "v33" else video for video in CATALOGUE]
    found = kind.from_world(world_of(artifact, videos)).retrieve(asked, 60).video.tolist()
    assert found
    assert not {3, 9, 15, 21, 27, 33} & set(found)


@every_source
def test_rows_are_found_by_id_when_the_catalogue_has_another_order(kind, artifact):
    plain = world_of(artifact, CATALOGUE)
    turned = world_of(artifact, CATALOGUE[::-1])
    asked = fan_of(1)
    last = len(CATALOGUE) - 1
    mirrored = replace(asked, history=replace(asked.history, video=last - asked.history.video))
    found, other = kind.from_world(plain).retrieve(asked, 10), kind.from_world(turned).retrieve(mirrored, 10)
    np.testing.assert_allclose(found["score"], other["score"], rtol=1e-4, atol=1e-5)
    assert sorted(found["score"].tolist(), reverse=True) == found["score"].tolist()
    overlap = set(found.video.tolist()) & set((last - other.video).tolist())
    assert len(overlap) >= 9  # equal scores may stand in another order


@every_source
def test_videos_newer_than_the_artifact_neither_break_a_past_nor_get_trained_scores(kind, artifact):
    newer = [*CATALOGUE, Video(video_id="new", author_id="a0", tags=("t2",))]
    source = kind.from_world(world_of(artifact, newer))
    asked = query(history=history([2, 8, 60, 999]))
    assert set(source.retrieve(asked, 70).video.tolist()) <= set(range(60)) - {2, 8}


def test_text_finds_a_video_that_is_newer_than_the_artifact(artifact):
    newer = [*CATALOGUE, Video(video_id="new", author_id="x", tags=("t2",), language="zh")]
    source = TextSource.from_world(world_of(artifact, newer))
    assert 60 in source.retrieve(fan_of(2), 15).video.tolist()


@every_source
def test_what_becomes_known_after_now_changes_nothing(kind, artifact):
    source = kind.from_world(world_of(artifact, CATALOGUE))
    shown_only = history([4, 10, 16], long_view=False)
    later = replace(shown_only, label_ms=np.where(shown_only.label_ms == NEVER_MS, NOW_MS + 1, NOW_MS))
    first = source.retrieve(query(history=shown_only), 10)
    second = source.retrieve(query(history=later), 10)
    assert first.video.tolist() == second.video.tolist()


def test_similar_says_which_liked_video_it_came_from(artifact):
    source = SimilarSource.from_world(world_of(artifact, CATALOGUE))
    liked_then_shown = history([5, 11, 0])
    label_ms = liked_then_shown.label_ms.copy()
    label_ms[2] = NEVER_MS  # 0 was only shown
    found = source.retrieve(query(history=replace(liked_then_shown, label_ms=label_ms)), 30)
    because = found["similar:because"]
    assert because.dtype == np.int32
    assert set(because.tolist()) <= {5, 11, -1}
    assert {5, 11} & set(because.tolist())
    best = int(found.video[0])
    near = {a: source.scores[a][source.ids[a] == best].sum() for a in (5, 11)}  # 11 is newer by a minute only
    strongest = max(near, key=lambda anchor: near[anchor])
    assert because[0] == strongest


def test_similar_equals_a_sum_over_anchors_and_lists(artifact):
    source = SimilarSource.from_world(world_of(artifact, CATALOGUE))
    asked = fan_of(0)
    slow: dict[int, float] = {}
    for row, time_ms in zip(asked.history.video.tolist(), asked.history.time_ms.tolist(), strict=True):
        weight = 3.5 * 2.0 ** (-(asked.now_ms - time_ms) / (7 * 86_400_000))  # shown .5 + long view 3
        for target, score in zip(source.ids[row].tolist(), source.scores[row].tolist(), strict=True):
            if target >= 0 and target not in asked.history.video:
                slow[target] = slow.get(target, 0.0) + weight * score
    found = source.retrieve(asked, 100)
    assert set(found.video.tolist()) == {target for target, score in slow.items() if score > 0}
    np.testing.assert_allclose(found["score"], [slow[v] for v in found.video.tolist()], rtol=1e-4)


def test_only_two_tower_has_something_for_somebody_without_a_past(artifact):
    world = world_of(artifact, CATALOGUE)
    found = {kind.name: len(kind.from_world(world).retrieve(query(), 5)) for kind in KINDS}
    assert found == {"als": 0, "two_tower": 5, "similar": 0, "text": 0}


def test_two_tower_feeds_a_request_what_training_fed_an_example(artifact, snapshot):
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    examples = Examples.of(log, None, UNTIL_MS, TWO_TOWER.history, 1e12)
    source = TwoTowerSource.from_world(world_of(artifact, CATALOGUE))
    row = int(log.start[6]) - 1
    batch = examples.batch(np.array([row]))
    before = slice(int(log.start[log.person[row]]), row)
    every = log.history
    now_ms = int(every.time_ms[row])
    past = replace(
        every, video=every.video[before], time_ms=every.time_ms[before], watch_ms=every.watch_ms[before],
        watch_known_ms=every.watch_known_ms[before], label_ms=every.label_ms[before], surface=every.surface[before],
    )  # fmt: skip
    profile = log.profiles[log.person[row]]
    served = source.inputs(query(history=past, now_ms=now_ms, profile=profile))
    mask = batch.mask.numpy()
    np.testing.assert_array_equal(served["mask"], mask)
    for name in ("kind", "gap"):
        np.testing.assert_array_equal(served[name] * mask, getattr(batch, name).numpy() * mask)
    np.testing.assert_array_equal(served["codes"], batch.codes.numpy())
    told, trained = served["numeric"][0], batch.numeric.numpy()[0]
    np.testing.assert_allclose(told[[0, 1, 2, 4]], trained[[0, 1, 2, 4]], rtol=1e-6)
    assert abs(told[3] - trained[3]) < 0.1  # days since registration are told as of the cut in training
    np.testing.assert_array_equal(
        served["past"][0], source.past[batch.unique[batch.past[0]]] * mask[0][:, None]
    )


@every_source
def test_without_an_artifact_the_error_says_what_to_do(kind):
    with pytest.raises(ValueError, match=f"source '{kind.name}' needs a trained artifact; run zhiliu train"):
        kind.from_world(small_world())


def test_a_placement_of_an_empty_artifact_finds_nothing():
    found = Placement.same(0).best(query(), np.zeros(0, np.float32), 5)
    assert isinstance(found, Candidates)
    assert len(found) == 0


def replace_status(video: Video, status: str) -> Video:
    return Video(
        video_id=video.video_id, author_id=video.author_id, tags=video.tags, duration_ms=video.duration_ms,
        language=video.language, published_ms=video.published_ms, status=status,
    )  # fmt: skip
