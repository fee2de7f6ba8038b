"""What is known of one person: past, follows, what was hidden and what was seen."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.social import FOLLOWED
from zhiliu.labels.rules import heads_of, whom
from zhiliu.live.likers import Circle, Followed
from zhiliu.live.past import JOINED, Fact, Past
from zhiliu.types import I32, NO_LIKES, Event, EventType, History, Likes, StoredEvent

SEEN: Final = 2000
"""Videos a person is remembered to have seen; larger: fewer repeats, more memory (0.1 KB each)."""
CHOICES: Final = (EventType.FOLLOW, EventType.UNFOLLOW, EventType.HIDE, EventType.REPORT)
"""Events that hold until they are undone, however old."""


@dataclass(frozen=True, slots=True)
class PersonView:
    """One moment of a person, for a query."""

    history: History
    followed: tuple[str, ...]  # newest first
    hidden: I32  # (H,) rows
    hidden_authors: tuple[str, ...]
    seen: I32  # (S,) rows seen before those of ``history``, the latest first
    followed_likes: Likes = NO_LIKES


class PersonState:
    """Built from the log at the first request, then kept up to date. ``pending`` is what came since."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """Held while folding; whoever holds it may take the lock of LiveState, never the other way round."""
        self.pending: list[StoredEvent] = []
        self.stale = True  # the log must be read (again)
        self.view: PersonView | None = None
        self.circle: Circle | None = None
        self.past = Past(1)
        self.seen: dict[int, None] = {}
        self.follow_at: dict[str, tuple[int, int, bool]] = {}  # author -> (time, offset, follows)
        self.hidden: set[int] = set()
        self.hidden_authors: set[str] = set()

    def rebuild(
        self, events: Iterable[StoredEvent], choices: Iterable[StoredEvent], videos: VideoColumns, keep: int
    ) -> None:
        """Start anew from the log; an offset counts once. ``choices`` reach further back than ``events``."""
        listed = sorted({stored.offset: stored for stored in events}.values(), key=by_time)
        self.seen, self.follow_at, self.hidden, self.hidden_authors = {}, {}, set(), set()
        for stored in choices:
            self.decide(stored, row_of(stored.event, videos), videos)
        facts = [fact for stored in listed if (fact := self.choose(stored, videos)) is not None]
        self.past = Past.fold(facts, keep)
        self.view = None

    def update(self, events: Iterable[StoredEvent], videos: VideoColumns) -> None:
        """Add what came since; sets ``stale`` when something came too late to be added on its own."""
        for stored in events:
            self.view = None
            fact = self.choose(stored, videos)
            if fact is not None and not self.past.add(fact):
                self.stale = True

    def choose(self, stored: StoredEvent, videos: VideoColumns) -> Fact | None:
        """Remember what does not depend on order; the rest comes back as a fact for the past."""
        event = stored.event
        row = row_of(event, videos)
        if event.type in CHOICES:
            self.decide(stored, row, videos)
        if row < 0 or event.type not in JOINED:
            return None
        self.seen.pop(row, None)
        self.seen[row] = None
        if len(self.seen) > SEEN:
            del self.seen[next(iter(self.seen))]
        return Fact(stored, row, heads_of(event, int(videos.duration_ms[row])))

    def decide(self, stored: StoredEvent, row: int, videos: VideoColumns) -> None:
        """Follow, unfollow: the newest word about an author counts. Hide and report hold for good."""
        event = stored.event
        author = whom(event.props, row, videos)
        if event.type in (EventType.FOLLOW, EventType.UNFOLLOW):
            said = (event.time, stored.offset, event.type is EventType.FOLLOW)
            if author and said > self.follow_at.get(author, (-1, -1, False)):
                self.follow_at[author] = said
        elif event.type is EventType.HIDE and event.props.get("scope") == "author":
            if author:
                self.hidden_authors.add(author)
        elif row >= 0:
            self.hidden.add(row)

    def look(self, rows: int, now_ms: int) -> PersonView:
        """As of now. Made once and kept until the next event, unless somebody's clock ran ahead of ``now_ms``."""
        ahead = self.past.newest_ms >= now_ms
        if self.view is not None and not ahead:
            return self.view
        history = self.past.history(rows, now_ms)
        followed = sorted(((at, author) for author, at in self.follow_at.items() if at[2]), reverse=True)
        shown = set(history.video.tolist())
        older = [row for row in reversed(self.seen) if row not in shown]
        view = PersonView(
            history,
            tuple(author for _, author in followed),
            np.array(sorted(self.hidden), np.int32),
            tuple(sorted(self.hidden_authors)),
            np.array(older, np.int32),
        )
        self.view = None if ahead else view
        return view

    def listens_to(self, person: str, authors: tuple[str, ...], now_ms: int) -> Followed:
        """Of the followed ``authors``, the newest first: whose likes count for ``person``, not their own."""
        heard = [who for who in authors if self.follow_at[who][0] < now_ms and who != person]
        newest_ms = self.follow_at[authors[0]][0] if authors else 0
        return Followed(authors, tuple(heard[:FOLLOWED]), newest_ms)


def by_time(stored: StoredEvent) -> tuple[int, int]:
    """The order of a person's life."""
    return stored.event.time, stored.offset


def row_of(event: Event, videos: VideoColumns) -> int:
    """Catalogue row an event is about; -1 for none."""
    return videos.row_of.get(event.video_id, -1) if event.video_id is not None else -1
