"""What the log says now: people as a request sees them, and what everybody counts together.

The writer of the log applies events in offset order; requests read. A person is loaded from the log at the
first request, so memory holds those who are here, not everybody who ever was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.social import LIKE_WORDS
from zhiliu.live.columns import increments_of, known_part
from zhiliu.live.likers import Circle, Likers
from zhiliu.live.person import CHOICES, PersonState, PersonView
from zhiliu.live.tally import Tally
from zhiliu.live.trending import Trending
from zhiliu.protocols import EventLog
from zhiliu.types import I32, EventType, History, StoredEvent

log = structlog.get_logger()

EVENTS_A_ROW: Final = 8
"""Events read from the log for each row of history that is wanted: an impression with all its outcomes."""
ROWS_KEPT: Final = 2
"""Rows kept for each that is wanted: outcomes of older ones still find them."""
CHOICES_READ: Final = 10_000
"""Newest follows, unfollows and hides of one person that are read."""
UNREAD: Final = 1000
"""Events of somebody who does not come back are dropped beyond this and read from the log when he does."""
AHEAD_MS: Final = 24 * 3_600_000
"""Clocks of clients run ahead; what they did is read all the same."""
UNKNOWN_KEPT: Final = 10_000
"""Events about videos that another process has added wait for the catalogue, at most this many."""


class LiveState:
    """The state after ``offset``; an offset is applied once. Thread-safe."""

    def __init__(
        self,
        events: EventLog,
        videos: VideoColumns,
        *,
        history: int = 100,
        people: int = 10_000,
        ahead_ms: int = AHEAD_MS,
    ) -> None:
        self.counters = Tally(videos)
        """Reader of the decayed counters, for features."""
        self._events = events
        self._videos = videos
        self._history = history
        self._limit = people
        self._ahead_ms = ahead_ms
        self._lock = threading.Lock()  # people, pending lists, offset
        self._people: OrderedDict[str, PersonState] = OrderedDict()  # least recently asked for first
        self._unknown: list[StoredEvent] = []
        self._likers = Likers(events)
        self._offset = 0

    @property
    def offset(self) -> int:
        """The newest event that was applied."""
        return self._offset

    @property
    def trending(self) -> Trending:
        """For tests and metrics; sources read :meth:`heat`."""
        return self.counters.trending

    def heat(self) -> NDArray[np.float64]:
        """(N,) weighted events an hour of each video; see :meth:`Trending.heat`."""
        return self.counters.heat()

    # -- the log's side ------------------------------------------------------------------------------------

    def apply(self, events: Sequence[StoredEvent]) -> None:
        """Take in events in offset order; those already applied are passed over."""
        with self._lock, self.counters.lock:
            fresh = [stored for stored in events if stored.offset > self._offset]
            if not fresh:
                return
            people, row_of, note = self._people, self._videos.row_of, self.counters.note
            likes = self._likers.note
            for stored in fresh:
                event = stored.event
                if event.video_id is not None:
                    row = row_of.get(event.video_id)
                    if row is not None:
                        note(event, row)
                    elif len(self._unknown) < UNKNOWN_KEPT:
                        self._unknown.append(stored)
                    if event.type in LIKE_WORDS:
                        likes(event.person, stored, -1 if row is None else row)
                state = people.get(event.person)
                if state is not None:
                    state.pending.append(stored)
                    if len(state.pending) > UNREAD:
                        state.pending.clear()
                        state.stale = True
            self._offset = fresh[-1].offset

    def apply_frame(self, events: pl.DataFrame) -> int:
        """As :meth:`apply`, of columns (``GroupCommitLog.frame``); one caller at a time. How many were taken in.

        It stops before an event about a video that the catalogue does not have: that one is for ``apply``.
        """
        start = self._offset
        taken = known_part(events.filter(pl.col("offset") > start), self._videos)
        if taken.is_empty():
            return 0
        increments = increments_of(taken, self._videos)  # without the lock: requests go on
        with self._lock, self.counters.lock:
            if self._offset != start:
                return 0
            self.counters.count(increments)
            self._offset = int(taken["offset"][-1])
            for state in self._people.values():
                state.pending.clear()
                state.stale = True
            self._likers.clear()
        return len(taken)

    def catalogue(self, videos: VideoColumns) -> None:
        """The catalogue has changed. Row numbers never change, so people keep their state."""
        if videos is self._videos:
            return
        self.counters.catalogue(videos)
        with self._lock, self.counters.lock:
            self._videos = videos
            self._likers.catalogue()
            waiting, self._unknown = self._unknown, []
            for stored in waiting:
                row = videos.row_of.get(stored.event.video_id or "")
                if row is None:
                    self._unknown.append(stored)
                    continue
                self.counters.note(stored.event, row)
                if (state := self._people.get(stored.event.person)) is not None:
                    state.stale = True

    def dump(self) -> dict[str, NDArray[Any]]:
        """State and offset of one moment, for a checkpoint. People are not in it: the log has them."""
        with self._lock:
            return self.counters.dump() | {"offset": np.array(self._offset)}

    def restore(self, saved: dict[str, NDArray[Any]]) -> None:
        """Continue from a checkpoint. Raises ValueError as :meth:`Tally.restore`."""
        with self._lock:
            self.counters.restore(saved)
            self._offset = int(saved["offset"])

    # -- the requests' side --------------------------------------------------------------------------------

    def loaded(self, person: str) -> bool:
        """Whether a request for this person is answered from memory; otherwise it reads the log."""
        state = self._people.get(person)
        if state is None or state.stale or state.circle is None or state.circle.epoch != self._likers.epoch:
            return False
        return all(stored.event.type is not EventType.FOLLOW for stored in state.pending)

    def view(self, person: str, now_ms: int) -> PersonView:
        """What is known of a person now. Reads the log at the first call and after late events."""
        with self._lock:
            state = self._people.get(person)
            if state is None:
                state = self._people[person] = PersonState()
                if len(self._people) > self._limit:
                    self._people.popitem(last=False)
            else:
                self._people.move_to_end(person)
        with state.lock:
            with self._lock:
                pending, state.pending = state.pending, []
                reload = state.stale
                state.stale = False  # what comes from here on is pending
            if pending and not reload:
                state.update(pending, self._videos)
                reload = state.stale
            if reload:
                self._load(state, person, now_ms)
            view = state.look(self._history, now_ms)
            state.circle = self._circle(state, person, view, now_ms)
            return replace(view, followed_likes=state.circle.likes)

    def _circle(self, state: PersonState, person: str, view: PersonView, now_ms: int) -> Circle:
        """What followed people like; looked up again when anybody's follows or likes changed."""
        before, likers = state.circle, self._likers
        if before is not None and before.holds(view.followed, likers.version, now_ms):
            return before
        followed = state.listens_to(person, view.followed, now_ms)
        return likers.circle(followed, self._videos, now_ms, now_ms + self._ahead_ms)

    def history(self, person: str, now_ms: int) -> History:
        """The newest interactions before ``now_ms``, oldest first, at most ``settings.feed.history``."""
        return self.view(person, now_ms).history

    def followed(self, person: str, now_ms: int) -> tuple[str, ...]:
        """Author ids, the newest follow first."""
        return self.view(person, now_ms).followed

    def hidden(self, person: str, now_ms: int) -> I32:
        """(H,) rows of videos this person hid."""
        return self.view(person, now_ms).hidden

    def forget(self, person: str) -> None:
        """Drop a person from memory; the next request reads the log."""
        with self._lock:
            self._people.pop(person, None)

    def _load(self, state: PersonState, person: str, now_ms: int) -> None:
        """Read one person from the log. Events that arrive meanwhile are in ``pending`` too; both are joined."""
        before_ms = now_ms + self._ahead_ms
        try:
            newest = self._events.history(person, before_ms, self._history * EVENTS_A_ROW)
            choices = self._events.history(person, before_ms, CHOICES_READ, CHOICES)
        except BaseException:
            state.stale = True  # nothing was read; the next request tries again
            raise
        with self._lock:
            pending, state.pending = state.pending, []
            late, state.stale = state.stale, False
        state.rebuild([*newest, *pending], choices, self._videos, self._history * ROWS_KEPT)
        if late:
            state.stale = True
