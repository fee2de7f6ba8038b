"""Writes decisions down in the background: a page never waits for the log, and never fails because of it.

Slates are greedy: given the query, each video is served in its slot with certainty, so its propensity is 1.0.
A policy that explores puts the probability into a column ``propensity`` (K,).
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import structlog

from zhiliu.types import I32, Candidates, Decision, DecisionItem, Query, Slate

log = structlog.get_logger()

WAITING: Final = 10_000
"""Decisions that wait to be written; beyond it new ones are lost, and counted."""
BATCH: Final = 500
"""Written in one transaction."""
LINGER_S: Final = 0.1
"""A decision may wait this long for others: at 250 pages a second a transaction each costs an eighth of a core."""
GREEDY_PROPENSITY: Final = 1.0


class DecisionSink(Protocol):
    """Where decisions go: ``Store.decisions``."""

    def append(self, batch: Sequence[Decision], /) -> None: ...


class MemoryRecorder:
    """Keeps decisions in a list, written before ``record`` returns."""

    def __init__(self, id_of: Callable[[int], str]) -> None:
        self.decisions: list[Decision] = []
        self._id_of = id_of

    def record(self, query: Query, slate: Slate) -> None:
        try:
            self.decisions.append(decision_of(query, slate, self._id_of))
        except Exception:  # the protocol: never raises
            log.exception("decision lost", request_id=slate.request_id)


class StoreRecorder:
    """One thread writes what has gathered. ``close`` writes the rest."""

    def __init__(self, decisions: DecisionSink, id_of: Callable[[int], str]) -> None:
        self.failures = 0
        """Decisions that could not be made or written."""
        self.written = 0
        self._decisions = decisions
        self._id_of = id_of  # catalogue row -> video id
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Query, Slate]] = deque()
        self._writing: list[Decision] = []
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="decision-recorder", daemon=True)
        self._thread.start()

    def record(self, query: Query, slate: Slate) -> None:
        """Put in line; what does not fit is lost and counted."""
        with self._changed:
            if self._closed or len(self._waiting) >= WAITING:
                self._lose(1, "the queue is full" if not self._closed else "the recorder is closed")
                return
            self._waiting.append((query, slate))
            self._changed.notify_all()

    def pending(self, request_id: str) -> Decision | None:
        """A decision that is not in the store yet; ask here first, then the store."""
        with self._changed:
            found = [(query, slate) for query, slate in self._waiting if slate.request_id == request_id]
            written = [decision for decision in self._writing if decision.request_id == request_id]
        if found:
            return decision_of(*found[0], self._id_of)
        return written[0] if written else None

    def flush(self) -> None:
        """Wait until everything recorded so far is written or counted as lost."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy)

    def close(self) -> None:
        """Write what waits, then stop. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
                if not self._waiting:
                    return
                self._changed.wait_for(lambda: len(self._waiting) >= BATCH or self._closed, LINGER_S)
                taken = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                self._writing = self._decide(taken)
                self._busy = True
            self._write(self._writing)
            with self._changed:
                self._writing, self._busy = [], False
                self._changed.notify_all()

    def _decide(self, taken: Sequence[tuple[Query, Slate]]) -> list[Decision]:
        made: list[Decision] = []
        for query, slate in taken:
            try:
                made.append(decision_of(query, slate, self._id_of))
            except Exception as error:  # one odd slate must not take the others with it
                self._lose(1, f"{type(error).__name__}: {error}")
        return made

    def _write(self, batch: Sequence[Decision]) -> None:
        """All at once; when that fails one by one, so that a bad one is lost alone."""
        try:
            self._decisions.append(batch)
            self.written += len(batch)
        except Exception as error:  # a full disk, a number that is none
            if len(batch) == 1:
                self._lose(1, f"{type(error).__name__}: {error}")
                return
            for decision in batch:
                self._write([decision])

    def _lose(self, count: int, reason: str) -> None:
        self.failures += count
        with suppress(Exception):  # a log that cannot be written must not end the thread
            log.error("decision lost", reason=reason, lost=self.failures)


def decision_of(query: Query, slate: Slate, id_of: Callable[[int], str]) -> Decision:
    """What cannot be rebuilt later, from a query and its slate."""
    items = slate.items
    features = items.columns.get("features")  # (K, F)
    propensity = items.columns.get("propensity")
    heads = {name.removeprefix("head:"): c for name, c in items.columns.items() if name.startswith("head:")}
    reasons = slate.reasons or ((),) * len(items)
    return Decision(
        request_id=slate.request_id,
        person=query.person,
        time_ms=query.now_ms,
        surface=query.surface,
        policy=slate.policy,
        model=slate.model,
        candidate_hash=slate.candidate_hash,
        candidate_count=slate.candidate_count,
        seed=query.seed,
        weights=dict(slate.weights),
        seen_count=len(np.unique(query.seen)),
        seen_hash=seen_hash(query.seen),
        mode=str(query.context.get("mode", "personal")),
        context=plain(query.context),
        dropped=dict(slate.dropped),
        failed=slate.failed,
        items=tuple(
            DecisionItem(
                slot=slot,
                video_id=id_of(row),
                score=float(items["score"][slot]),
                propensity=GREEDY_PROPENSITY if propensity is None else float(propensity[slot]),
                sources=found_by(items, slot, slate.source_names),
                heads={name: float(column[slot]) for name, column in heads.items()},
                features=() if features is None else tuple(features[slot].tolist()),
                reasons=reasons[slot],
            )
            for slot, row in enumerate(items.video.tolist())
        ),
    )


def seen_hash(seen: I32) -> str:
    """Names the set of rows (S,), whatever its order; empty for none."""
    rows = np.unique(seen).astype("<i4")
    return hashlib.blake2b(rows.tobytes(), digest_size=8).hexdigest() if len(rows) else ""


def found_by(items: Candidates, slot: int, source_names: Sequence[str]) -> tuple[str, ...]:
    """Names of all sources that found the video in a slot."""
    bits = int(items["sources"][slot]) if "sources" in items.columns else 0
    return tuple(name for i, name in enumerate(source_names) if bits >> i & 1)


def plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a context that JSON can hold."""
    kept: dict[str, Any] = {}
    for name, value in context.items():
        try:
            kept[name] = msgspec.json.decode(
                msgspec.json.encode(value.item() if isinstance(value, np.generic) else value)
            )
        except (TypeError, ValueError, msgspec.MsgspecError):
            continue
    return kept
