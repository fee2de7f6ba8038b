"""What the routers ask: one object that knows the store, the live state and the world that serves."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import structlog

from zhiliu.features.context import hour_of_day
from zhiliu.live.consumer import Consumer
from zhiliu.live.opening import checkpoint_of
from zhiliu.live.world import NONPROFILED, PERSONAL
from zhiliu.rank.recorder import StoreRecorder
from zhiliu.serve.clock import Clock
from zhiliu.serve.keeper import Keeper
from zhiliu.serve.metrics import Metrics
from zhiliu.serve.profiles import Profiles
from zhiliu.settings import Settings
from zhiliu.sources.like_this import like_this
from zhiliu.store import Store
from zhiliu.types import I32, Decision, DecisionItem, Query, Slate, Surface

log = structlog.get_logger()

STORE_S = 1.0
"""A store that does not answer within this is told as missing."""


class Engine:
    """Built once an application. Requests call it on the event loop; it hands slow reads to threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.metrics = Metrics()
        self.clock = Clock(settings.serve.start_ms)
        self.keeper = Keeper(settings, store, self.metrics, self.clock)
        self.consumer = Consumer(
            "live",
            events=store.events,
            state=self.keeper.serving.world.live,
            checkpoint=checkpoint_of(settings, store.events),
            offsets=store.offsets,
        )
        self.recorder = StoreRecorder(store.decisions, self._id_of)
        self.profiles = Profiles(store.people)

    async def start(self) -> None:
        """Catch up with the log, take the newest model."""
        await asyncio.to_thread(self.consumer.start)
        await self.keeper.start()

    async def stop(self) -> None:
        """Let builds end, write the live state down."""
        await self.keeper.stop()
        await asyncio.to_thread(self.recorder.close)
        await asyncio.to_thread(self.consumer.stop)

    # -- catalogue -----------------------------------------------------------------------------------------

    def known_video(self, video_id: str) -> bool:
        """Whether events may name it; a deleted one still may: people watched it before it went."""
        return video_id in self.keeper.serving.world.videos.row_of

    async def catalogue_changed(self, video_ids: Sequence[str]) -> None:
        """Returns when the next page sees the change."""
        await self.keeper.changed(video_ids)

    def person_changed(self, person_id: str) -> None:
        """The next request reads the profile again."""
        self.profiles.changed(person_id)

    def _id_of(self, row: int) -> str:
        return self.keeper.serving.world.videos.ids[row]

    def cards_of(self, rows: Sequence[int]) -> list[msgspec.Raw]:
        """The JSON of these catalogue rows."""
        return self.keeper.cards.of(rows)

    def similar(self, video_id: str, limit: int) -> list[tuple[msgspec.Raw, float]] | None:
        """Cards and scores, best first; None for a video that is not there."""
        world = self.keeper.serving.world
        row = world.videos.row_of.get(video_id)
        if row is None or not world.videos.visible[row]:
            return None
        found = like_this(world, row, limit)
        scores = [round(float(score), 6) for score in found["score"]]
        return list(zip(self.cards_of(found.video.tolist()), scores, strict=True))

    # -- pages ---------------------------------------------------------------------------------------------

    async def query(self, person: str, surface: str, seen: I32, said: Mapping[str, str]) -> Query:
        """A request for a page, with everything known of the person now. Who was here lately waits for no disk."""
        live = self.keeper.serving.world.live
        if live.loaded(person) and self.profiles.fresh(person):
            return self._query(person, surface, seen, said)
        return await asyncio.to_thread(self._query, person, surface, seen, said)

    def _query(self, person: str, surface: str, seen: I32, said: Mapping[str, str]) -> Query:
        now_ms = self.clock.now_ms()
        hour = int(hour_of_day(np.array([now_ms]), self.settings.timezone_offset_h)[0])
        return self.keeper.serving.world.query(
            person,
            now_ms=now_ms,
            seed=secrets.randbits(63),
            request_id=f"{now_ms:x}-{secrets.token_hex(6)}",
            surface=surface,
            seen=seen,
            profile=self.profiles.get(person),
            context={"hour": hour} | {name: value for name, value in said.items() if value},
            mode=NONPROFILED if surface == Surface.DISCOVER else PERSONAL,
        )

    def slate(self, query: Query, limit: int) -> Slate:
        """A page of at most ``limit`` videos."""
        started = time.perf_counter()
        slate = self.keeper.serving.pipeline(query, limit)
        self.metrics.rank_seconds.observe(time.perf_counter() - started)
        for source in slate.failed:
            self.metrics.source_failures.labels(source).inc()
        return slate

    async def record(self, person: str, query: Query, slate: Slate) -> None:
        """Into the decision log, after the answer has left; for ``person``, whom the query may not name."""
        self.recorder.record(replace(query, person=person), slate)

    # -- looking back --------------------------------------------------------------------------------------

    async def decision(self, request_id: str) -> Decision | None:
        """What was decided for a page, as soon as it is written."""
        waiting = self.recorder.pending(request_id)
        return waiting or await asyncio.to_thread(self.store.decisions.get, request_id)

    def feature_names(self, version: str) -> Sequence[str]:
        """Names of the numeric features that an artifact ranks with; empty when it is gone."""
        try:
            facts = json.loads((self.settings.artifacts / version / "ranker.json").read_text("utf-8"))
        except (OSError, ValueError):
            return ()
        return tuple(facts.get("numeric", ()))

    async def attributions(self, decision: Decision, item: DecisionItem) -> dict[str, float]:
        """How far each feature moved the model, asked anew with what was known at that moment.

        Empty when another model serves by now, or the ranker offers none.
        """
        serving = self.keeper.serving
        row = serving.world.videos.row_of.get(item.video_id)
        ask = getattr(serving.pipeline.ranker, "attribute", None)
        if ask is None or row is None or decision.model != serving.version:
            return {}

        def work() -> dict[str, float]:
            query = serving.world.query_again(decision, self.profiles.get(decision.person))
            effects: dict[str, float] = ask(query, row)
            return effects

        try:
            return await asyncio.to_thread(work)
        except Exception:  # the record itself is worth telling without them
            log.exception("attribution failed", request_id=decision.request_id)
            return {}

    # -- operating -----------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """Version of the artifact that serves; empty when none does."""
        return self.keeper.serving.version

    @property
    def refused(self) -> Mapping[str, str]:
        """Version → why it does not serve."""
        return self.keeper.watcher.refused

    async def readiness(self) -> dict[str, Any]:
        """Whether pages can be answered, and what is missing while they are."""
        degraded = [] if self.model else ["no trained model: the feed is what is trending"]
        if self.refused:
            degraded.append(f"artifacts refused: {', '.join(sorted(self.refused))}")
        try:
            lag = await asyncio.wait_for(asyncio.to_thread(self.consumer.lag), STORE_S)
        except Exception as error:  # pages are answered from memory
            degraded.append(f"store: {type(error).__name__}")
            lag = -1
        return {"ready": True, "degraded": degraded, "model": self.model, "lag_events": lag}

    async def observe_lag(self) -> None:
        """Put the consumer's lag into the metrics; left as it is when the store cannot be asked."""
        try:
            self.metrics.lag.set(await asyncio.wait_for(asyncio.to_thread(self.consumer.lag), STORE_S))
        except Exception:
            log.exception("lag unknown")
