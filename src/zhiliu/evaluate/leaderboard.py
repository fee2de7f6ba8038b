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

Reports = dict[str, dict[str, HeadReport]]
"""model → head → figures."""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """What each model predicts for each head, judged."""

    state: State
    rows: int
    people: int
    reports: Reports
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
    baselines: Reports,
    state: State,
    progress: Callable[[float], None] | None = None,
) -> Leaderboard:
    """Score every model once and judge all heads; ``ours`` holds the network and the LightGBM boosters.

    ``baselines`` from :func:`judge_baselines`: they know ids only, so one judgement serves both states.
    """
    rows = impressions.rows()
    heads = networks_and_trees(log, impressions, ours, state, progress)
    reports = {name: judge(rows, predicted) for name, predicted in heads.items()}
    shared = [h for h in HEADS if h in reports.get("lightgbm", {}) and h in reports["multitask"]]
    against = {h: difference(reports["multitask"][h], reports["lightgbm"][h]) for h in shared}
    reports |= baselines
    return Leaderboard(state, len(rows), int(rows.person.max()) + 1, reports, against)


def judge_baselines(log: TrainingLog, impressions: Impressions, artifacts: Mapping[str, Artifact]) -> Reports:
    """Figures of rankers that read nothing but ids."""
    rows = impressions.rows()
    return {name: judge(rows, score(a, log, impressions, "frozen")) for name, a in artifacts.items()}


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
