"""Structs ↔ table rows. The order of ``EVENT_COLUMNS`` is the order of every event tuple in this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from zhiliu.types import Event, EventType, Person, StoredEvent, Video

EVENT_COLUMNS: Final = (
    "event_id", "type", "time", "person", "has_account", "session_id", "video_id", "surface", "request_id",
    "position_ms", "watch_ms", "props",
)  # fmt: skip
TYPE_OF: Final[Mapping[str, EventType]] = {kind.value: kind for kind in EventType}

EventRow = tuple[Any, ...]


class Named(Protocol):
    """A row whose values are reached by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


encode = msgspec.json.Encoder(order="deterministic").encode
decode = msgspec.json.decode
decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode


def to_json(value: Any) -> str:
    """Compact JSON text, keys sorted."""
    return encode(value).decode()


def text_of(props: Mapping[str, Any]) -> str | None:
    """JSON text; None for nothing."""
    return encode(props).decode() if props else None


def props_of(text: str | None) -> dict[str, Any]:
    """The inverse of :func:`text_of`."""
    if text is None:
        return {}
    props: dict[str, Any] = decode(text)
    return props


def event_row(event: Event) -> EventRow:
    """One tuple in the order of ``EVENT_COLUMNS``."""
    person_id = event.person_id
    return (
        event.event_id,
        str.__str__(event.type),  # a plain str: drivers treat subclasses the slow way
        event.time,
        person_id if person_id is not None else f"session:{event.session_id}",
        0 if person_id is None else 1,
        event.session_id,
        event.video_id,
        str.__str__(event.surface),
        event.request_id,
        event.position_ms,
        event.watch_ms,
        encode(event.props).decode() if event.props else None,
    )


def stored_event(row: Sequence[Any]) -> StoredEvent:
    """From (log_offset, *EVENT_COLUMNS)."""
    (offset, event_id, kind, time, person, has_account, session_id, video_id, surface, request_id, position_ms,
     watch_ms, props) = row  # fmt: skip
    return StoredEvent(
        offset,
        Event(
            event_id=event_id,
            type=TYPE_OF[kind],
            time=time,
            person_id=person if has_account else None,
            session_id=session_id,
            video_id=video_id,
            surface=surface,
            request_id=request_id,
            position_ms=position_ms,
            watch_ms=watch_ms,
            props=decode(props) if props else {},
        ),
    )


def video_row(video: Video) -> dict[str, Any]:
    """Every column but the row number."""
    row = {name: getattr(video, name) for name in Video.__struct_fields__}
    return row | {"tags": to_json(video.tags), "props": text_of(video.props)}


def video_of(row: Named) -> Video:
    """The inverse of :func:`video_row`."""
    fields = {name: row[name] for name in Video.__struct_fields__}
    return Video(**fields | {"tags": decode_tags(row["tags"]), "props": props_of(row["props"])})


def person_row(person: Person) -> dict[str, Any]:
    """Every column."""
    row = {name: getattr(person, name) for name in Person.__struct_fields__}
    return row | {"props": text_of(person.props)}


def person_of(row: Named) -> Person:
    """The inverse of :func:`person_row`."""
    fields = {name: row[name] for name in Person.__struct_fields__}
    return Person(**fields | {"props": props_of(row["props"])})
