"""Retrieval recipes on a log with a pattern to find: each person likes one topic of six."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from tests.retrieval_fixtures import leaning_log
from tests.train_fixtures import snapshot_of

from zhiliu.features.fold_in import confidence, fold_in, strongest
from zhiliu.models.two_tower import sampled_softmax
from zhiliu.testing.synthetic import START_MS, SyntheticLog, synthetic_log
from zhiliu.train.als import Als, AlsConfig
from zhiliu.train.log import TrainingLog
from zhiliu.train.popularity import Popularity
from zhiliu.train.retrieval_data import interest_matrix
from zhiliu.train.similar import Similar, SimilarConfig, neighbours
from zhiliu.train.text_vectors import TextVectors
from zhiliu.train.two_tower import TwoTower, TwoTowerConfig
from zhiliu.train.two_tower_data import Examples
from zhiliu.types import EventType

UNTIL_MS = START_MS + 5 * 86_400_000
QUICK = TwoTowerConfig(width=16, history=20, batch=256, epoch_rows=2000, epochs=4)
RECIPES = [Popularity(), TextVectors(), Als(), Similar(), TwoTower(QUICK)]
FILES = {
    "popularity": ["popularity.npy"],
    "text": ["text_video.npy", "text_idf.npy", "text_components.npy", "text_model.json"],
    "als": ["als_video.npy", "als_gram.npy", "als.json"],
    "similar": ["similar_ids.npy", "similar_scores.npy"],
    "two_tower": ["two_tower_video.npy", "two_tower_past.npy", "two_tower_person.onnx", "two_tower.json"],
}
by_name = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(synthetic_log(impressions=4000), tmp_path_factory.mktemp("log"))


def fit(recipe, snapshot: Path, out: Path, until_ms: int = UNTIL_MS, seed: int = 0) -> dict:
    out.mkdir(exist_ok=True)
    return recipe.fit(snapshot, out, until_ms=until_ms, seed=seed, device="cpu")


def arrays(folder: Path) -> dict[str, np.ndarray]:
    return {file.name: np.load(file, allow_pickle=False) for file in folder.glob("*.npy")}


@by_name
def test_the_same_seed_writes_the_same_arrays_and_no_file_unasked(recipe, snapshot, tmp_path):
    for name in ("a", "b"):
        fit(recipe, snapshot, tmp_path / name)
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == sorted(FILES[recipe.name])
    first, second = arrays(tmp_path / "a"), arrays(tmp_path / "b")
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
        assert np.isfinite(values).all(), name
    assert not torch.are_deterministic_algorithms_enabled()


@by_name
def test_what_happens_after_the_cut_changes_nothing(recipe, snapshot, tmp_path):
    shorter = synthetic_log(impressions=4000)
    events = [event for event in shorter.events if event.time < UNTIL_MS]
    assert len(events) < len(shorter.events)
    (tmp_path / "cut").mkdir()
    cut = snapshot_of(replace(shorter, events=events), tmp_path / "cut")
    fit(recipe, snapshot, tmp_path / "a")
    fit(recipe, cut, tmp_path / "b")
    for name, values in arrays(tmp_path / "a").items():
        np.testing.assert_array_equal(values, arrays(tmp_path / "b")[name], err_msg=name)


@by_name
def test_progress_grows_and_never_passes_one(recipe, snapshot, tmp_path):
    told: list[float] = []
    recipe.fit(
        snapshot,
        tmp_path,
        until_ms=UNTIL_MS,
        seed=0,
        device="cpu",
        progress=lambda _, share: told.append(share),
    )
    assert told == sorted(told)
    assert 0 < told[-1] <= 1


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.name != "text"], ids=lambda r: r.name)
def test_an_empty_log_is_refused_with_what_to_do(recipe, tmp_path):
    empty = snapshot_of(replace(synthetic_log(impressions=10), events=[]), tmp_path)
    with pytest.raises(ValueError, match=r"import a feed log|import more"):
        fit(recipe, empty, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_catalogue_without_videos_is_refused_with_what_to_do(tmp_path):
    empty = snapshot_of(SyntheticLog(videos=[], people=[], events=[]), tmp_path)
    with pytest.raises(ValueError, match="import videos first"):
        fit(TextVectors(), empty, tmp_path / "out")


@by_name
def test_one_video_and_one_person_are_enough(recipe, tmp_path):
    log = synthetic_log(people=1, videos=1, impressions=5, days=1)
    one = snapshot_of(log, tmp_path)
    fit(recipe, one, tmp_path / "out")
    assert {len(values) for name, values in arrays(tmp_path / "out").items() if "video" in name} <= {1}


@by_name
def test_a_log_without_any_long_view_still_trains(recipe, tmp_path):
    log = synthetic_log(impressions=300)
    only_shown = [event for event in log.events if event.type is EventType.IMPRESSION]
    fit(recipe, snapshot_of(replace(log, events=only_shown), tmp_path), tmp_path / "out")
    for name, values in arrays(tmp_path / "out").items():
        assert np.isfinite(values).all(), name


def test_a_log_that_reaches_beyond_the_cut_is_refused(snapshot, tmp_path):
    log = TrainingLog.load(snapshot)
    with pytest.raises(ValueError, match="load it up to the cut"):
        fit(Als(log=log), snapshot, tmp_path)


def test_interest_keeps_the_strongest_row_of_a_pair_and_drops_the_hidden(snapshot):
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    from zhiliu.features.interest import interest

    weight = interest(log.labels)
    expected: dict[tuple[int, int], float] = {}
    for person, video, w in zip(
        log.person.tolist(), log.history.video.tolist(), weight.tolist(), strict=True
    ):
        expected[person, video] = max(expected.get((person, video), 0.0), w)
    matrix = interest_matrix(log).todok()
    assert {key: value for key, value in expected.items() if value > 0} == {
        (int(i), int(j)): float(v) for (i, j), v in matrix.items()
    }


def test_folding_in_a_training_past_gives_what_als_itself_would_have_given():
    rng = np.random.default_rng(3)
    matrix = sp.random(30, 20, 0.3, format="csr", dtype=np.float32, random_state=1)
    matrix.data = rng.integers(1, 5, len(matrix.data)).astype(np.float32)
    videos = rng.normal(size=(20, 6)).astype(np.float32)
    for person in range(30):
        rows, interest = strongest(matrix[person].indices.astype(np.int32), matrix[person].data)
        c = confidence(interest, 4.0)
        folded = fold_in(videos[rows], c, videos.T @ videos, 0.5)
        weights, wanted = (
            np.ones(20),
            np.zeros(20),
        )  # the twin: every video, seen or not, weighted least squares
        weights[rows], wanted[rows] = c, 1.0
        left = (videos * weights[:, None]).T @ videos + 0.5 * np.eye(6)
        slow = np.linalg.solve(left, videos.T @ (weights * wanted))
        np.testing.assert_allclose(folded, slow, rtol=1e-3, atol=1e-4)


def test_nobody_without_a_past_gets_an_als_vector_out_of_thin_air():
    assert not fold_in(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.eye(4, dtype=np.float32), 1.0
    ).any()


def test_als_scores_the_liked_topic_above_the_others(tmp_path):
    sparse = snapshot_of(leaning_log(), tmp_path)
    fit(Als(AlsConfig(factors=16, regularization=5.0)), sparse, tmp_path)
    vectors, gram = np.load(tmp_path / "als_video.npy"), np.load(tmp_path / "als_gram.npy")
    facts = json.loads((tmp_path / "als.json").read_text())
    wins = 0
    for topic in range(6):
        past = np.arange(topic, 30, 6)
        person = fold_in(
            vectors[past, :-1], np.full(len(past), 100.0, np.float32), gram, facts["regularization"]
        )
        score = vectors[30:, :-1] @ person
        same = np.arange(30, 60) % 6 == topic
        wins += score[same].mean() > score[~same].mean()
    assert wins == 6


def test_neighbours_equal_the_formula_pair_by_pair():
    rng = np.random.default_rng(0)
    dense = (rng.random((40, 25)) < 0.3) * rng.integers(1, 4, (40, 25)).astype(np.float32)
    content = rng.normal(size=(25, 8)).astype(np.float32)
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    config = SimilarConfig(neighbours=6)
    ids, scores = neighbours(sp.csr_matrix(dense), content, config)
    size = (dense**2).sum(0)
    for a in range(25):
        slow = {}
        for b in range(25):
            if a != b:
                together = (dense[:, a] * dense[:, b]).sum() / ((size[a] * size[b]) ** 0.5 + config.shrink)
                warm = size[a] / (size[a] + config.cold_rows) * size[b] / (size[b] + config.cold_rows)
                alike = max(0.0, float(content[a] @ content[b]))
                slow[b] = together + config.content * (1 + 9 * (1 - warm)) * alike
        best = sorted(slow.values(), reverse=True)[:6]
        np.testing.assert_allclose(scores[a], best, rtol=1e-4)
        np.testing.assert_allclose([slow[b] for b in ids[a].tolist()], best, rtol=1e-4)


def test_a_video_nobody_watched_gets_neighbours_by_content(tmp_path):
    log = synthetic_log()
    cold = "v7"
    events = [event for event in log.events if event.video_id != cold]
    snapshot = snapshot_of(replace(log, events=events), tmp_path)
    fit(TextVectors(), snapshot, tmp_path / "out")
    fit(Similar(), snapshot, tmp_path / "out")
    nearest = np.load(tmp_path / "out" / "similar_ids.npy")[7, :5]
    topics = np.load(tmp_path / "out" / "similar_ids.npy")
    assert topics.shape == (60, 59)
    assert (nearest >= 0).all()
    assert np.mean(nearest % 6 == 7 % 6) >= 0.6


def test_popularity_equals_a_sum_over_rows(snapshot, tmp_path):
    fit(Popularity(half_life_ms=86_400_000), snapshot, tmp_path)
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    newest = log.history.time_ms.max()
    slow = np.zeros(60)
    frame = log.frame
    for video, time_ms, long_view in frame.select("video_row", "time_ms", "long_view").iter_rows():
        slow[video] += long_view * 2.0 ** (-(newest - time_ms) / 86_400_000)
    np.testing.assert_allclose(np.load(tmp_path / "popularity.npy"), slow, rtol=1e-5)


def test_two_towers_beat_popularity_on_the_day_after(snapshot, tmp_path):
    longer = replace(QUICK, batch=128, epochs=12, patience=4, learning_rate=1e-2)
    fit(TwoTower(longer), snapshot, tmp_path)
    log = TrainingLog.load(snapshot)
    examples = Examples.of(log, None, UNTIL_MS + 10 * 86_400_000, QUICK.history, QUICK.half_life_ms)
    rows = np.flatnonzero((log.history.time_ms >= UNTIL_MS) & (log.labels[:, 1] > 0))
    batch = examples.batch(rows)
    past = np.load(tmp_path / "two_tower_past.npy")[batch.unique[batch.past].numpy()]
    names = ("kind", "gap", "mask", "codes", "numeric")
    session = onnxruntime.InferenceSession(str(tmp_path / "two_tower_person.onnx"))
    people = session.run(None, {"past": past} | {n: getattr(batch, n).numpy() for n in names})[0]
    scores = people @ np.load(tmp_path / "two_tower_video.npy").T
    counts = np.bincount(
        log.history.video[(log.labels[:, 1] > 0) & (log.history.time_ms < UNTIL_MS)], minlength=60
    )
    target = batch.video.numpy()

    def hits(score: np.ndarray) -> float:
        return float(((score > score[np.arange(len(score)), target][:, None]).sum(1) < 10).mean())

    assert len(rows) > 100
    assert hits(scores) > hits(np.broadcast_to(counts, scores.shape).astype(float)) + 0.2


def test_log_q_makes_the_sampled_softmax_unbiased_between_popular_and_rare():
    scores = torch.zeros(3, 3)
    target = torch.tensor([0, 1, 2])
    popular_first = torch.log(torch.tensor([0.8, 0.1, 0.1]))
    loss = sampled_softmax(scores, target, popular_first)
    expected = torch.nn.functional.cross_entropy(-popular_first.expand(3, 3), target)
    assert torch.isclose(loss, expected)
    assert loss > sampled_softmax(scores, target, torch.zeros(3))


def test_the_same_video_in_another_row_is_no_negative():
    scores = torch.tensor([[1.0, 50.0], [50.0, 1.0]])
    same = sampled_softmax(scores, torch.tensor([4, 4]), torch.zeros(2))
    other = sampled_softmax(scores, torch.tensor([4, 5]), torch.zeros(2))
    assert same < 1e-3 < other


def test_an_example_sees_nothing_of_its_own_moment_or_later(snapshot):
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    examples = Examples.of(log, None, UNTIL_MS, 20, 1e12)
    rows = np.arange(0, len(log), 7)
    batch = examples.batch(rows)
    for i, row in enumerate(rows.tolist()):
        own = range(int(log.start[log.person[row]]), row)
        earlier = [r for r in own if log.history.time_ms[r] < log.history.time_ms[row]][-20:]
        seen = batch.unique[batch.past[i]][batch.mask[i] > 0]
        assert seen.tolist() == log.history.video[earlier].tolist()


def test_popularity_of_a_day_is_what_was_known_at_its_start(snapshot):
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    examples = Examples.of(log, None, UNTIL_MS, 20, 1e12)
    first_day = int(log.history.time_ms.min())
    assert not examples.level(np.arange(60), np.full(60, first_day))[:, 0].any()
    assert examples.level(np.arange(60), np.full(60, UNTIL_MS))[:, 0].any()


def test_text_vectors_are_placed_by_catalogue_row(snapshot, tmp_path):
    fit(TextVectors(), snapshot, tmp_path)
    vectors = np.load(tmp_path / "text_video.npy")
    frame = pl.read_parquet(snapshot / "videos.parquet").sort("row")
    assert len(vectors) == frame.height
    same = vectors @ vectors.T
    topic = np.arange(60) % 6
    alike = topic[:, None] == topic[None, :]
    assert same[alike].mean() > same[~alike].mean() + 0.1
