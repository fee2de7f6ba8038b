"""What a person's past says about a candidate, seen from one moment: one definition for training and serving.

Training asks for B rows, each with its own window of the past (B, T); a request asks for C candidates that
share one window (1, T). Broadcasting makes both the same code.

The outcome of a past row is compared with what was to be expected of that video (``residual``): watching a
video long that everybody watches long says little about the person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.context import DAY_MS, HOUR_MS, LOGGED, SURFACE_CODES, local_midnight_ms
from zhiliu.features.counters import STAT, CounterReader, smoothed
from zhiliu.features.video import BUCKETS, duration_bucket
from zhiliu.types import F32, HEADS, I32, I64, Bool, History

LIFTED: tuple[str, ...] = ("long_view", "like", "click", "complete", "ratio")
"""Outcomes that a person's lift is computed for; the first two are known for imported histories too."""
PRIOR: Mapping[str, float] = {"long_view": 0.33, "like": 0.018, "click": 0.44, "complete": 0.2, "ratio": 0.35}
"""Rates of the first impressions of an empty system, before anything was counted (KuaiRand's overall ones)."""
MOST: Mapping[str, float] = {"ratio": 2.0}
"""What one trial can add to the hits of a head, where it is not 1."""
RECENT_HALF_LIFE_MS = 5 * DAY_MS
TOPIC_HALF_LIFE_MS = 14 * DAY_MS
"""How fast a long view says less about a person's taste for its topic."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The rows features are asked for. ``now_ms`` is the impression, ``state_ms`` ≤ now: facts before it count."""

    video: I32  # (B,)
    surface: I32  # (B,) or (1,)
    now_ms: I64  # (B,) or (1,)
    state_ms: I64  # (B,) or (1,)

    def __len__(self) -> int:
        return len(self.video)


@dataclass(frozen=True, slots=True)
class Window:
    """The newest T impressions before ``state_ms``, oldest first, padded on the left. W is B or 1."""

    mask: Bool  # (W, T)
    video: I32  # (W, T)
    surface: I32  # (W, T)
    time_ms: I64  # (W, T)
    watch_ms: F32  # (W, T), 0 where not yet known
    labels: F32  # (W, T, P), 1 where the head was true and known

    @classmethod
    def of(cls, history: History, state_ms: int, length: int) -> Window:
        """The window (1, length) of a live history."""
        keep = history.time_ms < state_ms
        rows = np.flatnonzero(keep)[-length:]
        return cls.gather(
            history, np.pad(rows, (length - len(rows), 0), constant_values=-1)[None], np.array([state_ms])
        )

    @classmethod
    def gather(cls, history: History, rows: NDArray[Any], state_ms: I64) -> Window:
        """Rows (W, T) of ``history`` (−1: nothing), as known at ``state_ms`` (W,)."""
        mask = rows >= 0
        if not len(history):
            zero, heads = np.zeros(rows.shape, np.int32), np.zeros((*rows.shape, len(HEADS)), np.float32)
            return cls(mask, zero, zero, zero.astype(np.int64), zero.astype(np.float32), heads)
        at = np.where(mask, rows, 0)
        before = state_ms[:, None]
        watched = mask & (history.watch_known_ms[at] < before)
        known = mask[..., None] & (history.label_ms[at] < before[..., None])
        return cls(
            mask,
            history.video[at],
            history.surface[at],
            history.time_ms[at],
            np.where(watched, history.watch_ms[at], 0).astype(np.float32),
            known.astype(np.float32),
        )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Residuals of the window: what happened minus what was expected. 0 where nothing is known."""

    any: F32  # (W, T) 1 where there is a row
    judged: F32  # (W, T) 1 where click and watch time are known
    residual: Mapping[str, F32]  # (W, T) for each of LIFTED
    value: Mapping[str, F32]  # (W, T)


def outcomes(window: Window, state_ms: I64, videos: VideoColumns, counters: CounterReader) -> Outcomes:
    """Compare each past row with the rate of its video, length and surface as counted at ``state_ms`` (W,)."""
    rows = window.mask.astype(np.float32)
    judged = rows * (window.surface != LOGGED)
    duration = np.maximum(videos.duration_ms[window.video], 1)
    value: dict[str, F32] = {head: window.labels[..., HEADS.index(head)] for head in LIFTED[:-1]}
    ratio = np.minimum(window.watch_ms / duration, 2.0) * (videos.duration_ms[window.video] > 0)
    value["ratio"] = ratio.astype(np.float32)
    rate = expected(window, state_ms, videos, counters)
    residual: dict[str, F32] = {}
    for head in LIFTED:
        known = rows if head in ("long_view", "like") else judged
        residual[head] = ((value[head] - rate[head]) * known).astype(np.float32)
    return Outcomes(rows, judged.astype(np.float32), residual, value)


def expected(window: Window, state_ms: I64, videos: VideoColumns, counters: CounterReader) -> dict[str, F32]:
    """Rate (W, T) of each of LIFTED for the videos of the window: length → video, shifted by the surface."""
    w, t = window.mask.shape
    rows = np.flatnonzero(window.mask)
    asked = np.broadcast_to(state_ms[:, None], (w, t)).reshape(-1)[rows]
    video = window.video.reshape(-1)[rows]
    bucket = duration_bucket(videos.duration_ms[video])
    owner = rows // t
    every = counters.read("all", np.zeros(w, np.int64), state_ms)  # (W, S)
    by_bucket = table(counters, "bucket", BUCKETS, state_ms)  # (W, BUCKETS, S)
    by_surface = table(counters, "surface", SURFACE_CODES, state_ms)  # (W, 64, S)
    own = counters.read("video", video.astype(np.int64), asked)  # (R, S)
    surface = window.surface.reshape(-1)[rows]
    rates: dict[str, F32] = {}
    for head in LIFTED:
        hits, trials = STAT[head], STAT[trial_of(head)]
        most = MOST.get(head, 1.0)
        overall = smoothed(every[:, hits], every[:, trials], PRIOR[head], 50.0, most)
        level = overall[owner]
        counted = by_bucket[owner, bucket]
        level = smoothed(counted[:, hits], counted[:, trials], level, 50.0, most)
        level = smoothed(own[:, hits], own[:, trials], level, 20.0, most)
        shown = by_surface[owner, surface]
        here = smoothed(shown[:, hits], shown[:, trials], overall[owner], 50.0, most)
        full = np.zeros(w * t, np.float32)
        full[rows] = sigmoid(logit(level) + logit(here) - logit(overall[owner]))
        rates[head] = full.reshape(w, t)
    return rates


def table(counters: CounterReader, kind: str, keys: int, state_ms: I64) -> NDArray[np.float64]:
    """Every key of a small kind at every moment: (W, keys, S)."""
    if len(state_ms) == 1:
        return counters.read(kind, np.arange(keys, dtype=np.int64), state_ms)[None]
    moments, inverse = np.unique(state_ms, return_inverse=True)
    key = np.tile(np.arange(keys, dtype=np.int64), len(moments))
    sums = counters.read(kind, key, np.repeat(moments, keys))
    whole: NDArray[np.float64] = sums.reshape(len(moments), keys, -1)[inverse]
    return whole


def trial_of(head: str) -> str:
    """Which exposures count as trials of a head: an imported history tells long views and likes only."""
    return "shown" if head in ("long_view", "like") else "judged"


def person_columns(ask: Ask, window: Window, seen: Outcomes, timezone_offset_h: float) -> dict[str, F32]:
    """What the past says whatever the candidate: (W,) each."""
    columns: dict[str, Any] = {}
    n_any = seen.any.sum(1)
    recent = np.exp2((window.time_ms - ask.state_ms[:, None]) / RECENT_HALF_LIFE_MS) * seen.any
    for head in LIFTED:
        known = seen.any if trial_of(head) == "shown" else seen.judged
        columns[f"person_lift_{head}"] = seen.residual[head].sum(1) / (known.sum(1) + 5)
        if head in ("long_view", "click"):
            weight = recent * known
            columns[f"person_recent_{head}"] = (weight * seen.residual[head]).sum(1) / (weight.sum(1) + 3)
            columns[f"person_rate_{head}"] = ((seen.value[head] * known).sum(1) + 5 * PRIOR[head]) / (
                known.sum(1) + 5
            )
    columns["person_rows"] = np.log1p(n_any)
    for n in (1, 3, 5, 10):
        columns[f"last{n}_lift"] = seen.residual["long_view"][:, -n:].sum(1) / (seen.any[:, -n:].sum(1) + 1)
    for head in ("long_view", "click", "ratio"):
        columns[f"last1_{head}"] = seen.value[head][:, -1]
        columns[f"last2_{head}"] = (
            seen.value[head][:, -2] if window.mask.shape[1] > 1 else np.zeros(len(n_any))
        )
    columns["last1_watch"] = np.log1p(window.watch_ms[:, -1] / 1000)
    timed = seen.judged[:, -1] > 0
    gap_s = np.clip((ask.state_ms - window.time_ms[:, -1]) / 1000, 0, 7 * 86_400)
    columns["last1_gap"] = np.where(timed, np.log1p(gap_s), np.log1p(7 * 86_400))
    stale_s = np.clip((ask.now_ms - ask.state_ms) / 1000, 0, 30 * 86_400)
    columns["state_age"] = np.broadcast_to(np.log1p(stale_s), n_any.shape)
    midnight = local_midnight_ms(ask.state_ms, timezone_offset_h)
    columns["today"] = np.log1p((seen.judged * (window.time_ms >= midnight[:, None])).sum(1))
    columns["hour_rows"] = np.log1p(
        (seen.judged * (window.time_ms >= ask.state_ms[:, None] - HOUR_MS)).sum(1)
    )
    return {name: column.astype(np.float32) for name, column in columns.items()}


def pair_columns(ask: Ask, window: Window, seen: Outcomes, videos: VideoColumns) -> dict[str, F32]:
    """What past rows that share the candidate's topic, author, length or surface say about it: (B,) each."""
    lift = seen.residual["long_view"].sum(1) / (seen.any.sum(1) + 5)
    click = seen.residual["click"].sum(1) / (seen.judged.sum(1) + 5)
    length, past_length = videos.duration_ms[ask.video], videos.duration_ms[window.video]
    same = {
        "topic": alike(videos.tag[ask.video, 0], videos.tag[window.video, 0]),
        "author": alike(videos.author[ask.video], videos.author[window.video]),
        "length": alike(duration_bucket(length), duration_bucket(past_length)),
        "video": alike(ask.video, window.video),
        "surface": alike(np.broadcast_to(ask.surface, ask.video.shape), window.surface),
    }
    fading = np.exp2((window.time_ms - ask.state_ms[:, None]) / TOPIC_HALF_LIFE_MS).astype(np.float32)
    strength = {"topic": 5.0, "author": 3.0, "length": 5.0, "video": 2.0, "surface": 3.0}
    columns: dict[str, F32] = {}
    for name, equal in same.items():
        known = total(equal, seen.any)
        if name != "surface":  # it counts the days of the log more than it tells of the person
            columns[f"same_{name}_rows"] = np.log1p(known)
        k = strength[name]
        lifts = seen.residual["long_view"]
        if name == "topic":  # tastes move on
            known, lifts = total(equal, seen.any * fading), lifts * fading
        columns[f"same_{name}_long_view"] = (total(equal, lifts) + k * lift) / (known + k)
        if name in ("length", "surface"):
            tried = total(equal, seen.judged)
            columns[f"same_{name}_click"] = (total(equal, seen.residual["click"]) + k * click) / (tried + k)
    columns["same_topic_like"] = total(same["topic"], seen.value["like"])
    columns["last1_same_topic"] = (same["topic"][:, -1] * seen.any[:, -1]).astype(np.float32)
    return {name: column.astype(np.float32) for name, column in columns.items()}


def alike(candidate: NDArray[Any], past: NDArray[Any]) -> F32:
    """1 where a row of the past (W, T) has the candidate's code (B,): (B, T)."""
    equal: F32 = (candidate[:, None] == past).astype(np.float32)
    return equal


def total(equal: F32, values: F32) -> F32:
    """Sum of ``values`` (W, T) where ``equal`` (B, T): (B,)."""
    if len(values) == 1:
        shared: F32 = equal @ values[0]
        return shared
    each: F32 = np.einsum("bt,bt->b", equal, values)
    return each


def logit(p: NDArray[Any]) -> NDArray[Any]:
    """Log odds, clipped away from certainty."""
    clipped = np.clip(p, 1e-4, 1 - 1e-4)
    odds: NDArray[Any] = np.log(clipped / (1 - clipped))
    return odds


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """Inverse of ``logit``."""
    p: NDArray[Any] = 1 / (1 + np.exp(-x))
    return p
