"""Says in plain words what is wrong with the form of one raw event."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from zhiliu.types import Event, EventType

FIELDS: Final = Event.__struct_fields__
NEEDED: Final = ("event_id", "type", "time")
IDS: Final = ("event_id", "person_id", "session_id", "video_id", "surface", "request_id")
DAY_MS: Final = 86_400_000
AT: Final = re.compile(r"`\$\.(\w+)")


def explain(raw: Any, said: str) -> tuple[str, str]:
    """(field, reason) for a raw event that is no :class:`Event`; ``said`` is the decoder's own message."""
    if not isinstance(raw, Mapping):
        return "event", f"must be a JSON object; seen: {seen(raw)}"
    for name in raw:
        if name not in FIELDS:
            return str(name)[:256], f"unknown field; the fields are {', '.join(FIELDS)}"
    for name in NEEDED:
        if name not in raw:
            return name, "missing; every event needs it"
    for name in FIELDS:
        reason = wrong(name, raw[name]) if name in raw else None
        if reason is not None:
            return name, reason
    at = AT.search(said)
    return (at.group(1) if at else "event"), said


def wrong(name: str, value: Any) -> str | None:
    """Why ``value`` cannot be the field ``name``; None when it can."""
    if name == "type":
        return wrong_type(value)
    if name == "time":
        return None if whole(value) else f"must be whole milliseconds UTC; seen: {seen(value)}"
    if value is None and name not in ("event_id", "surface", "props"):
        return None
    if name in IDS:
        return wrong_id(value)
    if name == "props":
        return None if isinstance(value, Mapping) else f"must be a JSON object; seen: {seen(value)}"
    if isinstance(value, float) and math.isnan(value):
        return "is NaN; leave the field out when it is not known"
    if not whole(value):
        return f"must be whole milliseconds; seen: {seen(value)}"
    if value < 0:
        return f"must not be negative; seen: {seen(value)}"
    return None if value <= DAY_MS else f"more than 24 h of one video; seen: {seen(value)}"


def wrong_type(value: Any) -> str | None:
    """Event types are a closed list."""
    if isinstance(value, str) and value in set(EventType):
        return None
    return f"unknown type {seen(value)}; one of {', '.join(kind.value for kind in EventType)}"


def wrong_id(value: Any) -> str | None:
    """Ids are text of 1 to 256 characters."""
    if not isinstance(value, str):
        return f"must be text; seen: {seen(value)}"
    if not 1 <= len(value) <= 256:
        return f"must be 1 to 256 characters long; seen: {len(value)}"
    return None


def whole(value: Any) -> bool:
    """An int that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def seen(value: Any) -> str:
    """A value as an error shows it, never long."""
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
