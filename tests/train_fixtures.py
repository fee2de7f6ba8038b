"""A synthetic log on the real path: store → snapshot → training log."""

from __future__ import annotations

from pathlib import Path

from zhiliu.store import open_store
from zhiliu.testing.synthetic import SyntheticLog


def snapshot_of(log: SyntheticLog, folder: Path) -> Path:
    """Put a log into an SQLite store and snapshot it."""
    with open_store(f"sqlite:///{folder / 'zhiliu.db'}") as store:
        store.catalog.put(log.videos)
        store.people.put(log.people)
        store.events.append(log.events)
        store.snapshot(folder / "snapshot")
    return folder / "snapshot"
