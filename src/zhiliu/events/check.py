"""Raw events → events that may be stored, and for each of the others its index, field and reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from zhiliu.events.explain import explain
from zhiliu.types import Event, EventType, Rejected

SECONDS_BELOW: Final = 100_000_000_000
"""A time below this (1973 in ms) was written in seconds."""
EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01Z: earlier clocks are broken."""
FUTURE_MS: Final = 300_000
"""A client's clock may be this far ahead."""
MAX_PROPS_BYTES: Final = 8_192
WITHOUT_VIDEO: Final = frozenset(
    {EventType.FOLLOW, EventType.UNFOLLOW, EventType.SEARCH, EventType.PATH_STEP}
)
"""Event types that need not name a video."""
TEXTS: Final = ("event_id", "person_id", "session_id", "surface", "request_id")
"""Texts that reach the database as they are; ``video_id`` is one the catalogue knows."""

decode_batch = msgspec.json.Decoder(list[Event]).decode
decode_event = msgspec.json.Decoder(Event).decode
decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_any = msgspec.json.decode
encode = msgspec.json.Encoder().encode

Problem = tuple[str, str]


class BatchError(ValueError):
    """The batch as a whole cannot be read; no event of it was looked at."""


def check_batch(
    raw: bytes | Sequence[Any], *, now_ms: int, known_video: Callable[[str], bool], limit: int
) -> tuple[list[Event], list[Rejected]]:
    """Events that may be stored, in order, and why the others may not.

    ``raw`` is a JSON list as it came, or Python objects that such a list decodes to.

    Raises:
        BatchError: not a JSON list, or more than ``limit`` events.

    """
    taken: list[Event] = []
    rejected: list[Rejected] = []
    for index, event in enumerate(read_batch(raw, limit)):
        problem = event if isinstance(event, tuple) else broken_rule(event, now_ms, known_video)
        if problem is not None:
            rejected.append(Rejected(index, *problem))
        elif isinstance(event, Event):
            taken.append(event)
    return taken, rejected


def read_batch(raw: bytes | Sequence[Any], limit: int) -> Sequence[Event | Problem]:
    """Each event, or what is wrong with its form: all in one go, one by one only when that fails."""
    if not isinstance(raw, bytes):
        if len(raw) > limit:
            raise BatchError(f"at most {limit} events in one batch; these are {len(raw)}")
        try:
            return msgspec.convert(raw, list[Event])
        except (msgspec.ValidationError, RecursionError):
            return [converted(value) for value in raw]
    try:
        events = decode_batch(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parts = read_parts(raw)
        if len(parts) > limit:
            raise BatchError(f"at most {limit} events in one batch; these are {len(parts)}") from None
        return [decoded(part) for part in parts]
    if len(events) > limit:
        raise BatchError(f"at most {limit} events in one batch; these are {len(events)}")
    return events


def read_parts(raw: bytes) -> list[msgspec.Raw]:
    """The texts of the list's entries."""
    try:
        return decode_parts(raw)
    except msgspec.ValidationError as error:
        raise BatchError(f"the batch must be a JSON list of events: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BatchError(f"the batch is not JSON: {error}") from None


def decoded(part: msgspec.Raw) -> Event | Problem:
    """One event from its JSON text."""
    try:
        return decode_event(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return explain(decode_any(part), str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "event", f"cannot be read: {error}"


def converted(value: Any) -> Event | Problem:
    """One event from Python objects."""
    try:
        return msgspec.convert(value, Event)
    except (msgspec.ValidationError, RecursionError) as error:
        return explain(value, str(error))


def broken_rule(event: Event, now_ms: int, known_video: Callable[[str], bool]) -> Problem | None:
    """The first rule that an event of the right form breaks: (field, reason)."""
    time = event.time
    if time > now_ms + FUTURE_MS or time < EARLIEST_MS:
        return "time", wrong_time(time, now_ms)
    person_id, video_id = event.person_id, event.video_id
    if person_id is None and event.session_id is None:
        return "person_id", "missing; give person_id, or session_id for a person without an account"
    if person_id is not None and person_id.startswith("session:"):
        return "person_id", f"{person_id[:40]!r} begins with 'session:'; send that as session_id"
    if video_id is not None:
        if not known_video(video_id):
            return (
                "video_id",
                f"unknown video {video_id!r}; PUT /videos/{{id}} first, then send the event again",
            )
    elif event.type not in WITHOUT_VIDEO:
        return "video_id", f"missing; a {event.type.value!r} event needs one"
    if event.props:
        return broken_props(event) or unstorable_text(event)
    return unstorable_text(event)


def wrong_time(time: int, now_ms: int) -> str:
    """Why a time outside 2000 … now + 5 min is wrong."""
    if time > now_ms:
        return f"{time} is {(time - now_ms) / 1000:.0f} s in the future; at most {FUTURE_MS // 1000} s are allowed"
    if 0 < time < SECONDS_BELOW:
        return f"{time} looks like seconds; send ms (milliseconds UTC)"
    return f"{time} is before the year 2000; send ms (milliseconds UTC)"


def broken_props(event: Event) -> Problem | None:
    """Too large, or not storable as JSON."""
    try:
        size = len(encode(event.props))
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError, msgspec.MsgspecError) as error:
        return "props", f"cannot be stored as JSON: {error}"
    if size > MAX_PROPS_BYTES:
        return "props", f"{size} bytes of JSON; at most {MAX_PROPS_BYTES}"
    return None


def unstorable_text(event: Event) -> Problem | None:
    """Lone surrogates are no Unicode, and PostgreSQL text takes no NUL."""
    every = f"{event.event_id}{event.person_id}{event.session_id}{event.surface}{event.request_id}"
    if every.isascii() and "\0" not in every:  # nearly always; one look at all of them is 3x faster
        return None
    for name in TEXTS:
        text = getattr(event, name)
        if text is None:
            continue
        if "\0" in text:
            return name, "holds a NUL character"
        if not text.isascii() and not is_unicode(text):
            return name, "holds half of a surrogate pair, which is no character"
    return None


def is_unicode(text: str) -> bool:
    """Whether the text has a UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
