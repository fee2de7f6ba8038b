"""Keeps live state level with the log: reads what was missed, then follows the commits.

The commit listener sees what this process writes, before the writer gets its receipt. What it does not see, bulk
loads and other processes' events, is read from the log: when an offset is missing, and at every poll.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self

import polars as pl
import structlog

from zhiliu.live.checkpoint import Checkpoint
from zhiliu.live.state import LiveState
from zhiliu.protocols import EventLog
from zhiliu.types import StoredEvent

log = structlog.get_logger()

BATCH: Final = 5_000
"""Events read from the log at once."""
FAR_BEHIND: Final = 50_000
"""Events from which on they are read as columns."""
FRAME: Final = 25_000
"""Events read as columns at once; requests wait while they are counted (some 10 ms)."""
CHECKPOINT_EVENTS: Final = 500_000
"""A checkpoint is written after this many: a restart reads no more than that (seconds)."""


class FollowedLog(EventLog, Protocol):
    """A log that tells what it has committed."""

    def on_commit(self, listener: Callable[[Sequence[StoredEvent]], None]) -> None: ...
    def frame(self, after: int, limit: int) -> pl.DataFrame: ...


class Offsets(Protocol):
    """How far each consumer has come, as ``status`` shows it."""

    def get(self, consumer: str) -> int: ...
    def set(self, consumer: str, offset: int) -> None: ...


class Consumer:
    """Applies the log to a :class:`LiveState`, every offset once and in order."""

    def __init__(
        self,
        name: str,
        *,
        events: FollowedLog,
        state: LiveState,
        checkpoint: Checkpoint | None = None,
        offsets: Offsets | None = None,
        poll_s: float = 0.5,
    ) -> None:
        self.name = name
        self._events = events
        self._state = state
        self._checkpoint = checkpoint
        self._offsets = offsets
        self._poll_s = poll_s
        self._turn = threading.RLock()  # one applies at a time
        self._stopped = threading.Event()
        self._saved = 0
        self._following = False
        self._poller = threading.Thread(target=self._run, name=f"{name}-consumer", daemon=True)

    def start(self, progress: Callable[[int, int], None] | None = None) -> Self:
        """Load the checkpoint, catch up, follow. ``progress`` gets (applied, last) offsets on the way."""
        if self._checkpoint is not None and self._checkpoint.load(self._state):
            self._saved = self._state.offset
        self.catch_up(progress)
        self._events.on_commit(self._committed)
        self._following = True
        self.catch_up()  # what was committed before the listener was there
        self._poller.start()
        return self

    def stop(self) -> None:
        """Stop following and write a checkpoint. Safe to call twice."""
        self._following = False
        self._stopped.set()
        if self._poller.is_alive():
            self._poller.join()
        if self._state.offset != self._saved:
            self.save()

    def lag(self) -> int:
        """Offsets between the end of the log and the state; 0 when level."""
        return max(0, self._events.last_offset() - self._state.offset)

    def catch_up(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Read the log to its end and apply; the number of events."""
        applied = self._catch_up_in_columns(progress)
        while True:
            with self._turn:
                events = self._events.read(self._state.offset, BATCH)
                self._state.apply(events)
            applied += len(events)
            if progress is not None and events:
                progress(self._state.offset, self._events.last_offset())
            if len(events) < BATCH:
                return applied

    def _catch_up_in_columns(self, progress: Callable[[int, int], None] | None) -> int:
        """The larger part of a long way, much faster; stops where events must be looked at one by one."""
        applied = 0
        while self.lag() >= FAR_BEHIND:
            with self._turn:
                frame = self._events.frame(self._state.offset, FRAME)
                taken = self._state.apply_frame(frame)
            applied += taken
            if progress is not None and taken:
                progress(self._state.offset, self._events.last_offset())
            if not taken or taken < len(frame):
                break
        return applied

    def save(self) -> None:
        """Write a checkpoint, then the offset others see."""
        if self._checkpoint is not None:
            self._saved = self._checkpoint.save(self._state)
        else:
            self._saved = self._state.offset
        if self._offsets is not None:
            self._offsets.set(self.name, self._saved)

    def _committed(self, events: Sequence[StoredEvent]) -> None:
        """In the writer thread, after each commit."""
        if not self._following or not events:
            return
        with self._turn:
            expected = self._state.offset + 1
            if events[-1].offset < expected:
                return
            if events[0].offset == expected and events[-1].offset == expected + len(events) - 1:
                self._state.apply(events)
            else:  # something is missing in between, or the database left numbers out: the log knows
                self.catch_up()

    def _run(self) -> None:
        while not self._stopped.wait(self._poll_s):
            try:
                if self._events.last_offset() > self._state.offset:
                    self.catch_up()
                if self._state.offset - self._saved >= CHECKPOINT_EVENTS:
                    self.save()
            except Exception:  # the log may come back; until then the state is old, not gone
                log.exception("consumer could not follow the log", consumer=self.name)
