"""Recipe of the default ranker: warm up on imported histories, fit with early stopping, calibrate, refit, export."""

from __future__ import annotations

import copy
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
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.models.multitask import Multitask, MultitaskConfig
from zhiliu.train.calibration import platt
from zhiliu.train.errors import TrainError
from zhiliu.train.export import export
from zhiliu.train.log import DAY_MS, TrainingLog
from zhiliu.train.loop import Fitted, LoopConfig, Progress, fit
from zhiliu.train.rows import SEQUENCE_LENGTH, WINDOW, RankerRows, WatchQuantiles, person_codes, ranker_rows
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

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=4, batch=1024, learning_rate=2e-3))
    warm_rows: int = 300_000
    """Newest rows of imported histories to warm up on (long views and likes only); 0: no warm-up."""
    stale_days: float = 6.0
    """Every training row is also shown as it looks to a system whose state is up to this many days old."""
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
        warm = learner.warm_rows(self.config.warm_rows)
        rows_early = learner.rows(early, self.config.stale_days, seed)
        rows_late = learner.rows(late, self.config.stale_days, seed + 1)
        start = learner.start(warm, seed)
        first = learner.descend(start, rows_early, rows_late, "fit")
        calibration = learner.calibrate(first.net, rows_late)
        both = RankerRows.concat([rows_early, rows_late])
        learner.loop = replace(loop, epochs=first.epoch)
        final = learner.descend(start, both, None, "refit")
        facts = learner.save(final.net, calibration, out)
        return {
            **facts,
            "rows": len(both),
            "warm_rows": len(warm) if warm is not None else 0,
            "epochs": first.epoch,
            "loss": list(first.losses),
            "validation": list(first.validation),
            "until_ms": until_ms,
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

    def rows(self, rows: NDArray[np.int64], stale_days: float, seed: int) -> RankerRows:
        """Each row as known at its own time and, once more, as known some days before."""
        time_ms = self.log.history.time_ms[rows]
        fresh = self.build(rows, time_ms, "features")
        if stale_days <= 0:
            return fresh
        lag = np.random.default_rng(seed).uniform(0, stale_days * DAY_MS, len(rows)).astype(np.int64)
        oldest = int(time_ms.min()) if len(rows) else 0
        return RankerRows.concat(
            [fresh, self.build(rows, np.maximum(time_ms - lag, oldest), "stale features")]
        )

    def warm_rows(self, limit: int) -> RankerRows | None:
        """The newest rows with estimated times, as known at their own time."""
        rows = np.flatnonzero(~self.log.trainable())
        if limit <= 0 or len(rows) < 1000:
            return None
        time_ms = self.log.history.time_ms[rows]
        newest = np.sort(rows[np.argsort(time_ms, kind="stable")[-limit:]])
        return self.build(newest, self.log.history.time_ms[newest], "history features")

    def build(self, rows: NDArray[np.int64], state_ms: I64, label: str) -> RankerRows:
        """Features with labels."""
        return ranker_rows(
            self.log, rows, state_ms, quantiles=self.quantiles, progress=self.progress, label=label
        )

    def start(self, warm: RankerRows | None, seed: int) -> Multitask:
        """A fresh network; if there are histories, its video vectors are learned there and then kept."""
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
        if warm is None:
            return net
        self.hide_ids = net.config.id_dropout
        standardise(net, warm)
        fitted = fit(
            net,
            lambda n, batch: self.loss(n, warm, batch),
            len(warm),
            replace(self.loop, epochs=1),
            tracker=self.tracker,
            progress=self.progress,
            label="warm-up",
        )
        kept = fitted.net
        assert isinstance(kept, Multitask)  # noqa: S101  fit returns a copy of what it was given
        for parameter in kept.items.parameters():
            parameter.requires_grad_(False)
        return kept

    def descend(self, start: Multitask, rows: RankerRows, later: RankerRows | None, label: str) -> Fitted:
        """Fit a copy of ``start`` on ``rows``; stop by the loss on ``later``."""
        net = copy.deepcopy(start)
        standardise(net, rows)
        self.hide_ids = net.config.id_dropout
        return fit(
            net,
            lambda n, batch: self.loss(n, rows, batch),
            len(rows),
            self.loop,
            validate=None if later is None else lambda n: self.mean_loss(n, later),
            tracker=self.tracker,
            progress=self.progress,
            label=label,
        )

    def logits(self, net: nn.Module, rows: RankerRows, batch: Tensor) -> Tensor:
        """(b, P + 1) of the rows numbered in ``batch``."""
        assert isinstance(net, Multitask)  # noqa: S101
        hide = self.hide_ids if net.training else 0.0
        mask = rows.past_mask[batch]
        return net(  # type: ignore[no-any-return]
            rows.numeric[batch],
            rows.context[batch],
            self.people[rows.person[batch]],
            self.items(net, rows.video[batch], hide),
            self.items(net, rows.past_video[batch], hide) * mask.unsqueeze(-1),
            rows.past[batch].float(),
            mask,
        )

    def items(self, net: Multitask, video: Tensor, hide: float) -> Tensor:
        """(…, D) vectors of catalogue rows; a share ``hide`` of them without their own id."""
        index = video + 1
        if hide > 0:
            index = torch.where(torch.rand(index.shape) < hide, 0, index)
        return net.items(index, self.author[video], self.tag[video])  # type: ignore[no-any-return]

    def loss(self, net: nn.Module, rows: RankerRows, batch: Tensor) -> Tensor:
        """Weighted cross-entropy of every head, unknown labels left out."""
        logits = self.logits(net, rows, batch)
        target = torch.cat([rows.labels[batch], rows.watch[batch, None]], 1)
        known = torch.cat([rows.weight[batch], rows.weight[batch][:, :1]], 1)
        each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * known
        return (each.mean(0) * self.weights).sum()

    @torch.inference_mode()
    def predict(self, net: nn.Module, rows: RankerRows) -> Tensor:
        """Logits (B, P + 1) of all rows."""
        net.eval()
        return torch.cat([self.logits(net, rows, batch) for batch in in_order(len(rows))])

    @torch.inference_mode()
    def mean_loss(self, net: nn.Module, rows: RankerRows) -> float:
        """The training loss, averaged over all rows."""
        parts = [(float(self.loss(net, rows, b)), len(b)) for b in in_order(len(rows))]
        return sum(value * n for value, n in parts) / max(1, len(rows))

    def calibrate(self, net: nn.Module, rows: RankerRows) -> dict[str, tuple[float, float]]:
        """Platt numbers of each head on rows the weights have not seen."""
        logits = self.predict(net, rows).numpy()
        labels = rows.labels.numpy()
        return {head: platt(logits[:, i], labels[:, i]) for i, head in enumerate(HEADS)}

    def save(
        self, net: nn.Module, calibration: Mapping[str, tuple[float, float]], out: Path
    ) -> dict[str, Any]:
        """Everything serving needs, in ``out``."""
        assert isinstance(net, Multitask)  # noqa: S101
        example = self.example(net)
        per_row = {"numeric", "context", "item"}
        difference = export(Probabilities(net), example, per_row, "probabilities", out / "ranker.onnx")
        vectors = video_vectors(net, self.log)
        np.save(out / "ranker_video.npy", vectors)
        np.save(out / "ranker_author.npy", net.items.author.weight.detach().numpy())
        np.save(out / "ranker_tag.npy", net.items.tag.weight.detach().numpy())
        np.save(out / "watch_quantiles.npy", self.quantiles.table)
        facts = ranker_facts(net, self.vocabulary, calibration, self.log.videos)
        return {"parity": difference, "ranker": facts}

    def example(self, net: Multitask, rows: int = 7) -> dict[str, Tensor]:
        """Inputs of one request: some candidates, one person."""
        g = torch.Generator().manual_seed(0)
        d, t = net.config.item_dim, SEQUENCE_LENGTH
        sizes = torch.tensor(net.config.person_sizes)
        return {
            "numeric": net.mean + net.scale * torch.randn(rows, net.config.numeric, generator=g),
            "context": (torch.rand(rows, len(CONTEXT), generator=g) * torch.tensor(CONTEXT_SIZES)).long(),
            "person": (torch.rand(1, len(sizes), generator=g) * sizes).long(),
            "item": torch.randn(rows, d, generator=g) * 0.1,
            "past_item": torch.randn(1, t, d, generator=g) * 0.1,
            "past": torch.rand(1, t, len(SEQUENCE), generator=g),
            "mask": (torch.rand(1, t, generator=g) > 0.5).float(),
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
    """Mean and spread of the numeric features, kept inside the network."""
    net.mean.copy_(rows.numeric.mean(0))
    net.scale.copy_(rows.numeric.std(0, correction=0) + 1e-3)


def fit_quantiles(log: TrainingLog) -> WatchQuantiles:
    """Watch-time quantiles of the impressions of the log."""
    rows = np.flatnonzero(log.trainable())
    duration = log.videos.duration_ms[log.history.video[rows]]
    return WatchQuantiles.fit(log.history.watch_ms[rows], duration)


def split_by_time(log: TrainingLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit and later rows to validate on: the last day, or the last sixth of a short log.

    Raises:
        TrainError: fewer than 100 impressions.

    """
    rows = np.flatnonzero(log.trainable())
    if len(rows) < 100:
        raise TrainError(f"only {len(rows)} impressions before the cut; a ranker needs at least 100")
    time_ms = log.history.time_ms[rows]
    cut = min(int(time_ms.max()) + 1 - DAY_MS, int(np.quantile(time_ms, 0.9)))
    if np.mean(time_ms >= cut) > 0.3 or cut <= int(time_ms.min()):
        cut = int(np.quantile(time_ms, 5 / 6))
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
