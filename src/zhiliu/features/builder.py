"""All features of candidates at one moment, in one fixed order: the same function feeds training and serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features import profile
from zhiliu.features.context import SURFACE_CODES, hour_of_day, weekday
from zhiliu.features.counters import STAT, CounterReader, Counters, keys_of, smoothed
from zhiliu.features.history import (
    MOST,
    PRIOR,
    Ask,
    Outcomes,
    Window,
    outcomes,
    pair_columns,
    person_columns,
    trial_of,
)
from zhiliu.features.social import Heard, social_columns
from zhiliu.features.video import BUCKETS, duration_bucket, fresh_days
from zhiliu.types import F32, I32, Bool, History, Video

LADDER: tuple[tuple[str, float], ...] = (("bucket", 50.0), ("tag", 50.0), ("author", 20.0), ("video", 20.0))
"""A video's rate leans on its author's, that on the topic's, that on the length's; the number is how hard."""
RARE = ("follow", "comment", "share", "hide")
RARE_PRIOR, RARE_STRENGTH = 0.002, 200.0
SEQUENCE: tuple[str, ...] = (
    "long_view", "like", "lift_long_view", "lift_click", "lift_complete", "lift_ratio", "age",
)  # fmt: skip
"""What the model is told of each past row beside its video. Clicks and watch times come as what was more than
expected, 0 where unknown: told plainly, a past with more of them told looks like a person who clicks more."""
CONTEXT: tuple[str, ...] = ("surface", "hour", "weekday", "bucket")
CONTEXT_SIZES: tuple[int, ...] = (SURFACE_CODES, 24, 7, BUCKETS)


@dataclass(frozen=True, slots=True)
class Features:
    """What a ranker reads about B candidates. W is B in training and 1 in serving."""

    numeric: F32  # (B, F) in the order of ``numeric_names()``
    context: I32  # (B, 4) codes in the order of CONTEXT
    past_video: I32  # (W, T) catalogue rows, valid where past_mask
    past: F32  # (W, T, H) in the order of SEQUENCE
    past_mask: Bool  # (W, T)


def build(
    ask: Ask,
    window: Window,
    heard: Heard,
    videos: VideoColumns,
    counters: CounterReader,
    profiles: F32,
    timezone_offset_h: float,
) -> Features:
    """Features of the rows asked for. ``profiles`` (W, 4) from ``profile.numeric``."""
    seen = outcomes(window, np.broadcast_to(ask.state_ms, (len(window.mask),)), videos, counters)
    columns = numeric_columns(ask, window, seen, heard, videos, counters, profiles, timezone_offset_h)
    b = len(ask)
    matrix = np.empty((b, len(columns)), np.float32)
    for i, column in enumerate(columns.values()):
        matrix[:, i] = column
    surface = np.broadcast_to(ask.surface, (b,))
    hour = np.broadcast_to(hour_of_day(ask.now_ms, timezone_offset_h), (b,))
    day = np.broadcast_to(weekday(ask.now_ms, timezone_offset_h), (b,))
    bucket = duration_bucket(videos.duration_ms[ask.video])
    context = np.stack([surface, hour, day, bucket], 1).astype(np.int32)
    return Features(matrix, context, window.video, past_rows(ask, window, seen), window.mask)


def numeric_columns(
    ask: Ask,
    window: Window,
    seen: Outcomes,
    heard: Heard,
    videos: VideoColumns,
    counters: CounterReader,
    profiles: F32,
    timezone_offset_h: float,
) -> dict[str, F32]:
    """Every numeric feature by name, (B,) or (1,) each."""
    columns: dict[str, Any] = {}
    columns |= rate_columns(ask, videos, counters)
    columns |= person_columns(ask, window, seen, timezone_offset_h)
    columns |= pair_columns(ask, window, seen, videos)
    columns |= social_columns(ask, heard, videos)
    columns["duration"] = np.log1p(videos.duration_ms[ask.video] / 1000)
    columns["fresh_days"] = fresh_days(ask.now_ms, videos.published_ms[ask.video])
    columns |= {f"profile_{name}": profiles[:, i] for i, name in enumerate(profile.NUMERIC)}
    return columns


def rate_columns(ask: Ask, videos: VideoColumns, counters: CounterReader) -> dict[str, F32]:
    """What everybody did with this video, its author, topic, length, surface, before ``state_ms``: (B,) each."""
    surface = np.broadcast_to(ask.surface, ask.video.shape)
    kinds = ("all", *(kind for kind, _ in LADDER), "surface", "surface_bucket")
    sums = {
        kind: counters.read(kind, keys_of(kind, videos, ask.video, surface), ask.state_ms) for kind in kinds
    }
    columns: dict[str, Any] = {}
    for head, prior in PRIOR.items():
        hits, trials = STAT[head], STAT[trial_of(head)]
        most = MOST.get(head, 1.0)
        rate = smoothed(sums["all"][:, hits], sums["all"][:, trials], prior, 50.0, most)
        for kind, strength in LADDER:
            hard = strength * (3 if head == "like" else 1)
            rate = smoothed(sums[kind][:, hits], sums[kind][:, trials], rate, hard, most)
            if kind in ("author", "video") or head in ("long_view", "click"):
                columns[f"{kind}_{head}"] = rate
    for head in RARE:
        rate = np.asarray(RARE_PRIOR)
        for kind in ("all", "author", "video"):
            rate = smoothed(sums[kind][:, STAT[head]], sums[kind][:, STAT["judged"]], rate, RARE_STRENGTH)
        columns[f"video_{head}"] = rate
    columns["video_shown"] = np.log1p(sums["video"][:, STAT["shown"]])
    columns["author_shown"] = np.log1p(sums["author"][:, STAT["shown"]])
    for head in ("long_view", "click"):
        hits, trials = STAT[head], STAT["judged" if head == "click" else "shown"]
        here = smoothed(sums["surface"][:, hits], sums["surface"][:, trials], np.asarray(PRIOR[head]), 50.0)
        columns[f"surface_{head}"] = here
        both = sums["surface_bucket"]
        columns[f"surface_bucket_{head}"] = smoothed(both[:, hits], both[:, trials], here, 100.0)
    return columns


def past_rows(ask: Ask, window: Window, seen: Outcomes) -> F32:
    """(W, T, H) in the order of SEQUENCE."""
    state_ms = np.broadcast_to(ask.state_ms, (len(window.mask),))
    age_h = np.clip((state_ms[:, None] - window.time_ms) / 3_600_000, 0, 24 * 60)
    parts: Mapping[str, Any] = {
        "long_view": seen.value["long_view"],
        "like": seen.value["like"],
        **{f"lift_{head}": seen.residual[head] for head in ("long_view", "click", "complete", "ratio")},
        "age": np.log1p(age_h) * window.mask,
    }
    return np.stack([parts[name] for name in SEQUENCE], -1).astype(np.float32)


def numeric_names() -> tuple[str, ...]:
    """Names of the numeric features in order: what one row of an empty system yields."""
    videos = VideoColumns.build([(0, Video(video_id="any", author_id="any"))])
    empty = np.zeros(0, np.int32)
    moment = np.zeros(1, np.int64)
    window = Window.of(History.empty(), 0, 2)
    ask = Ask(empty, np.zeros(1, np.int32), moment, moment)
    seen = outcomes(window, moment, videos, Counters(videos))
    profiles = np.zeros((1, len(profile.NUMERIC)), np.float32)
    heard, counters = Heard.nothing(1), Counters(videos)
    return tuple(numeric_columns(ask, window, seen, heard, videos, counters, profiles, 0.0))
