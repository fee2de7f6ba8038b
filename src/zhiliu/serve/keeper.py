"""Keeps the world that requests read: builds the next one off the loop, swaps one reference.

One thread builds, so builds never overtake each other. A request takes the reference once and finishes on what it
took. Whatever goes wrong in here is logged; what serves keeps serving.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import structlog

from zhiliu.artifact import Artifact
from zhiliu.live.artifacts import ArtifactWatcher
from zhiliu.live.opening import unread_world
from zhiliu.live.world import World
from zhiliu.pipeline import Pipeline
from zhiliu.registry import build_pipeline
from zhiliu.serve.cards import Cards
from zhiliu.serve.clock import Clock
from zhiliu.serve.metrics import Metrics
from zhiliu.settings import Settings
from zhiliu.store import Store
from zhiliu.types import Video

log = structlog.get_logger()

ALL_AGAIN_S = 10.0
"""Least time between two readings of the whole catalogue: 100,000 videos take about a second."""
PART = 5_000
"""Videos read at once."""

TRIAL_PERSON = "trial of a new model"


@dataclass(frozen=True, slots=True)
class Serving:
    """A world and the pipeline made from it."""

    world: World
    pipeline: Pipeline

    @property
    def version(self) -> str:
        """Of the artifact; empty when there is none."""
        return self.world.artifact.version if self.world.artifact is not None else ""


class Keeper:
    """Owns :attr:`serving`; see the module's text."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, clock: Clock) -> None:
        self.settings, self.store, self.metrics, self.clock = settings, store, metrics, clock
        self.cards = Cards()
        self._foreign = (
            store.catalog.foreign_changes()
        )  # before the rows: what changes in between is read again
        self._read_all_s = time.monotonic()
        listed = store.catalog.rows()
        self.cards.put(listed)
        world = unread_world(settings, store.events, listed, self.cards.title_of)
        self.serving = Serving(world, build_pipeline(world))
        self.watcher = ArtifactWatcher(settings.artifacts)
        self._changed: set[str] = set()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="world-builder")
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the newest artifact, then look for newer ones until :meth:`stop`."""
        await self._in_builder(self.look)
        self.metrics.live_model(self.serving.version)
        self._poller = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Stop looking."""
        if self._poller is not None:
            self._poller.cancel()
        self._builder.shutdown(wait=True)

    async def changed(self, video_ids: Sequence[str]) -> None:
        """Returns when requests see these videos as the store has them; changes that wait share one build."""
        self._changed.update(video_ids)
        await self._in_builder(self.follow_catalogue)

    # -- in the builder thread -----------------------------------------------------------------------------

    def look(self) -> None:
        """What other processes did to the catalogue, and a newer artifact."""
        self.follow_catalogue()
        self.follow_others()
        artifact = self.watcher.poll()
        if artifact is not None:
            self.take(artifact)
        self.metrics.refused.set(len(self.watcher.refused))

    def take(self, artifact: Artifact) -> None:
        """Build from an artifact, try it, swap; refuse it when that fails."""
        try:
            world = self.serving.world.with_artifact(artifact)
            serving = Serving(world, build_pipeline(world))
            try_out(serving, self.clock.now_ms())
        except Exception as error:  # a bad model must not take the feed down
            self.watcher.refuse(artifact.version, f"{type(error).__name__}: {error}")
            return
        self.serving = serving
        self.watcher.accept(artifact)
        self.metrics.live_model(artifact.version)
        self.metrics.swaps.inc()
        log.info("model is live", version=artifact.version)

    def follow_catalogue(self) -> None:
        """Bring what is known to have changed, and what is new in the store, into a new world."""
        ids = [self._changed.pop() for _ in range(len(self._changed))]
        try:
            row_of = self.serving.world.videos.row_of
            known = [self.store.catalog.rows(row_of[name] - 1, 1)[0] for name in ids if name in row_of]
            self.show([*known, *self.store.catalog.rows(len(self.serving.world.videos) - 1)])
        except BaseException:
            self._changed.update(ids)  # the next look tries them again
            raise

    def follow_others(self) -> None:
        """Read the whole catalogue when another process wrote to it, not oftener than ``ALL_AGAIN_S``."""
        now_s = time.monotonic()
        if now_s - self._read_all_s < ALL_AGAIN_S:
            return
        foreign = self.store.catalog.foreign_changes()
        if foreign == self._foreign:
            return
        self._read_all_s = now_s
        for after in range(-1, len(self.serving.world.videos) - 1, PART):
            part = self.store.catalog.rows(after, PART)
            self.show([(row, video) for row, video in part if self.cards.differs(row, video)])
        self._foreign = foreign

    def show(self, rows: Sequence[tuple[int, Video]]) -> None:
        """Swap in a world in which these are new or different."""
        if not rows:
            return
        self.cards.put(rows)
        world = self.serving.world.with_videos(self.serving.world.videos.changed(rows))
        self.serving = Serving(world, build_pipeline(world))

    async def _in_builder(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._builder, work)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.settings.serve.artifact_poll_s)
            try:
                await self._in_builder(self.look)
            except Exception:  # the store or the disk may come back; what serves keeps serving
                log.exception("could not look for changes")


def try_out(serving: Serving, now_ms: int) -> None:
    """One page for nobody, so that a model that cannot answer is found before people meet it.

    Raises:
        ValueError: a score that is no number.

    """
    query = serving.world.query(TRIAL_PERSON, now_ms=now_ms, seed=0, request_id="trial")
    slate = serving.pipeline(query, 10)
    serving.world.live.forget(TRIAL_PERSON)
    if len(slate.items) and not np.isfinite(slate.items["score"]).all():
        raise ValueError("the model scores a video with something that is no number")
