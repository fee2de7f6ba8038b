"""The trained ranker in the feed: features of this moment, one call of the graph, calibrated heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features import profile
from zhiliu.features.builder import Features, build, numeric_names
from zhiliu.features.context import surface_of
from zhiliu.features.counters import CounterReader
from zhiliu.features.history import Ask, Window
from zhiliu.features.social import Heard
from zhiliu.live.world import World
from zhiliu.rank.model import RankerModel
from zhiliu.types import F32, I32, Candidates, Query

GROUPS: Mapping[str, tuple[str, ...]] = {
    "video": ("video_", "bucket_", "tag_", "duration", "fresh_days"),
    "author": ("author_",),
    "surface": ("surface_", "same_surface"),
    "person": ("person_", "profile_", "state_age"),
    "session": ("last", "today", "hour_rows"),
    "topic": ("same_topic",),
    "same_author": ("same_author",),
    "length": ("same_length",),
    "seen_before": ("same_video",),
    "social": ("followed_",),
}
"""Numeric features by what they are about, for attributions: name → prefixes."""


class OnnxRanker:
    """Ranks with the artifact of the world it was made for."""

    name = "onnx"

    def __init__(
        self, model: RankerModel, videos: VideoColumns, counters: CounterReader, timezone_offset_h: float
    ) -> None:
        self.model, self.videos, self.counters = model, videos, counters
        self.timezone_offset_h = timezone_offset_h

    @classmethod
    def from_world(cls, world: World) -> Self:
        """With the world's artifact and settings.

        Raises:
            RankerMismatchError: the artifact is of another version or time zone.
            SettingsError: fewer interactions are remembered than the ranker reads.

        """
        if world.artifact is None:
            raise ValueError("no artifact to rank with")
        model = RankerModel(world.artifact, world.videos)
        model.check_settings(world.settings)
        return cls(model, world.videos, world.live.counters, world.settings.timezone_offset_h)

    def features(self, query: Query, video: I32) -> Features | None:
        """What the graph reads about ``video`` (C,) in this request; None for rankers that read ids only."""
        if "numeric" not in self.model.inputs:
            return None
        now = np.array([query.now_ms], np.int64)
        ask = Ask(video, np.array([surface_of(query)], np.int32), now, now)
        window = Window.of(query.history, query.now_ms, self.model.window)
        profiles = profile.numeric(query.profile, query.now_ms)[None]
        heard = Heard.of(query.followed_likes, query.now_ms)
        return build(ask, window, heard, self.videos, self.counters, profiles, self.timezone_offset_h)

    def predict(self, query: Query, candidates: Candidates) -> Mapping[str, F32]:
        """Calibrated heads (C,) and ``watch_ms``."""
        heads, _ = self.predict_with_features(query, candidates)
        return heads

    def predict_with_features(self, query: Query, candidates: Candidates) -> tuple[dict[str, F32], F32]:
        """Heads, and the numeric features (C, F) that led to them, for the decision log."""
        if not len(candidates):
            empty = np.zeros(0, np.float32)
            return dict.fromkeys(self.model.heads, empty), np.zeros((0, 0), np.float32)
        features = self.features(query, candidates.video)
        codes = self.model.codes(query.profile)[None]
        heads = self.model.predict(features, candidates.video, codes, [query.person])
        numeric = np.zeros((len(candidates), 0), np.float32) if features is None else features.numeric
        return heads, numeric

    def attribute(self, query: Query, video: int, head: str = "long_view") -> dict[str, float]:
        """How far each group of features moves the log odds of ``head`` from what its average would say.

        Occlusion: a group's features are replaced by their training means and the graph is asked again.
        """
        features = self.features(query, np.array([video], np.int32))
        if features is None:
            return {}
        names = numeric_names()
        members = {g: [i for i, n in enumerate(names) if n.startswith(p)] for g, p in GROUPS.items()}
        numeric = np.repeat(features.numeric, len(members) + 1, 0)
        for row, columns in enumerate(members.values(), start=1):
            numeric[row, columns] = self.model.numeric_mean[columns]
        context = np.repeat(features.context, len(numeric), 0)
        changed = Features(numeric, context, features.past_video, features.past, features.past_mask)
        videos = np.full(len(numeric), video, np.int32)
        p = self.model.predict(changed, videos, self.model.codes(query.profile)[None], [query.person])[head]
        odds = np.log(p / (1 - p))
        return {group: float(odds[0] - odds[row]) for row, group in enumerate(members, start=1)}
