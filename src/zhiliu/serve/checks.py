"""What a video or a person must be to enter the catalogue: the same rules as the file importers'."""

from __future__ import annotations

from typing import Any

import msgspec

from zhiliu.events.check import MAX_PROPS_BYTES, SECONDS_BELOW
from zhiliu.events.connectors.checks import LONGEST_MS
from zhiliu.events.connectors.fields import FIELDS, MAX_ID
from zhiliu.serve.wire import convert, refused
from zhiliu.types import Person, Video

STATUSES = ("visible", "hidden")
MAX_TAGS = 64


def video(value: Any, video_id: str | None = None, index: int | None = None) -> Video:
    """A checked video from parsed JSON. ``video_id`` from the address fills in or must equal the body's.

    Raises:
        Problem: 422 naming the field, what was seen and what would be right.

    """
    one = convert(named(value, "video_id", video_id, index), Video, index)
    common("videos", one, index)
    identifier("author_id", one.author_id, index)
    if one.status not in STATUSES:
        raise refused(
            "status", f"must be one of {', '.join(STATUSES)}; to delete use DELETE", one.status, index
        )
    if one.duration_ms > LONGEST_MS:
        raise refused("duration_ms", "is more than a day; send ms", one.duration_ms, index)
    if len(one.tags) > MAX_TAGS or any(not 0 < len(tag) <= MAX_ID for tag in one.tags):
        raise refused("tags", f"at most {MAX_TAGS} tags of 1 to {MAX_ID} characters", list(one.tags), index)
    return one


def person(value: Any, person_id: str | None = None, index: int | None = None) -> Person:
    """A checked person from parsed JSON; see :func:`video`."""
    one = convert(named(value, "person_id", person_id, index), Person, index)
    common("people", one, index)
    return one


def named(value: Any, key: str, name: str | None, index: int | None) -> Any:
    """The body with the id of the address in it."""
    if not isinstance(value, dict):
        raise refused("body", "must be a JSON object", value, index)
    if name is None:
        return value
    if value.get(key, name) != name:
        raise refused(key, f"differs from the address, which says {name!r}", value[key], index)
    return {**value, key: name}


def common(kind: Any, one: Video | Person, index: int | None) -> None:
    """Lengths, counts, times and props, by the importers' table of fields."""
    for name, rule in FIELDS[kind].items():
        seen = getattr(one, name)
        if rule.is_id:
            identifier(name, seen, index)
        elif isinstance(seen, str) and (len(seen) > rule.max_chars or "\0" in seen):
            raise refused(name, f"must be {rule.what}", seen, index)
        elif rule.is_time and seen != 0 and seen < SECONDS_BELOW:
            hint = "looks like seconds; send ms" if seen > 0 else "a time is ms since 1970, UTC"
            raise refused(name, hint, seen, index)
        elif isinstance(seen, int) and not 0 <= seen < 2**63:
            raise refused(name, f"must be {rule.what}", seen, index)
    if len(msgspec.json.encode(one.props)) > MAX_PROPS_BYTES:
        raise refused("props", f"must be a JSON object of at most {MAX_PROPS_BYTES} bytes", None, index)


def identifier(name: str, seen: str, index: int | None) -> None:
    """Ids are 1 to 256 characters and hold no NUL."""
    if not 0 < len(seen) <= MAX_ID or "\0" in seen:
        raise refused(name, f"must be an id of 1 to {MAX_ID} characters", seen, index)
