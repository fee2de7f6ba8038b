"""Recipes of the textbook baselines ``concat`` and ``cf``: embeddings alone, mean squared error."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zhiliu.models.baselines import Concat, Cosine
from zhiliu.train.calibration import platt
from zhiliu.train.export import export
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import LoopConfig, Progress, fit
from zhiliu.train.multitask import in_order, split_by_time
from zhiliu.train.rows import known_labels
from zhiliu.train.trackers import Tracker
from zhiliu.types import HEADS

KINDS: dict[str, type[Concat] | type[Cosine]] = {"concat": Concat, "cf": Cosine}


LOOPS: dict[str, LoopConfig] = {
    "concat": LoopConfig(epochs=6, batch=4096, learning_rate=5e-3, averaging=0.0),
    "cf": LoopConfig(epochs=6, batch=4096, learning_rate=2e-2, averaging=0.0, embedding_decay=1e-2),
}


@dataclass(frozen=True, slots=True)
class BaselineRecipe:
    """log → ``ranker.onnx`` that knows people and videos by embedding only."""

    name: str
    """``concat`` or ``cf``."""
    loop: LoopConfig
    tracker: Tracker | None = None
    progress: Progress | None = None

    @classmethod
    def of(
        cls, name: str, tracker: Tracker | None = None, progress: Progress | None = None
    ) -> BaselineRecipe:
        """With the learning rate that was best on the last training day of KuaiRand."""
        return cls(name, LOOPS[name], tracker, progress)

    def fit(self, log: Path, out: Path, *, until_ms: int, seed: int, device: str) -> dict[str, Any]:
        """Train on the snapshot ``log`` before ``until_ms``; see ``zhiliu.protocols.Recipe``."""
        return self.fit_log(TrainingLog.load(log, until_ms=until_ms), out, until_ms=until_ms, seed=seed)

    def fit_log(self, log: TrainingLog, out: Path, *, until_ms: int, seed: int) -> dict[str, Any]:
        """The same, from a log that is loaded already."""
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        early, late = split_by_time(log)
        told = np.flatnonzero(~log.trainable())
        rows, later = Pairs.of(log, np.concatenate([told, early])), Pairs.of(log, late)
        net = KINDS[self.name](len(log.people) + 1, len(log.videos) + 1, rows.rates())
        fitted = fit(
            net,
            lambda n, batch: rows.loss(n, batch),
            len(rows.person),
            replace(self.loop, seed=seed),
            validate=lambda n: later.mean_loss(n),
            tracker=self.tracker,
            progress=self.progress,
            label=self.name,
        )
        p = np.clip(later.predict(fitted.net), 1e-6, 1 - 1e-6)
        logit = np.log(p / (1 - p))
        labels = later.labels.numpy()
        calibration = {head: platt(logit[:, i], labels[:, i]) for i, head in enumerate(HEADS)}
        return {
            "parity": save(self.name, fitted.net, calibration, log, out),
            "rows": len(rows.person),
            "epochs": fitted.epoch,
            "loss": list(fitted.losses),
            "validation": list(fitted.validation),
        }


@dataclass(frozen=True, slots=True)
class Pairs:
    """Who was shown what, and what followed."""

    person: Tensor  # (R,) index, 0 unknown
    video: Tensor  # (R,)
    labels: Tensor  # (R, P)
    known: Tensor  # (R, P) 0 where an imported history does not tell

    @classmethod
    def of(cls, log: TrainingLog, rows: NDArray[np.int64]) -> Pairs:
        """The given rows of the log."""
        return cls(
            torch.from_numpy(log.person[rows]).long() + 1,
            torch.from_numpy(log.history.video[rows]).long() + 1,
            torch.from_numpy(log.labels[rows]),
            torch.from_numpy(known_labels(log, rows)),
        )

    def rates(self) -> Tensor:
        """(P,) share of the rows in which each head is true, where that is known."""
        return (self.labels * self.known).sum(0) / self.known.sum(0).clamp(min=1)

    def loss(self, net: nn.Module, batch: Tensor) -> Tensor:
        """Mean squared error, summed over heads."""
        error = (net(self.person[batch], self.video[batch]) - self.labels[batch]) ** 2
        loss: Tensor = (error * self.known[batch]).mean(0).sum()
        return loss

    @torch.inference_mode()
    def predict(self, net: nn.Module) -> NDArray[np.float32]:
        """(R, P) probabilities."""
        p: NDArray[np.float32] = torch.cat(
            [net(self.person[b], self.video[b]) for b in in_order(len(self.person))]
        ).numpy()
        return p

    def mean_loss(self, net: nn.Module) -> float:
        """The training loss over all rows."""
        return float(((self.predict(net) - self.labels.numpy()) ** 2).mean(0).sum())


def save(
    name: str, net: nn.Module, calibration: dict[str, tuple[float, float]], log: TrainingLog, out: Path
) -> float:
    """Two graphs (one person, one person a row) and their facts; the larger parity difference."""
    rows = torch.arange(min(3, len(log.videos) + 1))
    one = {"person_index": torch.zeros(1, dtype=torch.long), "video_index": rows}
    each = {"person_index": torch.zeros(len(rows), dtype=torch.long), "video_index": rows}
    difference = export(net, one, {"video_index"}, "probabilities", out / "ranker.onnx")
    rowwise = export(net, each, set(each), "probabilities", out / "ranker_rows.onnx")
    facts = {
        "kind": name,
        "inputs": list(one),
        "heads": list(HEADS),
        "calibration": {head: list(numbers) for head, numbers in calibration.items()},
    }
    (out / "ranker.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
    (out / "ranker_people.json").write_text(json.dumps(list(log.people)), "utf-8")
    return max(difference, rowwise)
