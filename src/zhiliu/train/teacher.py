"""LightGBM on the ranker's own features and rows: the baseline it is compared with, and its teacher.

Trees find thresholds that a network needs many rows for; a network that also matches the trees' probabilities
learns faster than from 0/1 outcomes alone (knowledge distillation, Hinton et al. 2015, eq. 1 with T = 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from zhiliu.types import F32, HEADS

TAUGHT: tuple[str, ...] = ("click", "long_view", "complete", "like")
"""Heads with enough positives for trees."""
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 50,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}
MOST_ROUNDS = 300
PATIENCE = 25


def tabular(numeric: F32, context: Any, person: Any, tag: Any) -> F32:
    """(B, F + 4 + fields + 1): everything the network sees but the sequence and the ids."""
    table: F32 = np.hstack([numeric, context, person, tag[:, None]]).astype(np.float32)
    return table


class Teacher:
    """One booster a head."""

    def __init__(self, boosters: Mapping[str, lightgbm.Booster]) -> None:
        self.boosters = boosters

    @classmethod
    def fit(
        cls,
        table: F32,
        labels: F32,
        later: tuple[F32, F32],
        *,
        numeric: int,
        seed: int,
        threads: int,
        progress: Callable[[str, float], None] | None = None,
    ) -> Teacher:
        """Early stopping on ``later`` = (table, labels); columns from ``numeric`` on are categories."""
        categories = list(range(numeric, table.shape[1]))
        parameters = {**PARAMETERS, "seed": seed, "num_threads": threads}
        boosters: dict[str, lightgbm.Booster] = {}
        for i, head in enumerate(TAUGHT):
            column = HEADS.index(head)
            data = lightgbm.Dataset(table, labels[:, column].copy(), categorical_feature=categories)
            check = lightgbm.Dataset(later[0], later[1][:, column].copy(), reference=data)
            boosters[head] = lightgbm.train(
                parameters,
                data,
                MOST_ROUNDS,
                valid_sets=[check],
                callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
            )
            if progress is not None:
                progress("LightGBM", (i + 1) / len(TAUGHT))
        return cls(boosters)

    def predict(self, table: F32) -> dict[str, F32]:
        """Head → (B,) probabilities."""
        return {head: np.asarray(b.predict(table), np.float32) for head, b in self.boosters.items()}

    def save(self, out: Path) -> None:
        """Text files ``lightgbm_<head>.txt``."""
        for head, booster in self.boosters.items():
            booster.save_model(str(out / f"lightgbm_{head}.txt"), num_iteration=booster.best_iteration)

    @classmethod
    def load(cls, folder: Path) -> Teacher:
        """What ``save`` wrote."""
        files = {head: folder / f"lightgbm_{head}.txt" for head in TAUGHT}
        return cls({head: lightgbm.Booster(model_file=str(f)) for head, f in files.items() if f.is_file()})
