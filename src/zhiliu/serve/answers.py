"""The shapes the API answers with, as callers and the OpenAPI document see them."""

from __future__ import annotations

from typing import Any

import msgspec

from zhiliu.types import Reason, Rejected, Video


class Taken(msgspec.Struct, frozen=True):
    """What became of a batch of events. ``accepted`` and ``duplicates`` are on disk."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...] = ()


class FeedItem(msgspec.Struct, frozen=True):
    """One slot. ``video`` is already JSON: cards are encoded once and kept."""

    video: msgspec.Raw
    position: int
    reasons: tuple[Reason, ...]


class FeedPage(msgspec.Struct, frozen=True):
    """A slate as it is sent."""

    request_id: str
    model: str
    items: list[FeedItem]
    next_cursor: str | None


class FeedItemShape(msgspec.Struct, frozen=True):
    """:class:`FeedItem` for the OpenAPI document."""

    video: Video
    position: int
    reasons: tuple[Reason, ...]


class FeedPageShape(msgspec.Struct, frozen=True):
    """:class:`FeedPage` for the OpenAPI document."""

    request_id: str
    model: str
    items: list[FeedItemShape]
    next_cursor: str | None


class HeadShare(msgspec.Struct, frozen=True):
    """One prediction and what it added to the score: ``value`` × ``weight``."""

    head: str
    value: float
    weight: float
    contribution: float


class Attribution(msgspec.Struct, frozen=True):
    """How much one feature moved the score."""

    feature: str
    effect: float


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why this video was in this slot, from the decision log."""

    request_id: str
    video_id: str
    slot: int
    time_ms: int
    surface: str
    mode: str
    model: str
    policy: str
    propensity: float
    score: float
    candidate_count: int
    sources: tuple[str, ...]
    reasons: tuple[Reason, ...]
    heads: list[HeadShare]
    weights_logged: bool
    """False: the record is from before weights were kept, and these are today's."""
    features: dict[str, float]
    attributions: list[Attribution]
    dropped: dict[str, int]
    failed: tuple[str, ...]
    context: dict[str, Any]
