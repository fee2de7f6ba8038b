"""A world from a workspace: what a server starts with, and, for commands, one that has read the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.artifacts import ArtifactWatcher
from zhiliu.live.checkpoint import Checkpoint
from zhiliu.live.consumer import FRAME, Consumer, FollowedLog
from zhiliu.live.state import AHEAD_MS, LiveState
from zhiliu.live.world import World, no_title
from zhiliu.protocols import EventLog
from zhiliu.settings import Settings
from zhiliu.store import Store
from zhiliu.types import Video

CHECKPOINT: Final = "live.npz"
"""In the workspace; written by the server, read by everybody."""


def checkpoint_of(settings: Settings, events: EventLog) -> Checkpoint:
    """Where the live state of a workspace is kept."""
    return Checkpoint(settings.workspace / CHECKPOINT, events)


def unread_world(
    settings: Settings,
    events: EventLog,
    listed: Sequence[tuple[int, Video]],
    title_of: Callable[[int], str] = no_title,
    ahead_ms: int = AHEAD_MS,
) -> World:
    """A world of the catalogue ``listed`` (rows of ``Catalog.rows``) whose live state has read nothing yet."""
    videos = VideoColumns.build(listed)
    live = LiveState(events, videos, history=settings.feed.history, ahead_ms=ahead_ms)
    return World.of(settings, videos, live, title_of=title_of)


@dataclass(frozen=True, slots=True)
class Opened:
    """A world without a server."""

    world: World
    refused: dict[str, str]
    """Artifact version → why it cannot be used; an older one that is whole takes its place."""
    newest_ms: int
    """Time of the newest event that was counted; 0 when there is none."""


def open_world(settings: Settings, store: Store, *, until_ms: int | None = None) -> Opened:
    """Read the log, or only what happened before ``until_ms``; take the newest whole artifact. Writes nothing."""
    last = store.events.last_offset()  # first: every video that events up to here name is in the catalogue
    listed = store.catalog.rows()
    titles = {row: video.title for row, video in listed}
    ahead_ms = AHEAD_MS if until_ms is None else 0
    world = unread_world(settings, store.events, listed, lambda row: titles.get(row, ""), ahead_ms)
    if until_ms is None:
        checkpoint_of(settings, store.events).load(world.live)
        Consumer("offline", events=store.events, state=world.live).catch_up()
    else:
        read_before(store.events, world.live, until_ms, last)
    counted = world.live.counters
    with counted.lock:
        counted.settle()
    watcher = ArtifactWatcher(settings.artifacts)
    return Opened(world.with_artifact(watcher.poll()), watcher.refused, counted.newest_ms)


def read_before(events: FollowedLog, live: LiveState, until_ms: int, last: int) -> None:
    """Apply what happened before a moment, wherever it stands among the first ``last`` offsets of the log."""
    after = 0
    while after < last:
        frame = events.frame(after, FRAME)
        if frame.is_empty():
            return
        after = int(frame["offset"][-1])
        live.apply_frame(frame.filter(pl.col("time") < until_ms))
