"""Profiles of who was here lately. Another process may change them in the store: none is kept for long."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from zhiliu.protocols import People
from zhiliu.types import Person

log = structlog.get_logger()

KEPT = 20_000
"""Profiles in memory, the oldest leave first."""
KEPT_S = 30.0
"""Seconds until a profile is read again."""


class Profiles:
    """Read through; safe from many threads."""

    def __init__(self, people: People, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._clock_s = clock_s
        self._kept: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._changes = 0
        self._guard = threading.Lock()

    def fresh(self, person: str) -> bool:
        """Whether :meth:`get` needs no store now."""
        kept = self._kept.get(person)
        return kept is not None and self._clock_s() - kept[0] < KEPT_S

    def get(self, person: str) -> Person | None:
        """The profile, at most ``KEPT_S`` old; older only while the store cannot be read."""
        now_s = self._clock_s()
        with self._guard:
            kept, changes = self._kept.get(person), self._changes
        if kept is not None and now_s - kept[0] < KEPT_S:
            return kept[1]
        try:
            found = None if person.startswith("session:") else self._people.get(person)
        except Exception:
            if kept is None:
                raise
            log.exception("profile not read again, the last one stays")
            return kept[1]
        with self._guard:
            if changes == self._changes:  # else what was read may be from before the change
                self._kept[person] = (now_s, found)
                self._kept.move_to_end(person)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return found

    def changed(self, person: str) -> None:
        """It was written in this process: the next request reads it again."""
        with self._guard:
            self._changes += 1
            self._kept.pop(person, None)
