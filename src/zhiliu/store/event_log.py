"""The append-only log: one writer thread, group commit, nothing acknowledged before it is on disk.

``submit`` puts a batch into a bounded queue. The writer drains the queue into one transaction, commits (which
syncs), tells the commit listeners, then resolves the futures. It never lingers: while one commit syncs, the
next group gathers by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import polars as pl
import sqlalchemy as sa
import structlog

from zhiliu.store.engine import Database
from zhiliu.store.errors import LogBusyError, LogClosedError, LogWriteError
from zhiliu.store.rows import EVENT_COLUMNS, EventRow, event_row, stored_event
from zhiliu.store.tables import events as table
from zhiliu.types import Event, EventType, Receipt, StoredEvent

log = structlog.get_logger()

CommitListener = Callable[[Sequence[StoredEvent]], None]

READ = sa.select(table.c.log_offset, *(table.c[name] for name in EVENT_COLUMNS))


class Appender(Protocol):
    """What the writer thread writes with; one for each database."""

    def append(self, rows: Sequence[EventRow]) -> Sequence[int]:
        """Commit all rows in one transaction: (n,) offsets, 0 for a duplicate. Raises: none is stored."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One ``submit`` that waits."""

    events: Sequence[Event]
    rows: Sequence[EventRow]
    future: Future[Receipt]


class GroupCommitLog:
    """The :class:`zhiliu.protocols.EventLog` on a database."""

    def __init__(self, database: Database, appender: Appender, *, commit_queue: int) -> None:
        self._database = database
        self._appender = appender
        self._limit = commit_queue
        self._changed = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._queued = 0  # events in the queue
        self._closed = False
        self._listeners: tuple[CommitListener, ...] = ()
        self._last = self._read_last_offset()
        self._writer = threading.Thread(target=self._run, name="event-log-writer", daemon=True)
        self._writer.start()

    def append(self, events: Sequence[Event]) -> Receipt:
        return self.submit(events).result()

    def submit(self, events: Sequence[Event]) -> Future[Receipt]:
        """Join the next group commit.

        Raises:
            LogBusyError: the queue is full. LogClosedError: the log was closed. The future raises
            :class:`LogWriteError` when the commit failed; then nothing of the batch is stored.

        """
        future: Future[Receipt] = Future()
        batch = Batch(events, [event_row(event) for event in events], future)
        with self._changed:
            if self._closed:
                raise LogClosedError("the event log is closed; open the store again")
            if self._queued and self._queued + len(events) > self._limit:
                raise LogBusyError(
                    f"{self._queued} events wait to be written and {len(events)} more do not fit "
                    f"store.commit_queue = {self._limit}; send them again in a moment"
                )
            self._queue.append(batch)
            self._queued += len(events)
            self._changed.notify()
        return future

    def on_commit(self, listener: CommitListener) -> None:
        """Call ``listener`` with what was new in each group, in offset order, from the writer thread.

        It runs after the commit and before the acknowledgement: whoever holds a receipt can rely on the
        listener having seen the events. Duplicates, bulk loads and other processes' events do not come;
        ``read`` has them.
        """
        self._listeners = (*self._listeners, listener)

    def read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        query = READ.where(table.c.log_offset > after).order_by(table.c.log_offset).limit(limit)
        with self._database.read() as connection:
            return [stored_event(row) for row in connection.execute(query)]

    def history(
        self, person: str, before_ms: int, limit: int, types: Sequence[EventType] | None = None
    ) -> Sequence[StoredEvent]:
        query = (
            READ.where(table.c.person == person, table.c.time < before_ms)
            .order_by(table.c.time.desc(), table.c.log_offset.desc())
            .limit(limit)
        )
        if types is not None:
            query = query.where(table.c.type.in_([kind.value for kind in types]))
        with self._database.read() as connection:
            return [stored_event(row) for row in connection.execute(query)][::-1]

    def frame(self, after: int, limit: int) -> pl.DataFrame:
        """As ``read``, in columns: offset, type, video_id, time, surface, watch_ms, props (JSON text or null).

        Ten times as fast for readers that count and do not look at each.
        """
        from zhiliu.store.columns import read_columns  # polars: only who is far behind needs it

        return read_columns(self._database, after, limit)

    def last_offset(self) -> int:
        self._last = max(self._last, self._read_last_offset())
        return self._last

    def count(self) -> int:
        """Events in the log."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

    def close(self) -> None:
        """Write what is queued, then stop. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._writer.join()

    def _read_last_offset(self) -> int:
        with self._database.read() as connection:
            return connection.scalar(sa.select(sa.func.max(table.c.log_offset))) or 0

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
        self._appender.close()

    def _next_group(self) -> list[Batch]:
        """Everything that waits; empty when the log is closed. Cancelled batches drop out here."""
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                waiting = list(self._queue)
                self._queue.clear()
                self._queued = 0
            group = [batch for batch in waiting if batch.future.set_running_or_notify_cancel()]
            if group or not waiting:
                return group

    def _commit(self, group: Sequence[Batch]) -> None:
        try:
            offsets = self._appender.append(list(chain.from_iterable(batch.rows for batch in group)))
        except LogWriteError as error:
            for batch in group:
                batch.future.set_exception(error)
        except Exception as error:  # a value no database takes: only its own batch may suffer
            if len(group) == 1:
                group[0].future.set_exception(LogWriteError(f"the events cannot be stored: {error}"))
            else:
                for batch in group:
                    self._commit([batch])
        else:
            self._acknowledge(group, offsets)

    def _acknowledge(self, group: Sequence[Batch], offsets: Sequence[int]) -> None:
        self._last = max(self._last, max(offsets, default=0))
        if self._listeners:
            every = chain.from_iterable(batch.events for batch in group)
            self._tell(
                [StoredEvent(offset, event) for offset, event in zip(offsets, every, strict=True) if offset]
            )
        start = 0
        for batch in group:
            mine = offsets[start : start + len(batch.rows)]
            start += len(batch.rows)
            duplicates = 0 if isinstance(mine, range) else mine.count(0)
            batch.future.set_result(Receipt(len(mine) - duplicates, duplicates, (), self._last))

    def _tell(self, committed: Sequence[StoredEvent]) -> None:
        for listener in self._listeners:
            try:
                listener(committed)
            except Exception:  # the events are stored; a broken listener must not make them look lost
                log.exception("commit listener failed", listener=repr(listener), events=len(committed))
