"""The nouns of Zhiliu: plain immutable data, no I/O, no clock, no chance.

Axes in shapes: ``C`` candidates, ``K`` slate, ``T`` history, ``P`` heads, ``D`` width, ``N`` catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Column = NDArray[Any]

HEADS: tuple[str, ...] = ("click", "long_view", "complete", "like", "follow", "comment", "share", "hide")
"""Binary outcomes every ranker may predict, in the order of every ``(…, P)`` label array."""


class EventType(StrEnum):
    """What can happen. The values are the wire format."""

    IMPRESSION = "impression"
    VIEW = "view"
    LIKE = "like"
    UNLIKE = "unlike"
    SAVE = "save"
    SHARE_CREATE = "share_create"
    SHARE_OPEN = "share_open"
    SHARE_COMPLETE = "share_complete"
    COMMENT = "comment"
    DANMAKU = "danmaku"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    HIDE = "hide"
    REPORT = "report"
    QUIZ_ANSWER = "quiz_answer"
    REVIEW_GRADE = "review_grade"
    PATH_STEP = "path_step"
    SEARCH = "search"


class Surface(StrEnum):
    """Where in the product something was served or seen."""

    FOR_YOU = "for_you"
    DISCOVER = "discover"
    FOLLOWING = "following"
    REVIEW = "review"


Id = Annotated[str, Meta(min_length=1, max_length=256)]
"""An id of a client's making."""
VideoMs = Annotated[int, Meta(ge=0, le=86_400_000)]
"""Milliseconds of one video: more than a day of one is a broken player."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One stored fact. ``time`` is ms UTC; ``position_ms`` and ``watch_ms`` are milliseconds of video.

    Exactly who did it: ``person_id``, or ``session_id`` for people without an account.
    ``props`` carries what one event type needs and others do not (``author_id`` of a follow, ``click`` and
    ``long_view`` as another platform judged them, ``text`` of a comment).
    """

    event_id: Id
    type: EventType
    time: int
    person_id: Id | None = None
    session_id: Id | None = None
    video_id: Id | None = None
    surface: Id = "for_you"
    request_id: Id | None = None
    position_ms: VideoMs | None = None
    watch_ms: VideoMs | None = None
    props: dict[str, Any] = {}

    @property
    def person(self) -> str:
        """The key all state about this person is kept under."""
        return self.person_id if self.person_id is not None else f"session:{self.session_id}"


class StoredEvent(msgspec.Struct, frozen=True):
    """An event with its place in the log. Offsets grow by commit order and are never reused."""

    offset: int
    event: Event


class Rejected(msgspec.Struct, frozen=True):
    """Why event number ``index`` of a batch was not taken."""

    index: int
    field: str
    reason: str


class Receipt(msgspec.Struct, frozen=True):
    """What an append did. When it is in the caller's hands, everything accepted is on disk."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejected, ...] = ()
    last_offset: int = 0


class Video(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A catalogue entry. ``published_ms`` is ms UTC."""

    video_id: str
    author_id: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    duration_ms: int = 0
    language: str = "und"
    published_ms: int = 0
    kind: str = "normal"
    status: str = "visible"
    props: dict[str, Any] = {}


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A basic profile. Unknown stays empty; nothing here is required to get a feed."""

    person_id: str
    age_band: str = ""
    gender: str = ""
    occupation: str = ""
    language: str = ""
    activity: str = ""
    follow_count: int = 0
    fan_count: int = 0
    friend_count: int = 0
    registered_ms: int = 0
    props: dict[str, Any] = {}


NEVER_MS = np.iinfo(np.int64).max
"""The time of something that has not happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What one person was shown and did, oldest first: one row an impression, outcomes joined.

    Every outcome carries the time it became known, so a feature at time t reads ``label_ms < t`` and can
    never see what came later.
    """

    video: I32  # (T,) catalogue rows
    time_ms: I64  # (T,) of the impression
    watch_ms: F32  # (T,) played, rewatches included
    watch_known_ms: I64  # (T,) time of the view event that told watch_ms; NEVER_MS when none
    label_ms: I64  # (T, P) when the head of HEADS became true; NEVER_MS when it did not
    surface: I32  # (T,) code of the surface (features.context.surface_code)

    @classmethod
    def empty(cls) -> History:
        """Nobody has seen anything yet."""
        i64 = np.zeros(0, np.int64)
        i32 = np.zeros(0, np.int32)
        return cls(
            video=i32,
            time_ms=i64,
            watch_ms=np.zeros(0, np.float32),
            watch_known_ms=i64,
            label_ms=np.zeros((0, len(HEADS)), np.int64),
            surface=i32,
        )

    def __len__(self) -> int:
        return len(self.video)

    def last(self, n: int) -> History:
        """The newest ``n`` rows."""
        cut = slice(max(0, len(self) - n), None)
        return History(
            video=self.video[cut],
            time_ms=self.time_ms[cut],
            watch_ms=self.watch_ms[cut],
            watch_known_ms=self.watch_known_ms[cut],
            label_ms=self.label_ms[cut],
            surface=self.surface[cut],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Likes:
    """Who liked what, the newest first."""

    video: I32  # (L,) catalogue rows
    time_ms: I64  # (L,)
    people: tuple[str, ...]  # L keys of those who liked


NO_LIKES = Likes(video=np.zeros(0, np.int32), time_ms=np.zeros(0, np.int64), people=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request for a slate. Clock and chance come in here, so a replay gives the same slate."""

    person: str
    now_ms: int
    seed: int
    request_id: str
    surface: str = Surface.FOR_YOU
    history: History = field(default_factory=History.empty)
    followed: tuple[str, ...] = ()
    """Author ids this person follows."""
    followed_likes: Likes = NO_LIKES
    """The newest likes of followed people; see ``features.social``."""
    seen: I32 = field(default_factory=lambda: np.zeros(0, np.int32))
    """(S,) rows not to serve again beside those of ``history``: of this cursor's pages, and exposures of old."""
    hidden: I32 = field(default_factory=lambda: np.zeros(0, np.int32))  # (H,) rows this person hid
    hidden_authors: tuple[str, ...] = ()
    """Author ids this person never wants to see."""
    profile: Person | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    def rng(self) -> np.random.Generator:
        """The only source of chance a stage may use."""
        return np.random.default_rng(self.seed)


SOURCES = 32
"""Most sources a pipeline has: each has one bit of a uint32."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Struct of arrays: ``video`` (C,) int32 catalogue rows and named columns (C,) or (C, D)."""

    video: I32  # (C,)
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != len(self.video):
                raise ValueError(f"column {name!r} has {len(column)} rows for {len(self.video)} candidates")

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @classmethod
    def empty(cls) -> Candidates:
        """No candidate at all."""
        return cls(np.zeros(0, np.int32))

    def take(self, rows: NDArray[Any]) -> Candidates:
        """The given rows (int positions or a bool mask), in the given order."""
        return Candidates(self.video[rows], {name: column[rows] for name, column in self.columns.items()})

    def with_columns(self, columns: Mapping[str, Column]) -> Candidates:
        """The same rows with columns added or replaced."""
        return Candidates(self.video, {**self.columns, **columns})

    @classmethod
    def merge(cls, named: Sequence[tuple[str, Candidates]]) -> Candidates:
        """Union by video, sources taking turns. Remembers *all* sources that found a video.

        Adds ``sources``: uint32 bit set (C,), bit i = the i-th name given, and one float32 column
        ``source:<name>`` (C,) with that source's score (nan where it did not find the video). Columns a source
        has marked as its own, ``<name>:…``, are kept: nan or -1 where it did not find the video.
        """
        if len(named) > SOURCES:
            raise ValueError(f"{len(named)} sources; at most {SOURCES} sources fit the bits of a candidate")
        found = [(name, c) for name, c in named if len(c)]
        if not found:
            return cls.empty()
        every = np.concatenate([c.video for _, c in found])  # (sum of C,)
        rank = np.concatenate([np.arange(len(c)) for _, c in found])  # place within its source
        by_rank = np.argsort(rank, kind="stable")  # round robin: every source's best before any second best
        unique, first, inverse = np.unique(every[by_rank], return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        place = np.empty(len(unique), np.int64)
        place[order] = np.arange(len(unique))
        rows_of_every = np.empty(len(every), np.int64)
        rows_of_every[by_rank] = place[inverse]
        bit = {name: np.uint32(1 << i) for i, (name, _) in enumerate(named)}
        bits = np.zeros(len(unique), np.uint32)
        columns: dict[str, Column] = {}
        start = 0
        for name, c in found:
            rows = rows_of_every[start : start + len(c)]
            start += len(c)
            bits[rows] |= bit[name]
            score = np.full(len(unique), np.nan, np.float32)
            score[rows] = c.columns.get("score", np.zeros(len(c), np.float32))
            columns[f"source:{name}"] = score
            for own, values in c.columns.items():
                if own.startswith(f"{name}:"):
                    missing = np.nan if np.issubdtype(values.dtype, np.floating) else -1
                    columns[own] = np.full((len(unique), *values.shape[1:]), missing, values.dtype)
                    columns[own][rows] = values
        columns["sources"] = bits
        return cls(unique[order].astype(np.int32), columns)


class Reason(msgspec.Struct, frozen=True):
    """Why a video is here: a code for machines, a text for people, the ids it refers to."""

    code: str
    text: str
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """What is served: ``items`` (K,) in order, what was dropped by which filter, which sources failed."""

    request_id: str
    items: Candidates
    model: str = ""
    policy: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of the objective, by head; empty for one that has none."""
    reasons: tuple[tuple[Reason, ...], ...] = ()  # (K,)
    source_names: tuple[str, ...] = ()
    candidate_hash: str = ""
    candidate_count: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    def with_reasons(self, reasons: tuple[tuple[Reason, ...], ...]) -> Self:
        """The same slate with reasons attached."""
        return replace(self, reasons=reasons)


class DecisionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a served slate, as it was at rank time."""

    slot: int
    video_id: str
    score: float
    propensity: float
    """Probability that the policy served this video in this slot."""
    sources: tuple[str, ...]
    heads: dict[str, float]
    features: tuple[float, ...] = ()
    """Numeric features at rank time; their names are in the artifact ``model``."""
    reasons: tuple[Reason, ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one served slate that cannot be rebuilt later."""

    request_id: str
    person: str
    time_ms: int
    surface: str
    policy: str
    """Kind and configuration, ``greedy:<hash>``; ``greedy`` alone in records from before weights were kept."""
    model: str
    candidate_hash: str
    candidate_count: int
    seed: int
    weights: dict[str, float] = {}
    """Of the objective at that time, by head."""
    seen_count: int = 0
    seen_hash: str = ""
    """Number and hash of the rows in ``Query.seen``: a replay with others is not the same request."""
    mode: str = "personal"
    """``personal`` or ``nonprofiled``."""
    context: dict[str, Any] = {}
    dropped: dict[str, int] = {}
    failed: tuple[str, ...] = ()
    items: tuple[DecisionItem, ...] = ()
