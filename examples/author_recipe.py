"""A model in one file: a recipe that learns offline, and the source that serves what it learned.

::

    [project.entry-points."zhiliu.recipes"]
    authors = "author_recipe:Authors"

    [project.entry-points."zhiliu.sources"]
    authors = "author_recipe:BestAuthors"

``zhiliu train --retrieval popularity,authors`` runs it; ``[feed.sources] authors = 50`` serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from zhiliu.live.exclusion import not_again
from zhiliu.live.world import World
from zhiliu.types import F32, I32, Candidates, Query

PRIOR, STRENGTH = 0.02, 50.0
"""Likes an impression of an author nobody knows, and how many impressions outweigh that."""


class Authors:
    """Writes ``author_rate.npy`` (N,): likes an impression of each video's author, smoothed."""

    name = "authors"

    def __init__(self, log: Any = None) -> None:
        """``log``: the run's log in memory; this recipe reads the snapshot."""

    def fit(
        self,
        log: Path,
        out: Path,
        *,
        until_ms: int,
        seed: int,
        device: str = "cpu",
        progress: Callable[..., None] | None = None,
    ) -> Mapping[str, Any]:
        """Count before ``until_ms``; see ``zhiliu.protocols.Recipe``."""
        videos = pl.read_parquet(log / "videos.parquet").select("row", "author_id")
        events = pl.read_parquet(log / "events.parquet").filter(pl.col("time") < until_ms)
        by_author = (
            events.join(videos, left_on="video_row", right_on="row")
            .group_by("author_id")
            .agg(shown=(pl.col("type") == "impression").sum(), liked=(pl.col("type") == "like").sum())
        )
        counts = videos.join(by_author, on="author_id", how="left").sort("row").fill_null(0)
        liked, shown = counts["liked"].to_numpy(), counts["shown"].to_numpy()
        rate = (liked + STRENGTH * PRIOR) / (np.maximum(shown, liked) + STRENGTH)
        np.save(out / "author_rate.npy", rate.astype(np.float32))
        return {"authors": len(by_author)}


class BestAuthors:
    """The videos of the best-liked authors; a video newer than the artifact waits for the next one."""

    name = "authors"
    needs = ("author_rate.npy",)

    def __init__(self, world: World, rows: I32, rate: F32) -> None:
        self.videos = world.videos
        self._rows, self._rate = rows, rate  # best first

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Artifact positions become catalogue rows; what is gone or hidden is left out."""
        if world.artifact is None:
            raise ValueError("authors needs an artifact")
        rate, rows = np.asarray(world.artifact.array("author_rate")), world.artifact_rows
        there = np.flatnonzero(rows >= 0)
        there = there[world.videos.visible[rows[there]]]
        best = there[np.argsort(-rate[there], kind="stable")]
        return cls(world, rows[best], rate[best])

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k``, those of the best-liked authors first."""
        kept = np.flatnonzero(~np.isin(self._rows, not_again(query, self.videos)))[: max(k, 0)]
        return Candidates(self._rows[kept], {"score": self._rate[kept]})
