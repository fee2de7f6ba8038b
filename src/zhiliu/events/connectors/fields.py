"""What a file may bring: every field of events, videos and people with its type, unit and default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from zhiliu.events.check import MAX_PROPS_BYTES

Kind = Literal["events", "videos", "people"]
KINDS: tuple[Kind, ...] = ("events", "videos", "people")

ROW = "#row"
"""Column of every frame here: 1-based data row of the file it came from."""
MAX_ID = 256
"""Longest id, in characters."""
MAX_TEXT = 10_000
"""Longest text field, in characters; anything longer is not metadata of a video."""


class FileError(Exception):
    """The whole file cannot be used; nothing of it was written. The message says what would be right."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind. ``default`` fills empty cells; None leaves them empty."""

    dtype: pl.DataType
    what: str
    """What a right value is, as an error says it."""
    default: Any = None
    required: bool = False
    max_chars: int = 0
    """0: no text."""
    is_time: bool = False
    is_id: bool = False


def _id(*, required: bool = False) -> Field:
    return Field(
        pl.String(), f"an id of 1 to {MAX_ID} characters", required=required, max_chars=MAX_ID, is_id=True
    )


def _text(default: str | None = "", max_chars: int = MAX_ID) -> Field:
    return Field(pl.String(), f"text of at most {max_chars} characters", default, max_chars=max_chars)


def _count(what: str, default: int | None = 0) -> Field:
    return Field(pl.Int64(), what, default)


def _time(*, required: bool = False) -> Field:
    return Field(
        pl.Int64(), "whole milliseconds UTC", None if required else 0, required=required, is_time=True
    )


PROPS = Field(pl.String(), f"a JSON object of at most {MAX_PROPS_BYTES} bytes")

FIELDS: dict[Kind, dict[str, Field]] = {
    "events": {
        "event_id": _id(),
        "type": Field(pl.String(), "an event type", required=True, max_chars=MAX_ID),
        "time": _time(required=True),
        "person_id": _id(),
        "session_id": _id(),
        "video_id": _id(),
        "surface": _text("for_you"),
        "request_id": _id(),
        "position_ms": _count("whole milliseconds, 0 or more", None),
        "watch_ms": _count("whole milliseconds, 0 or more", None),
        "props": PROPS,
    },
    "videos": {
        "video_id": _id(required=True),
        "author_id": _id(required=True),
        "title": _text(max_chars=MAX_TEXT),
        "description": _text(max_chars=MAX_TEXT),
        "tags": Field(pl.List(pl.String()), "a list of texts, or one text with commas between the tags", []),
        "duration_ms": _count("whole milliseconds, 0 or more"),
        "language": _text("und"),
        "published_ms": _time(),
        "kind": _text("normal"),
        "status": _text("visible"),
        "props": PROPS,
    },
    "people": {
        "person_id": _id(required=True),
        "age_band": _text(),
        "gender": _text(),
        "occupation": _text(),
        "language": _text(),
        "activity": _text(),
        "follow_count": _count("a whole number, 0 or more"),
        "fan_count": _count("a whole number, 0 or more"),
        "friend_count": _count("a whole number, 0 or more"),
        "registered_ms": _time(),
        "props": PROPS,
    },
}
"""Kind → field → rule. The names are those of ``types.Event``, ``Video`` and ``Person``."""


def schema(kind: Kind) -> dict[str, pl.DataType]:
    """Columns and types of a checked frame, without its ``#row``."""
    return {name: field.dtype for name, field in FIELDS[kind].items()}
