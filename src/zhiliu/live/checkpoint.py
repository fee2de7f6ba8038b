"""State on disk, so that a restart reads the end of the log and not all of it.

One ``.npz`` file without pickle, replaced by rename: it is the old one or the new one, never half of one. The
offset is inside, so state and offset cannot disagree; the event at that offset is named, so a checkpoint of
another log is noticed.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from zhiliu.artifact import flush
from zhiliu.live.state import LiveState
from zhiliu.protocols import EventLog

log = structlog.get_logger()

SCHEMA: Final = 1


class Checkpoint:
    """The file of one consumer."""

    def __init__(self, path: Path, events: EventLog) -> None:
        self.path = path
        self._events = events

    def save(self, state: LiveState) -> int:
        """Write the state and its offset, which is returned."""
        arrays = state.dump()
        offset = int(arrays["offset"])
        arrays |= {"schema": np.array(SCHEMA), "event_id": np.array(self._event_id(offset))}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        staging = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        try:
            with staging.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            flush(staging)
            staging.replace(self.path)
        finally:
            staging.unlink(missing_ok=True)
        flush(self.path.parent)
        return offset

    def load(self, state: LiveState) -> bool:
        """Bring an empty state to where the file is. False when there is none, or none of this log.

        A file that does not fit is worth a warning, not an error: the log has everything.
        """
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as opened:
                saved: dict[str, NDArray[Any]] = {name: opened[name] for name in opened.files}
            offset = int(saved["offset"])
            if int(saved["schema"]) != SCHEMA or str(saved["event_id"]) != self._event_id(offset):
                raise ValueError("it belongs to another log or version")
            state.restore(saved)
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning(
                "checkpoint left aside, reading the whole log", path=str(self.path), reason=str(error)
            )
            return False
        return True

    def _event_id(self, offset: int) -> str:
        """Id of the event at an offset; empty at 0 or when the log has none there."""
        found = self._events.read(offset - 1, 1) if offset > 0 else ()
        return found[0].event.event_id if found and found[0].offset == offset else ""
