"""How often each video was watched long lately: the last resort of serving and the bar for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zhiliu.train.log import TrainingLog
from zhiliu.train.retrieval_data import (
    POPULARITY_HALF_LIFE_MS,
    Progress,
    decayed_long_views,
    open_log,
    report,
)


@dataclass(frozen=True, slots=True)
class Popularity:
    """Writes ``popularity.npy`` (N,) float32: long views with decay."""

    half_life_ms: float = POPULARITY_HALF_LIFE_MS
    log: TrainingLog | None = None
    name: ClassVar[str] = "popularity"

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
        """Count everything before ``until_ms``.

        Raises:
            ValueError: nothing usable before the cut.

        """
        log = open_log(snapshot, until_ms, self.log)
        counts = decayed_long_views(log, self.half_life_ms)
        np.save(out / "popularity.npy", counts.astype(np.float32))
        report(progress, "popularity", 1.0)
        return {"videos": len(counts), "watched": int(np.count_nonzero(counts))}
