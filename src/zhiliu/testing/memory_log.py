"""The event log as a plain list: the slow twin that the databases are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from zhiliu.types import Event, EventType, Receipt, StoredEvent


class MemoryLog:
    """The :class:`zhiliu.protocols.EventLog` without durability, one step at a time."""

    def __init__(self) -> None:
        self._stored: list[StoredEvent] = []
        self._listeners: list[Callable[[Sequence[StoredEvent]], None]] = []

    def append(self, events: Sequence[Event]) -> Receipt:
        fresh: list[StoredEvent] = []
        for event in events:
            if all(stored.event.event_id != event.event_id for stored in (*self._stored, *fresh)):
                fresh.append(StoredEvent(self.last_offset() + len(fresh) + 1, event))
        self._stored.extend(fresh)
        for listener in self._listeners:
            listener(fresh)
        return Receipt(len(fresh), len(events) - len(fresh), (), self.last_offset())

    def submit(self, events: Sequence[Event]) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        future.set_result(self.append(events))
        return future

    def on_commit(self, listener: Callable[[Sequence[StoredEvent]], None]) -> None:
        """As :meth:`zhiliu.store.GroupCommitLog.on_commit`."""
        self._listeners.append(listener)

    def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        return [stored for stored in self._stored if stored.offset > after][:limit]

    def history(
        self, person: str, before_ms: int, limit: int, types: Sequence[EventType] | None = None
    ) -> Sequence[StoredEvent]:
        mine = [x for x in self._stored if x.event.person == person and x.event.time < before_ms]
        mine = [x for x in mine if types is None or x.event.type in types]
        mine.sort(key=lambda stored: (stored.event.time, stored.offset))
        return mine[max(0, len(mine) - limit) :]

    def last_offset(self) -> int:
        return self._stored[-1].offset if self._stored else 0
