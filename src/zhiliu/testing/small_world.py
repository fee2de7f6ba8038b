"""A catalogue of forty videos and a world around it, for tests of components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.state import LiveState
from zhiliu.live.world import World
from zhiliu.settings import FeedSettings, Settings
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.types import Event, EventType, Video

DAY_MS = 86_400_000


def small_catalogue(count: int = 40) -> list[Video]:
    """Videos v0, v1, …, each a day older than the one before; ten authors, seven first topics; v39 is hidden."""
    return [
        Video(
            video_id=f"v{i}",
            author_id=f"a{i % 10}",
            tags=(f"t{i % 7}", f"u{i % 3}"),
            duration_ms=20_000 + 1000 * i,
            published_ms=NOW_MS - (i + 1) * DAY_MS,
            status="hidden" if i == 39 else "visible",
        )
        for i in range(count)
    ]


def small_columns(count: int = 40) -> VideoColumns:
    """The same as columns."""
    return VideoColumns.build(enumerate(small_catalogue(count)))


def happened(
    kind: str, video: int | None, person: str = "p1", time: int = NOW_MS - 60_000, **fields: Any
) -> Event:
    """An event about v<video>; its id is made of what it says."""
    name = None if video is None else f"v{video}"
    return Event(
        event_id=f"{kind} {name} {person} {time} {sorted(fields.items())}",
        type=EventType(kind),
        time=time,
        person_id=person,
        video_id=name,
        **fields,
    )


def small_world(
    events: Iterable[Event] = (),
    *,
    artifact: Artifact | None = None,
    videos: VideoColumns | None = None,
    feed: FeedSettings | None = None,
) -> World:
    """A world in which these events have happened."""
    columns = small_columns() if videos is None else videos
    log = MemoryLog()
    log.append(list(events))
    live = LiveState(log, columns)
    live.apply(log.read(0, log.last_offset()))
    settings = Settings(workspace=Path("no workspace"), feed=feed or FeedSettings())
    return World.of(settings, columns, live, artifact, title_of=lambda row: f"Title {row}")


def ids_of(world: World, rows: Sequence[int]) -> list[str]:
    """Video ids of catalogue rows."""
    return [world.videos.ids[row] for row in rows]
