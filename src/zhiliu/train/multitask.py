"""Recipe of the default ranker: warm up on imported histories, fit with early stopping, calibrate, refit, export."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.builder import CONTEXT, CONTEXT_SIZES, SEQUENCE, numeric_names
from zhiliu.features.context import DAY_MS
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.models.multitask import Multitask, MultitaskConfig
from zhiliu.train.calibration import platt
from zhiliu.train.errors import TrainError
from zhiliu.train.export import export
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import Fitted, LoopConfig, Progress, fit
from zhiliu.train.rows import SEQUENCE_LENGTH, WINDOW, RankerRows, WatchQuantiles, person_codes, ranker_rows
from zhiliu.train.teacher import Teacher, tabular
from zhiliu.train.trackers import Tracker
from zhiliu.types import HEADS, I64

HEAD_WEIGHTS: Mapping[str, float] = {
    "click": 1.0, "long_view": 1.0, "complete": 0.5, "like": 0.5,
    "follow": 0.2, "comment": 0.2, "share": 0.2, "hide": 0.2, "watch": 0.5,
}  # fmt: skip
"""How much each head's loss counts; the last is the watch-time quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerConfig:
    """What the recipe does."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(epochs=4, batch=512, learning_rate=2e-3, patience=2)
    )
    warm_rows: int = 250_000
    """Newest rows of imported histories to warm up on (long views and likes only); 0: no warm-up."""
    taught: float = 0.6
    """Share of the target that is the teacher's probability instead of the outcome; 0: no teacher."""
    stale_share: float = 0.4
    """Share of the impressions learned from as a system would see them whose state is behind."""
    stale_days: float = 6.0
    """How far behind, at most (uniform)."""
    threads: int = 1
    """Torch threads. The steps are small: on a busy machine two threads spin and take ten times as long."""


@dataclass(frozen=True, slots=True)
class MultitaskRecipe:
    """log → ``ranker.onnx``, ``ranker.json`` and the vectors of videos, authors and topics."""

    config: RankerConfig = field(default_factory=RankerConfig)
    tracker: Tracker | None = None
    progress: Progress | None = None
    name: str = "multitask"

    def fit(self, log: Path, out: Path, *, until_ms: int, seed: int, device: str) -> dict[str, Any]:
        """Train on the snapshot ``log`` before ``until_ms``; see ``zhiliu.protocols.Recipe``."""
        return self.fit_log(TrainingLog.load(log, until_ms=until_ms), out, until_ms=until_ms, seed=seed)

    def fit_log(self, log: TrainingLog, out: Path, *, until_ms: int, seed: int) -> dict[str, Any]:
        """The same, from a log that is loaded already."""
        torch.set_num_threads(self.config.threads)
        torch.manual_seed(seed)
        loop = replace(self.config.loop, seed=seed)
        quantiles = fit_quantiles(log)
        learner = Learner(log, ProfileVocabulary.fit(p for p in log.profiles if p), quantiles, loop)
        learner.tracker, learner.progress = self.tracker, self.progress
        early, late = split_by_time(log)
        rows_early = learner.rows(early, learner.states(early, self.config, seed), "features")
        rows_late = learner.rows(late, learner.states(late, self.config, seed + 1), "later features")
        teacher = learner.teach(rows_early, rows_late, self.config.taught, seed, out)
        start, warm = learner.start(self.config.warm_rows, seed)
        fitted = learner.descend(start, rows_early, rows_late)
        calibration = learner.calibrate(fitted.net, rows_late)
        return {
            **learner.save(fitted.net, calibration, out),
            "rows": len(rows_early),
            "validation_rows": len(rows_late),
            "warm_rows": warm,
            "teacher_rounds": teacher,
            "epochs": fitted.epoch,
            "loss": list(fitted.losses),
            "validation": list(fitted.validation),
        }


class Learner:
    """Holds what every step of the recipe needs."""

    def __init__(
        self, log: TrainingLog, vocabulary: ProfileVocabulary, quantiles: WatchQuantiles, loop: LoopConfig
    ) -> None:
        self.log, self.vocabulary, self.quantiles, self.loop = log, vocabulary, quantiles, loop
        self.tracker: Tracker | None = None
        self.progress: Progress | None = None
        self.people = person_codes(log, vocabulary)
        self.author = torch.from_numpy(log.videos.author).long()
        self.tag = torch.from_numpy(log.videos.tag).long()
        self.weights = torch.tensor([HEAD_WEIGHTS[head] for head in (*HEADS, "watch")])
        self.hide_ids = 0.0

    def states(self, rows: NDArray[np.int64], config: RankerConfig, seed: int) -> I64:
        """(B,) up to when facts count for each row: its own time, or for a share of them some days before.

        A server that restarts, lags or is judged on a frozen state must not meet features it never saw.
        """
        rng = np.random.default_rng(seed)
        time_ms = self.log.history.time_ms[rows]
        lag_ms = rng.uniform(0, config.stale_days * DAY_MS, len(rows)) * (
            rng.random(len(rows)) < config.stale_share
        )
        return time_ms - lag_ms.astype(np.int64)

    def rows(self, rows: NDArray[np.int64], state_ms: I64, label: str) -> RankerRows:
        """Features with labels, as known at ``state_ms`` (B,)."""
        return ranker_rows(
            self.log, rows, state_ms, quantiles=self.quantiles, progress=self.progress, label=label
        )

    def teach(
        self, rows: RankerRows, later: RankerRows, share: float, seed: int, out: Path
    ) -> dict[str, int]:
        """Fit the teacher, keep it beside the network, mix its probabilities into the targets of ``rows``."""
        if share <= 0:
            return {}
        table, check = self.tabular(rows), self.tabular(later)
        teacher = Teacher.fit(
            table,
            rows.labels.numpy(),
            (check, later.labels.numpy()),
            numeric=rows.numeric.shape[1],
            seed=seed,
            threads=os.cpu_count() or 1,
            progress=self.progress,
        )
        teacher.save(out)
        for head, p in teacher.predict(table).items():
            column = rows.target[:, HEADS.index(head)]
            column.copy_((1 - share) * column + share * torch.from_numpy(p))
        return {head: booster.best_iteration for head, booster in teacher.boosters.items()}

    def tabular(self, rows: RankerRows) -> NDArray[np.float32]:
        """The teacher's table of rows."""
        tag = self.tag[rows.video, 0].numpy()
        return tabular(rows.numeric.numpy(), rows.context.numpy(), self.people[rows.person].numpy(), tag)

    def start(self, warm_rows: int, seed: int) -> tuple[Multitask, int]:
        """A network whose video vectors come from imported histories, if there are any; rows learned from."""
        torch.manual_seed(seed)
        net = Multitask(
            MultitaskConfig(
                numeric=len(numeric_names()),
                context_sizes=CONTEXT_SIZES,
                person_sizes=tuple(self.vocabulary.sizes()),
                videos=len(self.log.videos) + 1,
                authors=len(self.log.videos.authors),
                tags=len(self.log.videos.tags),
                past=len(SEQUENCE),
                heads=len(HEADS),
            )
        )
        told = np.flatnonzero(~self.log.trainable())
        if warm_rows <= 0 or len(told) < 1000:
            return net, 0
        newest = np.argsort(self.log.history.time_ms[told], kind="stable")[-warm_rows:]
        told = np.sort(told[newest])
        rows = self.rows(told, self.log.history.time_ms[told], "history features")
        warmed = self.descend(net, rows, None)
        for parameter in warmed.net.items.parameters():
            parameter.requires_grad_(False)  # the few impressions would only overfit them
        return warmed.net, len(rows)

    def descend(self, start: Multitask, rows: RankerRows, later: RankerRows | None) -> Fitted[Multitask]:
        """Fit a copy of ``start`` on ``rows``; stop by the loss on ``later``, or after one pass without it."""
        net = copy.deepcopy(start)
        standardise(net, rows)
        self.hide_ids = net.config.id_dropout
        return fit(
            net,
            lambda n, batch: self.loss(n, rows, batch),
            len(rows),
            self.loop if later is not None else replace(self.loop, epochs=1, batch=1024),
            validate=None if later is None else lambda n: self.mean_loss(n, later),
            tracker=self.tracker,
            progress=self.progress,
            label="warm-up" if later is None else "fit",
        )

    def logits(self, net: Multitask, rows: RankerRows, batch: Tensor) -> Tensor:
        """(b, P + 1) of the rows numbered in ``batch``."""
        hide = self.hide_ids if net.training else 0.0
        mask = rows.past_mask[batch]
        logits: Tensor = net(
            rows.numeric[batch],
            rows.context[batch],
            self.people[rows.person[batch]],
            self.items(net, rows.video[batch], hide),
            self.items(net, rows.past_video[batch], hide) * mask.unsqueeze(-1),
            rows.past[batch].float(),
            mask,
        )
        return logits

    def items(self, net: Multitask, video: Tensor, hide: float) -> Tensor:
        """(…, D) vectors of catalogue rows; a share ``hide`` of them without their own id."""
        index = video + 1
        if hide > 0:
            index = torch.where(torch.rand(index.shape) < hide, 0, index)
        vectors: Tensor = net.items(index, self.author[video], self.tag[video])
        return vectors

    def loss(self, net: Multitask, rows: RankerRows, batch: Tensor) -> Tensor:
        """Weighted cross-entropy of every head, unknown labels left out."""
        logits = self.logits(net, rows, batch)
        target = torch.cat([rows.target[batch], rows.watch[batch, None]], 1)
        known = torch.cat([rows.weight[batch], rows.weight[batch][:, :1]], 1)
        each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * known
        return (each.mean(0) * self.weights).sum()

    @torch.inference_mode()
    def predict(self, net: Multitask, rows: RankerRows) -> Tensor:
        """Logits (B, P + 1) of all rows."""
        net.eval()
        return torch.cat([self.logits(net, rows, batch) for batch in in_order(len(rows))])

    @torch.inference_mode()
    def mean_loss(self, net: Multitask, rows: RankerRows) -> float:
        """The training loss, averaged over all rows."""
        parts = [(float(self.loss(net, rows, b)), len(b)) for b in in_order(len(rows))]
        return sum(value * n for value, n in parts) / max(1, len(rows))

    def calibrate(self, net: Multitask, rows: RankerRows) -> dict[str, tuple[float, float]]:
        """Platt numbers of each head on rows the weights have not seen."""
        logits = self.predict(net, rows).numpy()
        labels = rows.labels.numpy()
        return {head: platt(logits[:, i], labels[:, i]) for i, head in enumerate(HEADS)}

    def save(
        self, net: Multitask, calibration: Mapping[str, tuple[float, float]], out: Path
    ) -> dict[str, Any]:
        """Everything serving needs, in ``out``."""
        served = Probabilities(net)
        one = self.example(net, people=1)
        difference = export(served, one, {"numeric", "context", "item"}, "probabilities", out / "ranker.onnx")
        each = self.example(net, people=len(one["numeric"]))
        rowwise = export(served, each, set(each), "probabilities", out / "ranker_rows.onnx")
        vectors = video_vectors(net, self.log)
        np.save(out / "ranker_video.npy", vectors)
        np.save(out / "ranker_author.npy", net.items.author.weight.detach().numpy())
        np.save(out / "ranker_tag.npy", net.items.tag.weight.detach().numpy())
        np.save(out / "watch_quantiles.npy", self.quantiles.table)
        facts = ranker_facts(net, self.vocabulary, calibration, self.log.videos)
        facts["timezone_offset_h"] = self.log.timezone_offset_h
        (out / "ranker.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
        return {"parity": max(difference, rowwise)}

    def example(self, net: Multitask, *, people: int, rows: int = 7) -> dict[str, Tensor]:
        """Inputs of the network: ``people`` is 1 (one request) or ``rows`` (one person a row)."""
        g = torch.Generator().manual_seed(0)
        d, t = net.config.item_dim, SEQUENCE_LENGTH
        sizes = torch.tensor(net.config.person_sizes)
        return {
            "numeric": net.mean + net.scale * torch.randn(rows, net.config.numeric, generator=g),
            "context": (torch.rand(rows, len(CONTEXT), generator=g) * torch.tensor(CONTEXT_SIZES)).long(),
            "person": (torch.rand(people, len(sizes), generator=g) * sizes).long(),
            "item": torch.randn(rows, d, generator=g) * 0.1,
            "past_item": torch.randn(people, t, d, generator=g) * 0.1,
            "past": torch.rand(people, t, len(SEQUENCE), generator=g),
            "mask": (torch.rand(people, t, generator=g) > 0.5).float(),
        }


class Probabilities(nn.Module):
    """What is exported: probabilities instead of logits."""

    def __init__(self, net: Multitask) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        numeric: Tensor,
        context: Tensor,
        person: Tensor,
        item: Tensor,
        past_item: Tensor,
        past: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """(B, P + 1) in (0, 1)."""
        return torch.sigmoid(self.net(numeric, context, person, item, past_item, past, mask))


def in_order(rows: int, size: int = 4096) -> list[Tensor]:
    """Row numbers 0 … rows-1 in blocks."""
    return [torch.arange(first, min(first + size, rows)) for first in range(0, rows, size)]


def standardise(net: Multitask, rows: RankerRows) -> None:
    """Mean and spread of the numeric features, kept inside the network.

    What never varied in training (nobody followed anybody) must not speak when it does: nothing was learned of it.
    """
    spread = rows.numeric.std(0, correction=0)
    net.mean.copy_(rows.numeric.mean(0))
    net.scale.copy_(torch.where(spread < 1e-6, 1e6, spread + 1e-3))


def fit_quantiles(log: TrainingLog) -> WatchQuantiles:
    """Watch-time quantiles of the impressions of the log."""
    rows = np.flatnonzero(log.trainable())
    duration = log.videos.duration_ms[log.history.video[rows]]
    return WatchQuantiles.fit(log.history.watch_ms[rows], duration)


def split_by_time(log: TrainingLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit, and the newest tenth to validate and calibrate on.

    Raises:
        TrainError: fewer than 100 impressions, or all at one moment.

    """
    rows = np.flatnonzero(log.trainable())
    if len(rows) < 100:
        raise TrainError(f"only {len(rows)} impressions before the cut; a ranker needs at least 100")
    time_ms = log.history.time_ms[rows]
    cut = int(np.quantile(time_ms, 0.9))
    if cut <= int(time_ms.min()):
        raise TrainError("all impressions have the same time; a ranker is validated on later ones")
    return rows[time_ms < cut], rows[time_ms >= cut]


@torch.inference_mode()
def video_vectors(net: Multitask, log: TrainingLog) -> NDArray[np.float32]:
    """(N, D) vector of every catalogue row; one never seen in the log is its author and topics alone."""
    n = len(log.videos)
    seen = np.bincount(log.history.video, minlength=n) > 0
    index = torch.from_numpy(np.where(seen, np.arange(n) + 1, 0))
    author, tag = torch.from_numpy(log.videos.author).long(), torch.from_numpy(log.videos.tag).long()
    vectors: NDArray[np.float32] = net.items(index, author, tag).numpy()
    return vectors


def ranker_facts(
    net: Multitask,
    vocabulary: ProfileVocabulary,
    calibration: Mapping[str, tuple[float, float]],
    videos: VideoColumns,
) -> dict[str, Any]:
    """``ranker.json``: names, orders and numbers that the ONNX file does not hold."""
    return {
        "kind": "multitask",
        "inputs": ["numeric", "context", "person", "item", "past_item", "past", "mask"],
        "heads": list(HEADS),
        "numeric": list(numeric_names()),
        "numeric_mean": [round(float(x), 6) for x in net.mean],
        "context": list(CONTEXT),
        "sequence": list(SEQUENCE),
        "window": WINDOW,
        "sequence_length": SEQUENCE_LENGTH,
        "profile": vocabulary.codes,
        "calibration": {head: list(numbers) for head, numbers in calibration.items()},
        "authors": videos.authors.names,
        "tags": videos.tags.names,
        "network": asdict(net.config),
    }
