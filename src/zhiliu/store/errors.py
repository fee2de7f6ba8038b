"""What can go wrong with the store, by what the caller should do about it."""

from __future__ import annotations


class StoreError(Exception):
    """Anything the store raises on purpose."""


class StoreOpenError(StoreError):
    """The database cannot be used: wrong URL, not reachable, not ours, or written by a newer version."""


class StoreWriteError(StoreError):
    """A write did not happen, none of it. Disk full, I/O error, server gone: try again later."""


class StoreReadError(StoreError):
    """The database did not answer a question: a damaged file, no right to read it, the server gone."""


class LogWriteError(StoreWriteError):
    """Events were not taken. Sending them again is safe: ``event_id`` is counted once."""


class LogBusyError(StoreError):
    """The writer's queue is full. Nothing of this batch was taken; slow down and send it again."""


class LogClosedError(LogWriteError):
    """The log was closed before these events were written."""


class BulkError(StoreError, ValueError):
    """A frame cannot be loaded: names column and row, what was seen, what would be right. Nothing written."""
