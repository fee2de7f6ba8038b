"""What every ``show`` looks at: one world at one moment, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zhiliu.cli.workspace import now_ms
from zhiliu.features.context import SURFACES
from zhiliu.live.opening import open_world
from zhiliu.live.world import World
from zhiliu.settings import Settings
from zhiliu.store import Store
from zhiliu.types import Person, Query

AFTER_NEWEST_MS = 60_000
"""Where the clock stands unless ``--at`` sets it: so a log of the past is shown as if it were now."""


class ShowError(Exception):
    """What was asked for is not there; the message says what is."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A world at ``at_ms``."""

    settings: Settings
    store: Store
    world: World
    at_ms: int
    clock: str
    """How ``at_ms`` came about."""
    notes: list[str] = field(default_factory=list)
    """What is missing."""

    @property
    def model(self) -> str | None:
        """Version of the artifact, None without one."""
        return self.world.artifact.version if self.world.artifact is not None else None

    def query(self, person: str) -> Query:
        """A request of this person at this moment, always with the same chance."""
        return self.world.query(
            person,
            now_ms=self.at_ms,
            seed=self.settings.seed,
            request_id="show",
            profile=self.profile(person),
        )

    def profile(self, person: str) -> Person | None:
        """The person's row, None without one."""
        return None if person.startswith("session:") else self.store.people.get(person)

    def row(self, video_id: str) -> int:
        """Catalogue row of a video.

        Raises:
            ShowError: there is none.

        """
        row = self.world.videos.row_of.get(video_id)
        if row is None:
            raise ShowError(f"no video {video_id!r} among the {len(self.world.videos)} of this workspace")
        return row

    def named(self, row: int) -> dict[str, Any]:
        """A video in a list: id, title, first topic."""
        videos = self.world.videos
        return {
            "video_id": videos.ids[row],
            "title": self.world.title_of(row),
            "topic": videos.tags.names[videos.tag[row, 0]],
        }

    def head(self) -> dict[str, Any]:
        """What every answer begins with."""
        return {"at_ms": self.at_ms, "clock": self.clock, "model": self.model, "notes": self.notes}


def open_scene(settings: Settings, store: Store, at_ms: int | None) -> Scene:
    """Read the log; with ``at_ms`` only what happened before it."""
    opened = open_world(settings, store, until_ms=at_ms)
    world = opened.world
    if at_ms is not None:
        clock = "as asked 按指定时间: later events are not read"
    elif opened.newest_ms:
        at_ms, clock = (
            opened.newest_ms + AFTER_NEWEST_MS,
            "one minute after the newest event 最新事件后一分钟",
        )
    else:
        at_ms, clock = now_ms(), "now, the log is empty 现在（日志为空）"
    scene = Scene(settings, store, world, at_ms, clock)
    if world.artifact is None:
        scene.notes.append(f"no artifact in {settings.artifacts} 尚无模型; train one with: zhiliu train")
    elif max(world.artifact.manifest.get("span_ms", [0])) >= at_ms:
        scene.notes.append("the model has learned from later events too 模型学过此刻之后的事件")
    for version, reason in opened.refused.items():
        scene.notes.append(f"artifact {version} cannot be used: {reason}")
    return scene


def surface_name(code: int) -> str:
    """Name of a surface code; a number for those that were hashed."""
    return SURFACES[code] if code < len(SURFACES) else f"surface {code}"
