"""Rankers side by side on the same future impressions: ours, LightGBM on the same features and rows, baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiliu.artifact import Artifact
from zhiliu.evaluate.impressions import Impressions, State, features_of, score, state_at
from zhiliu.evaluate.metrics import Interval
from zhiliu.evaluate.ranking import HeadReport, difference, judge
from zhiliu.features.builder import numeric_names
from zhiliu.rank.model import RankerModel
from zhiliu.train.log import TrainingLog
from zhiliu.train.teacher import Teacher, tabular
from zhiliu.types import F32, HEADS


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """What each model predicts for each head, judged."""

    state: State
    rows: int
    people: int
    reports: Mapping[str, Mapping[str, HeadReport]]
    """model → head → figures."""
    against: Mapping[str, tuple[Interval, Interval]]
    """head → (AUC, gAUC) of ``multitask`` minus ``lightgbm``, paired bootstrap over people."""

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {
            "state": self.state,
            "rows": self.rows,
            "people": self.people,
            "models": {m: {h: r.as_dict() for h, r in heads.items()} for m, heads in self.reports.items()},
            "multitask_minus_lightgbm": {
                head: {"auc": [a.value, a.low, a.high], "gauc": [g.value, g.low, g.high]}
                for head, (a, g) in self.against.items()
            },
        }


def leaderboard(
    log: TrainingLog,
    impressions: Impressions,
    ours: Artifact,
    baselines: Mapping[str, Artifact],
    state: State,
    progress: Callable[[float], None] | None = None,
) -> Leaderboard:
    """Score every model once and judge all heads; ``ours`` holds the network and the LightGBM boosters."""
    heads = networks_and_trees(log, impressions, ours, state, progress)
    for name, artifact in baselines.items():
        heads[name] = score(artifact, log, impressions, state)
    rows = impressions.rows()
    reports = {name: judge(rows, predicted) for name, predicted in heads.items()}
    shared = [h for h in HEADS if h in heads.get("lightgbm", {}) and h in reports["multitask"]]
    against = {h: difference(rows, heads["multitask"][h], heads["lightgbm"][h], h) for h in shared}
    return Leaderboard(state, len(rows), int(rows.person.max()) + 1, reports, against)


def networks_and_trees(
    log: TrainingLog,
    impressions: Impressions,
    ours: Artifact,
    state: State,
    progress: Callable[[float], None] | None,
) -> dict[str, dict[str, F32]]:
    """``multitask``, ``lightgbm`` and ``popularity`` from one pass over the features."""
    model = RankerModel(ours, log.videos, one_person=False)
    teacher = Teacher.load(ours.path)
    codes = np.stack([*(model.codes(p) for p in log.profiles), model.codes(None)])
    names = numeric_names()
    counted = {head: names.index(f"video_{head}") for head in HEADS}
    parts: dict[str, list[dict[str, F32]]] = {"multitask": [], "lightgbm": [], "popularity": []}
    state_ms = state_at(impressions, state, int(ours.manifest["until_ms"]))
    for cut, f in features_of(impressions, log, state_ms, model.window):
        video, person = impressions.video[cut], codes[impressions.person[cut]]
        table = tabular(f.numeric, f.context, person, log.videos.tag[video, 0])
        parts["multitask"].append(model.predict(f, video, person, impressions.names[cut]))
        parts["lightgbm"].append(teacher.predict(table))
        parts["popularity"].append({head: f.numeric[:, i] for head, i in counted.items()})
        if progress is not None:
            progress(min(1.0, cut.stop / len(impressions.video)))
    return {
        name: {head: np.concatenate([c[head] for c in chunks]) for head in chunks[0]}
        for name, chunks in parts.items()
        if chunks and chunks[0]
    }
