"""The verbs of Zhiliu. A return type holds each stage's rule: a mask cannot reorder, a column cannot drop.

Each protocol has a contract test class in ``zhiliu.testing``; a new component subclasses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from zhiliu.types import (
    F32,
    I64,
    Bool,
    Candidates,
    Column,
    Event,
    EventType,
    Person,
    Query,
    Reason,
    Receipt,
    Slate,
    StoredEvent,
    Video,
)


@runtime_checkable
class Source(Protocol):
    """Where candidates come from."""

    name: str

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` unique videos, best first, with a float32 ``score`` column."""
        ...


@runtime_checkable
class Hydrator(Protocol):
    """Adds columns; cannot drop or reorder."""

    name: str

    def hydrate(self, query: Query, candidates: Candidates) -> Mapping[str, Column]:
        """Named columns (C,) or (C, D)."""
        ...


@runtime_checkable
class Filter(Protocol):
    """A rule without score; cannot reorder or add."""

    name: str

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        """(C,) True for what may stay."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """Predicts outcomes for each candidate."""

    name: str

    def predict(self, query: Query, candidates: Candidates) -> Mapping[str, F32]:
        """Head name -> (C,) calibrated probabilities; ``watch_ms`` is expected milliseconds."""
        ...


@runtime_checkable
class FeatureRanker(Ranker, Protocol):
    """A ranker that tells what it read."""

    def predict_with_features(self, query: Query, candidates: Candidates) -> tuple[Mapping[str, F32], F32]:
        """As ``predict``, and the numeric features (C, F) that led to it."""
        ...


@runtime_checkable
class Objective(Protocol):
    """Blends heads into one score."""

    name: str

    def score(self, heads: Mapping[str, F32]) -> F32:
        """(C,) the higher the better."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Arranges the list as a whole: the only stage that chooses rows."""

    name: str

    def arrange(self, query: Query, candidates: Candidates, k: int) -> I64:
        """(≤ k,) positions into candidates, first slot first. ``candidates['score']`` is the objective."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """Says why each video of a slate is there."""

    name: str

    def reasons(self, query: Query, items: Candidates) -> tuple[tuple[Reason, ...], ...]:
        """One tuple of reasons a row of ``items`` (K,)."""
        ...


@runtime_checkable
class Recorder(Protocol):
    """Writes the decision down, after the answer has left."""

    def record(self, query: Query, slate: Slate) -> None:
        """Never raises; what could not be written is counted and logged."""
        ...


@runtime_checkable
class EventLog(Protocol):
    """The append-only truth. Offsets grow by commit order; ``event_id`` is unique."""

    def append(self, events: Sequence[Event]) -> Receipt:
        """Durable when it returns. A repeated ``event_id`` counts as duplicate, never twice."""
        ...

    def submit(self, events: Sequence[Event]) -> Future[Receipt]:
        """As ``append``, without waiting: joins the writer's next group commit."""
        ...

    def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        """Events with offset > ``after``, in order."""
        ...

    def history(
        self, person: str, before_ms: int, limit: int, types: Sequence[EventType] | None = None
    ) -> Sequence[StoredEvent]:
        """The newest ``limit`` events of a person before ``before_ms``, oldest first; of ``types`` only, if given."""
        ...

    def last_offset(self) -> int:
        """0 when empty."""
        ...


@runtime_checkable
class Catalog(Protocol):
    """Videos. A video's row number is given at first insert, starts at 0, and never changes."""

    def put(self, videos: Iterable[Video]) -> int:
        """Insert or replace; the number written."""
        ...

    def get(self, video_id: str) -> Video | None: ...
    def delete(self, video_id: str) -> bool:
        """Marks it ``status='deleted'``: the row number stays taken. False when unknown."""
        ...

    def rows(self, after_row: int = -1, limit: int | None = None) -> Sequence[tuple[int, Video]]:
        """(row, video) in row order, deleted ones too."""
        ...

    def count(self) -> int: ...


@runtime_checkable
class People(Protocol):
    """Profiles, the same verbs as the catalogue."""

    def put(self, people: Iterable[Person]) -> int: ...
    def get(self, person_id: str) -> Person | None: ...
    def delete(self, person_id: str) -> bool: ...
    def count(self) -> int: ...


@runtime_checkable
class Recipe(Protocol):
    """An offline procedure: log in, artifact out."""

    name: str

    def fit(self, log: Path, out: Path, *, until_ms: int, seed: int, device: str) -> Mapping[str, Any]:
        """Read the snapshot folder ``log``, write files into ``out``, return metrics."""
        ...
