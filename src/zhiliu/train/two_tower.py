"""Two-tower retrieval: in-batch sampled softmax with logQ correction, Adam, early stopping on the last day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from zhiliu.features.profile import ProfileVocabulary
from zhiliu.models.two_tower import PersonTower, TwoTowerShape, VideoTower, sampled_softmax
from zhiliu.train.log import TrainingLog
from zhiliu.train.retrieval_data import (
    THREADS,
    Progress,
    few_threads,
    open_log,
    report,
    trained_text,
)
from zhiliu.train.two_tower_data import Batch, Examples
from zhiliu.train.two_tower_export import export_towers
from zhiliu.types import I64


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTowerConfig:
    """Knobs of the recipe."""

    width: int = 64
    history: int = 50
    """Rows of the past a person is told by; small: fast, large: long memory."""
    batch: int = 2048
    """Examples a step; each is a negative for all the others."""
    epoch_rows: int = 150_000
    """Examples drawn an epoch, newer and stronger ones more often."""
    epochs: int = 4
    patience: int = 1
    """Epochs without improvement on the last day before it stops."""
    learning_rate: float = 2e-3
    id_dropout: float = 0.2
    """Share of videos whose id is hidden in a step: what is left must describe cold videos."""
    half_life_ms: float = 5 * 86_400_000
    """An example's chance to be drawn halves with this age."""
    validation_rows: int = 2048


@dataclass(frozen=True, slots=True)
class TwoTower:
    """Two files of vectors and the person tower.

    Writes ``two_tower_video.npy`` (N, D + 1), ``two_tower_past.npy`` (N, D), ``two_tower_person.onnx`` and
    ``two_tower.json`` (widths, history length, profile vocabulary).
    """

    config: TwoTowerConfig = TwoTowerConfig()
    log: TrainingLog | None = None
    """Shared by the recipes of one run; read from the snapshot when none is given."""
    name: ClassVar[str] = "two_tower"

    def fit(
        self,
        snapshot: Path,
        out: Path,
        *,
        until_ms: int,
        seed: int,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Mapping[str, Any]:
        """Train on everything before ``until_ms``; text vectors of the text recipe if it ran.

        Raises:
            ValueError: nothing usable before the cut.
            TrainError: the exported tower differs from the trained one.

        """
        log = open_log(snapshot, until_ms, self.log)
        text = trained_text(out)
        threads = torch.get_num_threads()
        torch.set_num_threads(min(threads, THREADS))
        try:
            with few_threads(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                examples = Examples.of(log, text, until_ms, self.config.history, self.config.half_life_ms)
                return Training(examples, self.config, seed, progress).run(out)
        finally:
            torch.set_num_threads(threads)


class Training:
    """One run: two towers, one optimiser."""

    def __init__(
        self, examples: Examples, config: TwoTowerConfig, seed: int, progress: Progress | None
    ) -> None:
        self.examples = examples
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.progress = progress
        self.shape = examples.shape(config.width)
        self.videos = VideoTower(self.shape)
        self.people = PersonTower(self.shape)
        self.parameters = [*self.videos.parameters(), *self.people.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr=config.learning_rate)

    def run(self, out: Path) -> Mapping[str, Any]:
        """Epochs until the last day stops improving, then one short pass over that day, then the export."""
        train, validation = self.examples.split(self.config.validation_rows, self.rng)
        losses: list[float] = []
        best: dict[str, Any] | None = None
        waited = 0
        for epoch in range(self.config.epochs if len(train) else 0):
            rows = self.examples.draw(train, self.config.epoch_rows, self.rng)
            self.epoch(rows, epoch)
            loss = self.validate(validation)
            waited = 0 if not losses or loss < min(losses) else waited + 1
            losses.append(loss)
            if waited == 0:
                best = self.state()
            if waited > self.config.patience - 1:
                break
        if best is not None:
            self.restore(best)
        self.last_day()
        metrics = {"epochs": len(losses), "examples": len(train), "validation_loss": losses}
        parity = export_towers(self.examples, self.videos, self.people, out)
        write_facts(out, self.shape, self.config, self.examples.vocabulary)
        return {**metrics, "parity_max_abs": parity}

    def epoch(self, rows: I64, epoch: int) -> None:
        """One pass over the rows drawn."""
        steps = max(1, -(-len(rows) // self.config.batch))
        for step, part in enumerate(np.array_split(rows, steps)):
            self.step(part)
            report(self.progress, "two-tower", (epoch + (step + 1) / steps) / (self.config.epochs + 1))

    def step(self, rows: I64) -> float:
        """One update on a batch of example rows."""
        batch = self.examples.batch(rows)
        scores = self.scores(batch, self.config.id_dropout)
        loss = sampled_softmax(scores, batch.video, batch.log_q)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimiser.step()
        return float(loss.detach())

    def scores(self, batch: Batch, id_dropout: float) -> torch.Tensor:
        """(B, B): every person of the batch against every video of the batch."""
        known = self.examples.known[batch.unique].unsqueeze(1)
        if id_dropout > 0:
            known = known * (torch.rand_like(known) >= id_dropout)
        content = self.videos.content(batch.unique, known, *self.examples.facts(batch.unique))  # (n, D)
        look_up = torch.nn.functional.embedding  # its backward is faster than indexing's
        past, asked = look_up(batch.past, content), look_up(batch.past, content @ self.people.query)
        person = self.people.vector(
            past, asked, batch.kind, batch.gap, batch.mask, batch.codes, batch.numeric
        )
        at = batch.place
        video = self.videos(content[at], batch.video, known[at], batch.level)
        return person @ video.T  # type: ignore[no-any-return]

    @torch.no_grad()
    def validate(self, rows: I64) -> float:
        """Full-softmax loss of the last day's long views, over the whole catalogue."""
        if not len(rows):
            return 0.0
        content, video = self.examples.catalogue(self.videos)
        loss = 0.0
        for part in np.array_split(rows, max(1, len(rows) // 512)):
            batch = self.examples.batch(part)
            past = content[batch.unique[batch.past]]
            person = self.people(past, batch.kind, batch.gap, batch.mask, batch.codes, batch.numeric)
            loss += float(torch.nn.functional.cross_entropy(person @ video.T, batch.video, reduction="sum"))
        return loss / len(rows)

    def last_day(self) -> None:
        """The validation day is the one nearest to serving: learn it too, gently and once."""
        rows = self.examples.last_day_rows()
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate / 4
        self.epoch(self.rng.permutation(rows), self.config.epochs)

    def state(self) -> dict[str, Any]:
        """A copy of all weights."""
        return {
            "videos": {k: v.clone() for k, v in self.videos.state_dict().items()},
            "people": {k: v.clone() for k, v in self.people.state_dict().items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a copy."""
        self.videos.load_state_dict(state["videos"])
        self.people.load_state_dict(state["people"])


def write_facts(
    out: Path, shape: TwoTowerShape, config: TwoTowerConfig, vocabulary: ProfileVocabulary
) -> None:
    """What serving must know to prepare a person for the tower."""
    facts = {"shape": asdict(shape), "history": config.history, "profile": vocabulary.codes}
    (out / "two_tower.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
