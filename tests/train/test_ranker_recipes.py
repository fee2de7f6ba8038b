"""Recipes of rankers on a log with a pattern to find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.train_fixtures import snapshot_of

from zhiliu.artifact import Artifact, open_artifact
from zhiliu.evaluate.metrics import auc
from zhiliu.models.multitask import Multitask, MultitaskConfig
from zhiliu.rank.model import RankerMismatchError, RankerModel
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.train.bundle import Order, train
from zhiliu.train.errors import TrainError
from zhiliu.train.export import export
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import LoopConfig, fit
from zhiliu.train.multitask import split_by_time, standardise
from zhiliu.train.rows import WatchQuantiles
from zhiliu.train.trackers import open_tracker
from zhiliu.types import HEADS

DAY_MS = 86_400_000
UNTIL_MS = START_MS + 5 * DAY_MS


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(synthetic_log(impressions=4000), tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def multitask(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    order = Order(ranker="multitask", retrieval=(), until_ms=UNTIL_MS, epochs=3)
    return train(snapshot, tmp_path_factory.mktemp("artifacts"), order, created_ms=UNTIL_MS)


def future_auc(artifact: Artifact, snapshot: Path, head: str = "long_view") -> float:
    """AUC on the day after the cut."""
    log = TrainingLog.load(snapshot)
    model = RankerModel(artifact, log.videos, one_person=False)
    rows = np.flatnonzero(log.history.time_ms >= UNTIL_MS)
    h = log.history
    codes = (
        np.stack([model.codes(p) for p in log.profiles])
        if "person" in model.inputs
        else np.zeros((99, 0), np.int32)
    )
    people = [log.people[p] for p in log.person[rows]]
    scores = []
    asked = (log.person[rows], h.video[rows], h.surface[rows], h.time_ms[rows], h.time_ms[rows])
    for cut, f in log.features(*asked, model.window):
        scores.append(model.predict(f, h.video[rows[cut]], codes[log.person[rows[cut]]], people[cut])[head])
    label = log.labels[rows, HEADS.index(head)].astype(np.float64)
    return auc(label, np.concatenate(scores).astype(np.float64))


def test_the_network_finds_the_topic_each_person_likes(multitask: Artifact, snapshot: Path) -> None:
    assert future_auc(multitask, snapshot) > 0.75


@pytest.mark.parametrize("name", ["concat", "cf"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_baselines_train_with_adam_and_sgd(name: str, optimizer: str, snapshot: Path, tmp_path: Path) -> None:
    order = Order(ranker=name, retrieval=(), until_ms=UNTIL_MS, optimizer=optimizer)  # type: ignore[arg-type]
    artifact = train(snapshot, tmp_path, order, created_ms=1)
    losses = artifact.manifest["metrics"][name]["loss"]
    assert losses[-1] < losses[0]
    assert future_auc(artifact, snapshot) > 0.4


def test_the_same_seed_gives_the_same_ranker(multitask: Artifact, snapshot: Path, tmp_path: Path) -> None:
    order = Order(ranker="multitask", retrieval=(), until_ms=UNTIL_MS, epochs=3)
    again = train(snapshot, tmp_path, order, created_ms=UNTIL_MS)
    first, second = multitask.manifest["metrics"]["multitask"], again.manifest["metrics"]["multitask"]
    assert first["loss"] == second["loss"]
    np.testing.assert_array_equal(multitask.array("ranker_video"), again.array("ranker_video"))


def test_nothing_at_or_after_the_cut_is_learned_from(snapshot: Path) -> None:
    log = TrainingLog.load(snapshot, until_ms=UNTIL_MS)
    assert log.history.time_ms.max() < UNTIL_MS
    assert log.counted.time_ms.max() < UNTIL_MS
    known = np.where(log.history.label_ms == np.iinfo(np.int64).max, 0, log.history.label_ms)
    assert known.max() < UNTIL_MS
    early, late = split_by_time(log)
    assert log.history.time_ms[early].max() < log.history.time_ms[late].min()


def test_the_manifest_is_a_run_card(multitask: Artifact) -> None:
    card = open_artifact(multitask.path).manifest
    assert card["recipe"] == "multitask"
    assert card["span_ms"][1] < card["until_ms"] == UNTIL_MS
    assert card["metrics"]["multitask"]["parity"] < 1e-4
    assert {"torch", "onnxruntime"} <= set(card["versions"])


def test_heads_are_probabilities_and_watch_time_fits_the_length(multitask: Artifact, snapshot: Path) -> None:
    log = TrainingLog.load(snapshot)
    model = RankerModel(multitask, log.videos)
    h, video = log.history, np.arange(len(log.videos), dtype=np.int32)
    moment = np.full(len(video), int(h.time_ms.max()))
    who, where = np.full(len(video), 3, np.int32), np.full(len(video), 1, np.int32)
    _, f = next(log.features(who, video, where, moment, moment, model.window))
    one = type(f)(f.numeric, f.context, f.past_video[:1], f.past[:1], f.past_mask[:1])
    heads = model.predict(one, video, model.codes(log.profiles[3])[None], [log.people[3]])
    assert set(heads) == {*HEADS, "watch_ms"}
    for head in HEADS:
        assert ((heads[head] > 0) & (heads[head] < 1)).all()
    assert (heads["watch_ms"] >= 0).all()
    assert heads["watch_ms"].max() < 100_000


def test_an_artifact_with_other_features_is_refused(multitask: Artifact, snapshot: Path) -> None:
    class Foreign(Artifact):
        def json(self, name: str) -> object:
            facts = super().json(name)
            return {**facts, "numeric": facts["numeric"][:-1]} if name == "ranker" else facts

    with pytest.raises(RankerMismatchError, match="train again"):
        RankerModel(Foreign(multitask.path, multitask.manifest), TrainingLog.load(snapshot).videos)


def test_export_refuses_a_graph_that_answers_differently(tmp_path: Path) -> None:
    class Fickle(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + (1.0 if torch.compiler.is_exporting() else 0.0)

    with pytest.raises(TrainError, match="differs from torch"):
        export(Fickle(), {"x": torch.zeros(3, 2)}, {"x"}, "y", tmp_path / "fickle.onnx")


def test_a_loss_that_is_not_finite_ends_with_what_to_do() -> None:
    net = torch.nn.Linear(1, 1)
    with pytest.raises(TrainError, match="lower the learning rate"):
        fit(net, lambda n, batch: n(torch.full((len(batch), 1), torch.inf)).sum(), 10, LoopConfig(epochs=1))


def test_training_stops_when_the_later_day_gets_worse_and_keeps_the_best() -> None:
    scores = iter([3.0, 1.0, 2.0, 0.0])
    net = torch.nn.Linear(1, 1)
    done = fit(
        net, lambda n, b: n(torch.ones(len(b), 1)).pow(2).mean(), 8, LoopConfig(epochs=4, patience=1),
        validate=lambda n: next(scores),
    )  # fmt: skip
    assert (done.epoch, done.validation) == (2, (3.0, 1.0, 2.0))


def test_a_log_too_small_for_a_ranker_is_refused(tmp_path: Path) -> None:
    tiny = snapshot_of(synthetic_log(impressions=50), tmp_path)
    with pytest.raises(TrainError, match="at least 100"):
        train(tiny, tmp_path / "a", Order(retrieval=(), until_ms=UNTIL_MS), created_ms=1)
    assert list((tmp_path / "a").glob("*")) == []


def test_unknown_names_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="known: multitask, concat, cf"):
        train(tmp_path, tmp_path, Order(ranker="gpt", until_ms=1), created_ms=1)
    with pytest.raises(TrainError, match="known: tensorboard, wandb, mlflow"):
        open_tracker("stone", tmp_path)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=f"pip install {name}"):
        open_tracker(name, tmp_path)


def test_learning_curves_are_written_for_tensorboard(tmp_path: Path) -> None:
    tracker = open_tracker("tensorboard", tmp_path)
    tracker.log({"loss": 1.0}, 0)
    tracker.close()
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_watch_quantiles_are_uniform_within_a_length() -> None:
    rng = np.random.default_rng(0)
    duration = rng.choice([10_000, 100_000], 4000)
    watch = (rng.random(4000) * duration).astype(np.float32)
    quantile = WatchQuantiles.fit(watch, duration).of(watch, duration)
    for length in (10_000, 100_000):
        assert quantile[duration == length].mean() == pytest.approx(0.5, abs=0.02)


def test_warm_up_on_an_imported_history_is_used(tmp_path: Path) -> None:
    log = synthetic_log(impressions=4000)
    half = START_MS + 3 * DAY_MS
    told = [
        msg_replace(e) if e.time < half else e
        for e in log.events
        if e.time >= half or e.type in ("impression", "view")
    ]
    snapshot = snapshot_of(replace(log, events=told), tmp_path)
    artifact = train(snapshot, tmp_path / "a", Order(retrieval=(), until_ms=UNTIL_MS, epochs=1), created_ms=1)
    assert artifact.manifest["metrics"]["multitask"]["warm_rows"] > 1000


def msg_replace(event):  # type: ignore[no-untyped-def]
    """The event as an importer of a history without times would have written it."""
    import msgspec

    return msgspec.structs.replace(event, surface="history", props={**event.props, "time": "estimated"})


def test_a_feature_that_never_varied_in_training_says_nothing_when_it_does() -> None:
    torch.manual_seed(0)
    net = Multitask(
        MultitaskConfig(numeric=2, context_sizes=(2,), person_sizes=(2,), videos=2, authors=2, tags=2, past=1)
    ).eval()
    numeric = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])
    standardise(net, SimpleNamespace(numeric=numeric))  # type: ignore[arg-type]
    code, d = torch.zeros(1, 1, dtype=torch.long), net.config.item_dim

    def logits(first: float, second: float) -> torch.Tensor:
        said = torch.tensor([[first, second]])
        return net(
            said, code, code, torch.zeros(1, d), torch.zeros(1, 3, d), torch.zeros(1, 3, 1), torch.ones(1, 3)
        )

    with torch.inference_mode():
        assert torch.allclose(logits(3.0, 2.0), logits(0.0, 2.0), atol=1e-4)
        assert not torch.allclose(logits(0.0, 4.0), logits(0.0, 2.0), atol=1e-2)
