"""What followed people like now: ``train.followed`` for the moment of a request.

Whoever is asked for is read from the log once and then kept level by the events that come in.
"""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.social import LIKE_WORDS, LIKES
from zhiliu.protocols import EventLog
from zhiliu.types import NEVER_MS, NO_LIKES, EventType, Likes, StoredEvent

ROOM: Final = 500_000
"""Words and people kept in memory, the longest unasked leave first: some 100 MB at most."""

Word = tuple[int, int, int, bool]  # time, offset, catalogue row, like (else unlike)
Found = tuple[int, int, int, str]  # time, offset, catalogue row, who liked it


@dataclass(slots=True)
class Liker:
    """The newest likes and unlikes of one person, in the order of time."""

    ready: bool = False
    """Whether the log was read."""
    words: list[Word] = field(default_factory=list)
    found: list[Found] | None = None
    """Likes that hold, the newest first; None: look again."""

    @property
    def newest_ms(self) -> int:
        """Time of the last word."""
        return self.words[-1][0] if self.words else 0

    def add(self, word: Word) -> None:
        """Once for each offset, whatever the order of arrival."""
        at = bisect_left(self.words, word[:2])  # a shorter tuple sorts before the word that starts with it
        if at < len(self.words) and self.words[at][:2] == word[:2]:
            return
        self.words.insert(at, word)
        del self.words[: max(0, len(self.words) - LIKES)]
        self.found = None

    def holding(self, person: str, now_ms: int) -> list[Found]:
        """Likes before ``now_ms`` that no later word before it took back, the newest first."""
        if self.found is not None and self.newest_ms < now_ms:
            return self.found
        last = {row: (time, offset, row, like) for time, offset, row, like in self.words if time < now_ms}
        held = [(time, offset, row, person) for time, offset, row, like in last.values() if like and row >= 0]
        held.sort(reverse=True)
        self.found = held if self.newest_ms < now_ms else None
        return held


@dataclass(frozen=True, slots=True)
class Followed:
    """Whom one person follows, as of now."""

    authors: tuple[str, ...]
    heard: tuple[str, ...]
    """Those of them whose likes count."""
    newest_ms: int
    """The newest follow, ahead of now if a clock was."""


@dataclass(frozen=True, slots=True)
class Circle:
    """What one person's followed people like, and until when that is true."""

    authors: tuple[str, ...]
    version: int
    epoch: int
    newest_ms: int
    """The last word; NEVER_MS when it was ahead of the moment that was asked for."""
    likes: Likes

    def holds(self, authors: tuple[str, ...], version: int, now_ms: int) -> bool:
        """Whether looking again would find the same."""
        return self.authors is authors and self.version == version and self.newest_ms < now_ms


class Likers:
    """Followed people by key. Thread-safe."""

    def __init__(self, events: EventLog, room: int = ROOM) -> None:
        self.version = 0
        """Grows when anybody's likes change; a circle of an older version is looked up again."""
        self.epoch = 0
        """Grows when anybody leaves memory: the next request may read the log."""
        self._events = events
        self._room = room
        self._size = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Liker] = OrderedDict()  # the longest unasked first

    def note(self, person: str, stored: StoredEvent, row: int) -> None:
        """A like or unlike of catalogue row ``row`` (−1: not known yet); nothing unless the person is kept."""
        if person not in self._kept:
            return
        with self._lock:
            if (liker := self._kept.get(person)) is not None:
                self._add(liker, stored, row)
                self.version += 1

    def circle(self, followed: Followed, videos: VideoColumns, now_ms: int, before_ms: int) -> Circle:
        """Their newest likes before ``now_ms``; who is new here is read from the log up to ``before_ms``."""
        version, epoch = self.version, self.epoch  # of before: what changes meanwhile is looked up again
        for person in followed.heard:
            liker = self._kept.get(person)
            if liker is None or not liker.ready:
                self._read(person, videos, before_ms)
        with self._lock:
            kept = [(who, liker) for who in followed.heard if (liker := self._kept.get(who)) is not None]
            for who, _ in kept:
                self._kept.move_to_end(who)
            held = [found for who, liker in kept if (found := liker.holding(who, now_ms))]
            newest_ms = max([followed.newest_ms, *(liker.newest_ms for _, liker in kept)])
            while self._size > self._room:
                self._drop(next(iter(self._kept)))
        newest = list(islice(heapq.merge(*held, reverse=True), LIKES))
        last_ms = newest_ms if newest_ms < now_ms else NEVER_MS
        return Circle(followed.authors, version, epoch, last_ms, likes_of(newest))

    def clear(self) -> None:
        """Events went by unseen: everybody is read again."""
        with self._lock:
            self._kept.clear()
            self._size = 0
            self.version += 1
            self.epoch += 1

    def catalogue(self) -> None:
        """The catalogue has grown: read again who liked what was not in it."""
        with self._lock:
            waiting = [p for p, liker in self._kept.items() if any(row < 0 for _, _, row, _ in liker.words)]
            for person in waiting:
                self._drop(person)

    def _read(self, person: str, videos: VideoColumns, before_ms: int) -> None:
        """From the log. Events that come in meanwhile are added too; each counts once."""
        with self._lock:
            if person not in self._kept:
                self._kept[person] = Liker()
                self._size += 1
        told = self._events.history(person, before_ms, LIKES, LIKE_WORDS)
        with self._lock:
            liker = self._kept.get(person)
            if liker is None:  # left meanwhile; the next request reads it
                return
            for stored in told:
                self._add(liker, stored, videos.row_of.get(stored.event.video_id or "", -1))
            liker.ready = True
            self.version += 1

    def _add(self, liker: Liker, stored: StoredEvent, row: int) -> None:
        before = len(liker.words)
        event = stored.event
        liker.add((event.time, stored.offset, row, event.type is EventType.LIKE))
        self._size += len(liker.words) - before

    def _drop(self, person: str) -> None:
        self._size -= 1 + len(self._kept.pop(person).words)
        self.version += 1
        self.epoch += 1


def likes_of(found: Sequence[Found]) -> Likes:
    """As a query carries them."""
    if not found:
        return NO_LIKES
    return Likes(
        video=np.array([row for _, _, row, _ in found], np.int32),
        time_ms=np.array([time for time, _, _, _ in found], np.int64),
        people=tuple(person for _, _, _, person in found),
    )
