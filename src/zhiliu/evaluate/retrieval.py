"""Do the sources find what people will watch long? Judged on days after the cut, by the code that serves.

The rule: a test person has at least one long view after the cut of a video not seen before it. Videos seen
before the cut are taken out of both the positives and the lists. Impressions of the test days were chosen by
the platform that logged them, so a video nobody was shown cannot be a hit: recall is a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.evaluate.metrics import Interval, bootstrap_people
from zhiliu.evaluate.metrics_retrieval import coverage, mean_over_people, recall
from zhiliu.labels.interactions import interactions, load_events
from zhiliu.live.world import mapping
from zhiliu.protocols import Source
from zhiliu.sources.als import AlsSource
from zhiliu.sources.placement import Placement
from zhiliu.sources.similar import SimilarSource
from zhiliu.sources.text import TextSource
from zhiliu.sources.two_tower import TwoTowerSource
from zhiliu.train.log import TrainingLog
from zhiliu.types import F32, I32, Candidates, History, Query

CUTS = (100, 500)
RESAMPLES = 200
HISTORY = 100
"""Newest rows of the past a query carries; older ones are only ``seen``."""
QUOTAS: Mapping[str, int] = {"two_tower": 250, "als": 350, "similar": 60, "popularity": 30}
"""How many of each source the merged list takes: what the feed asks for by default."""
RULE = "long views after the cut of videos not seen before it; seen videos are in no list"


@dataclass(frozen=True, slots=True)
class Found:
    """One source at one list length."""

    recall: Interval
    hit_rate: Interval
    coverage: float
    against_popularity: Interval
    """Recall minus that of popularity, paired by person."""

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return {
            "recall": self.recall.value,
            "recall_95": [self.recall.low, self.recall.high],
            "hit_rate": self.hit_rate.value,
            "hit_rate_95": [self.hit_rate.low, self.hit_rate.high],
            "coverage": self.coverage,
            "minus_popularity": self.against_popularity.value,
            "minus_popularity_95": [self.against_popularity.low, self.against_popularity.high],
        }


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """Every source on the same people."""

    people: int
    positives: int
    excluded: int
    """Positives left out because the video had been seen before the cut."""
    videos: int
    sources: Mapping[str, Mapping[int, Found]]

    def as_dict(self) -> dict[str, Any]:
        """JSON: ``sources`` → name → ``@100`` → figures."""
        return {
            "rule": RULE,
            "people": self.people,
            "positives": self.positives,
            "excluded_seen": self.excluded,
            "videos": self.videos,
            "sources": {
                name: {f"@{k}": found.as_dict() for k, found in cuts.items()}
                for name, cuts in self.sources.items()
            },
        }

    def lines(self) -> list[list[str]]:
        """Rows of a text table, the header first."""
        head = ["source", *(f"{what}@{k}" for k in CUTS for what in ("recall", "hit rate", "coverage"))]
        rows = [
            [
                name,
                *(
                    cell
                    for k in CUTS
                    for cell in (str(c[k].recall), f"{c[k].hit_rate.value:.4f}", f"{c[k].coverage:.3f}")
                ),
            ]
            for name, c in self.sources.items()
        ]
        return [head, *rows]


@dataclass(frozen=True, slots=True)
class Future:
    """Test people, what they will watch long, and what they had seen; one entry a person."""

    people: Sequence[str]
    row: I32  # (G,) person row in the log, -1 for somebody new
    positives: Sequence[I32]
    excluded: int


@dataclass(frozen=True, slots=True)
class TrainedWorld:
    """What retrieval reads, without a server: a catalogue and an artifact."""

    videos: VideoColumns
    artifact: Artifact
    artifact_rows: I32
    artifact_pos: I32

    @classmethod
    def of(cls, videos: VideoColumns, artifact: Artifact) -> TrainedWorld:
        """Rows matched by id."""
        rows, pos = mapping(artifact, videos)
        return cls(videos, artifact, rows, pos)


@dataclass(slots=True)
class Fixed:
    """The same order for everybody: popularity, or any other baseline."""

    name: str
    scores: F32  # (N,)
    placement: Placement

    def retrieve(self, query: Query, k: int) -> Candidates:
        """The highest scores not yet seen."""
        return self.placement.best(query, self.scores.copy(), k)


@dataclass(slots=True)
class Random:
    """Any videos at all: what recall means on this catalogue."""

    placement: Placement
    name: str = "random"

    def retrieve(self, query: Query, k: int) -> Candidates:
        """Chance comes from the query."""
        return self.placement.best(query, query.rng().random(len(self.placement.rows), np.float32), k)


def trained_sources(world: TrainedWorld) -> list[Source]:
    """The retrieval models the artifact holds, and the two baselines."""
    kinds: tuple[Any, ...] = (TwoTowerSource, AlsSource, SimilarSource, TextSource)
    sources: list[Source] = [
        kind.from_world(world) for kind in kinds if all(world.artifact.has(name) for name in kind.needs)
    ]
    placement = Placement.of(world)
    popularity = np.asarray(world.artifact.array("popularity"), np.float32)
    return [*sources, Fixed("popularity", popularity, placement), Random(placement)]


def future_of(snapshot: Path, log: TrainingLog, cut_ms: int, limit: int | None, seed: int) -> Future:
    """Who watches what long at or after ``cut_ms``; at most ``limit`` people, drawn by ``seed``.

    Raises:
        ValueError: nobody does.

    """
    events = load_events(snapshot).filter(pl.col("time_ms") >= cut_ms)
    rows = interactions(events) if len(events) else None
    if rows is None or not rows["long_view"].sum():
        raise ValueError(f"{snapshot}: no long view at or after {cut_ms} ms; move the cut back")
    watched = rows.filter(pl.col("long_view") == 1).unique(["person", "video_row"], maintain_order=True)
    grouped = watched.group_by("person", maintain_order=True).agg("video_row")
    row_of = {name: i for i, name in enumerate(log.people)}
    people, where, positives, excluded = [], [], [], 0
    for name, videos in grouped.iter_rows():
        row = row_of.get(name, -1)
        wanted = np.array(videos, np.int32)
        new = wanted[~np.isin(wanted, seen_by(log, row))]
        excluded += len(wanted) - len(new)
        if len(new):
            people.append(name)
            where.append(row)
            positives.append(new)
    if limit is not None and limit < len(people):
        keep = np.sort(np.random.default_rng(seed).choice(len(people), limit, replace=False)).tolist()
        people, where, positives = ([listed[i] for i in keep] for listed in (people, where, positives))
    return Future(people, np.array(where, np.int32), positives, excluded)


def seen_by(log: TrainingLog, row: int) -> I32:
    """Videos in a person's past; row -1 has none."""
    if row < 0:
        return np.zeros(0, np.int32)
    return log.history.video[log.start[row] : log.start[row + 1]]


def queries(future: Future, log: TrainingLog, cut_ms: int, seed: int) -> Iterator[Query]:
    """One request a test person, at the moment of the cut."""
    for i, (name, row) in enumerate(zip(future.people, future.row.tolist(), strict=True)):
        yield Query(
            person=name,
            now_ms=cut_ms,
            seed=seed + i,
            request_id=f"retrieval:{i}",
            history=past(log, row) if row >= 0 else History.empty(),
            seen=np.unique(seen_by(log, row)),
            profile=log.profiles[row] if row >= 0 else None,
        )


def past(log: TrainingLog, row: int) -> History:
    """The newest HISTORY rows of a person."""
    cut = slice(max(int(log.start[row]), int(log.start[row + 1]) - HISTORY), int(log.start[row + 1]))
    every = log.history
    return History(
        video=every.video[cut],
        time_ms=every.time_ms[cut],
        watch_ms=every.watch_ms[cut],
        watch_known_ms=every.watch_known_ms[cut],
        label_ms=every.label_ms[cut],
        surface=every.surface[cut],
    )


def evaluate_retrieval(
    snapshot: Path,
    log: TrainingLog,
    sources: Sequence[Source],
    *,
    cut_ms: int,
    limit: int | None = 4000,
    quotas: Mapping[str, int] = QUOTAS,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> RetrievalReport:
    """Ask every source for every test person; ``log`` holds what was known before ``cut_ms``.

    ``merged`` is what the pipeline would rank: each source's quota, taking turns.

    Raises:
        ValueError: no long view after the cut, or the log reaches beyond it.

    """
    if int(log.history.time_ms.max()) >= cut_ms:
        raise ValueError(
            f"the log reaches to {int(log.history.time_ms.max())} ms, beyond the cut {cut_ms} ms"
        )
    future = future_of(snapshot, log, cut_ms, limit, seed)
    lists: dict[str, list[I32]] = {name: [] for name in [*(s.name for s in sources), "merged"]}
    for i, query in enumerate(queries(future, log, cut_ms, seed)):
        for name, found in lists_of(query, sources, quotas).items():
            lists[name].append(found)
        if progress is not None and i % 100 == 0:
            progress("retrieval", i / len(future.people))
    return judge(lists, future, len(log.videos), seed)


def lists_of(query: Query, sources: Sequence[Source], quotas: Mapping[str, int]) -> dict[str, I32]:
    """The first videos of each source and of their union, without the seen."""
    found = [(source.name, source.retrieve(query, max(CUTS))) for source in sources]
    found = [(name, c.take(~np.isin(c.video, query.seen))) for name, c in found]
    merged = Candidates.merge(
        [(name, c.take(np.arange(min(quotas.get(name, 0), len(c))))) for name, c in found]
    )
    return {name: c.video for name, c in found} | {"merged": merged.video}


def judge(lists: Mapping[str, Sequence[I32]], future: Future, catalogue: int, seed: int) -> RetrievalReport:
    """Figures of every list with intervals over people."""
    draws = bootstrap_people(np.arange(len(future.people)), RESAMPLES, seed)
    recalls = {
        (name, k): np.array([recall(f, p, k) for f, p in zip(found, future.positives, strict=True)])
        for name, found in lists.items()
        for k in CUTS
    }
    return RetrievalReport(
        people=len(future.people),
        positives=sum(map(len, future.positives)),
        excluded=future.excluded,
        videos=catalogue,
        sources={
            name: {
                k: Found(
                    mean_over_people(recalls[name, k], draws),
                    mean_over_people((recalls[name, k] > 0).astype(np.float64), draws),
                    coverage(found, k, catalogue),
                    mean_over_people(recalls[name, k] - recalls.get(("popularity", k), 0.0), draws),
                )
                for k in CUTS
            }
            for name, found in lists.items()
        },
    )
