"""One person's impressions with their outcomes, joined event by event.

The rules are those of ``labels.interactions``, which joins a whole log at once: by request, else to the newest
earlier impression of the video, else the outcome makes a row of its own. ``add`` takes events one at a time and
says no when an event came too late for that; the caller then folds the person's events anew with ``fold``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from zhiliu.features.context import surface_code
from zhiliu.labels.rules import HEAD_INDEX, HEAD_OF_TYPE
from zhiliu.types import HEADS, NEVER_MS, Event, EventType, History, StoredEvent

JOINED: Final = frozenset({EventType.IMPRESSION, EventType.VIEW, *HEAD_OF_TYPE})
"""Events that make or change a row. What was liked was liked: an unlike changes no row, as in training."""

Key = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class Fact:
    """An event about a known video: its catalogue row and the heads it makes true."""

    stored: StoredEvent
    video: int
    heads: tuple[str, ...]

    @property
    def event(self) -> Event:
        """What happened."""
        return self.stored.event


@dataclass(slots=True)
class Row:
    """One impression while it is being joined."""

    video: int
    time_ms: int
    offset: int
    surface: int
    request: str | None
    shown: bool
    watch_ms: float = 0.0
    watch_known_ms: int = NEVER_MS
    label_ms: list[int] = field(default_factory=lambda: [NEVER_MS] * len(HEADS))

    def tell(self, fact: Fact) -> None:
        """Join an outcome."""
        event = fact.event
        for head in fact.heads:
            i = HEAD_INDEX[head]
            self.label_ms[i] = min(self.label_ms[i], event.time)
        if event.type is EventType.VIEW and event.watch_ms is not None:
            self.watch_ms += event.watch_ms
            known = self.watch_known_ms
            self.watch_known_ms = event.time if known == NEVER_MS else max(known, event.time)


class Past:
    """The newest rows of one person. At most ``2 * keep`` are held, at least the newest ``keep``."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.rows: list[Row] = []  # by (time, offset)
        self.newest: dict[int, Row] = {}  # video -> its newest impression
        self.by_request: dict[Key, Row] = {}  # (video, request) -> that impression
        self.own: dict[Key, Row] = {}  # outcomes without an impression
        self.shown: set[tuple[int, str | None, int]] = set()  # impressions are counted once
        self.named: set[Key] = set()  # requests that outcomes have named
        self.touched: dict[int, int] = {}  # video -> time of its newest outcome

    @classmethod
    def fold(cls, facts: Iterable[Fact], keep: int) -> Past:
        """All facts at once, in any order."""
        past = cls(keep)
        ordered = sorted(facts, key=lambda fact: (fact.event.time, fact.stored.offset))
        shown: dict[int, list[Row]] = {}
        for fact in ordered:
            if fact.event.type is EventType.IMPRESSION and (row := past._impression(fact)) is not None:
                shown.setdefault(row.video, []).append(row)
        for fact in ordered:
            if fact.event.type is not EventType.IMPRESSION:
                past._outcome(fact, shown.get(fact.video, ()))
        past.rows.sort(key=lambda row: (row.time_ms, row.offset))
        past._forget()
        return past

    def add(self, fact: Fact) -> bool:
        """Take in one more; False, and nothing changed, when it came too late to be joined on its own."""
        event = fact.event
        if self._is_late(fact):
            return False
        if event.type is EventType.IMPRESSION:
            self._impression(fact)
        else:
            newest = self.newest.get(fact.video)
            self._outcome(fact, () if newest is None else (newest,))
        if len(self.rows) > 2 * self.keep:
            self._forget()
        return True

    @property
    def newest_ms(self) -> int:
        """Time of the newest row; -1 when there is none."""
        return self.rows[-1].time_ms if self.rows else -1

    def history(self, rows: int, before_ms: int = NEVER_MS) -> History:
        """The newest ``rows`` shown before ``before_ms``, as arrays of their own."""
        end = bisect_left(self.rows, before_ms, key=lambda row: row.time_ms)
        last = self.rows[max(0, end - rows) : end]
        if not last:
            return History.empty()
        return History(
            video=np.array([row.video for row in last], np.int32),
            time_ms=np.array([row.time_ms for row in last], np.int64),
            watch_ms=np.array([row.watch_ms for row in last], np.float32),
            watch_known_ms=np.array([row.watch_known_ms for row in last], np.int64),
            label_ms=np.array([row.label_ms for row in last], np.int64),
            surface=np.array([row.surface for row in last], np.int32),
        )

    def _is_late(self, fact: Fact) -> bool:
        event, video = fact.event, fact.video
        last_ms = self.newest_ms
        touched = self.touched.get(video, -1)
        if event.type is EventType.IMPRESSION:
            return event.time < last_ms or touched >= event.time or (video, event.request_id) in self.named
        if event.request_id is not None and (video, event.request_id) in self.by_request:
            return False
        newest = self.newest.get(video)
        if newest is not None:
            return newest.time_ms > event.time
        own = self.own.get((video, event.request_id))
        return event.time < (last_ms if own is None else own.time_ms)

    def _impression(self, fact: Fact) -> Row | None:
        """A new row, unless it is a repeat."""
        event = fact.event
        if (fact.video, event.request_id, event.time) in self.shown:
            return None
        self.shown.add((fact.video, event.request_id, event.time))
        row = self._row(fact, shown=True)
        self.newest[fact.video] = row
        if event.request_id is not None:
            self.by_request[fact.video, event.request_id] = row
        return row

    def _outcome(self, fact: Fact, shown: tuple[Row, ...] | list[Row]) -> None:
        """Join to one of the video's impressions (by time), or to a row of its own."""
        event, key = fact.event, (fact.video, fact.event.request_id)
        self.touched[fact.video] = max(event.time, self.touched.get(fact.video, -1))
        row = None
        if event.request_id is not None:
            self.named.add(key)
            row = self.by_request.get(key)
        if row is None:
            before = bisect_right(shown, event.time, key=lambda one: one.time_ms)
            row = shown[before - 1] if before else self.own.get(key)
        if row is None:
            row = self.own[key] = self._row(fact, shown=False)
        row.tell(fact)

    def _row(self, fact: Fact, *, shown: bool) -> Row:
        event = fact.event
        row = Row(
            fact.video, event.time, fact.stored.offset, surface_code(event.surface), event.request_id, shown
        )
        self.rows.append(row)
        return row

    def _forget(self) -> None:
        """Keep the newest ``keep`` rows and what belongs to them."""
        self.rows = self.rows[-self.keep :]
        impressions = [row for row in self.rows if row.shown]
        self.newest = {row.video: row for row in impressions}
        self.by_request = {(row.video, row.request): row for row in impressions if row.request is not None}
        self.own = {(row.video, row.request): row for row in self.rows if not row.shown}
        self.shown = {(row.video, row.request, row.time_ms) for row in impressions}
        videos = {row.video for row in self.rows}
        self.named = {key for key in self.named if key[0] in videos}
        self.touched = {video: time for video, time in self.touched.items() if video in videos}
