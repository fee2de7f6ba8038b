"""What counts as a click, a long view, a completion: one place for the live path and for training.

A platform that judged an impression itself sends ``props.click`` / ``props.long_view`` and is believed;
otherwise the rules below speak. The 18 s rule is KuaiRand's published definition of ``long_view``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from zhiliu.catalog.columns import VideoColumns
from zhiliu.types import HEADS, Event, EventType

CLICK_MS: Final = 3_000
CLICK_RATIO: Final = 0.5
LONG_VIEW_MS: Final = 18_000
COMPLETE_RATIO: Final = 0.9

HEAD_OF_TYPE: Final[dict[EventType, str]] = {
    EventType.LIKE: "like",
    EventType.FOLLOW: "follow",
    EventType.COMMENT: "comment",
    EventType.DANMAKU: "comment",
    EventType.SHARE_CREATE: "share",
    EventType.HIDE: "hide",
}
HEAD_INDEX: Final[dict[str, int]] = {head: i for i, head in enumerate(HEADS)}


def heads_of(event: Event, duration_ms: int) -> tuple[str, ...]:
    """The heads this one event makes true. ``duration_ms`` 0 means unknown: then only milliseconds decide."""
    if event.type is EventType.VIEW:
        return view_heads(event, duration_ms)
    head = HEAD_OF_TYPE.get(event.type)
    return (head,) if head is not None else ()


def whom(props: Mapping[str, Any], row: int, videos: VideoColumns) -> str:
    """Whom a follow or hide is about: as said in ``props.author_id``, else the author of the video; may be empty."""
    said = props.get("author_id")
    if isinstance(said, str) and said:
        return said
    return videos.authors.names[videos.author[row]] if row >= 0 else ""


def view_heads(event: Event, duration_ms: int) -> tuple[str, ...]:
    """click, long_view and complete of a view event."""
    watch_ms = event.watch_ms or 0
    click, long_view = event.props.get("click"), event.props.get("long_view")
    if click is None:
        click = watch_ms >= CLICK_MS or (duration_ms > 0 and watch_ms >= CLICK_RATIO * duration_ms)
    if long_view is None:
        long_view = watch_ms >= (min(LONG_VIEW_MS, duration_ms) if duration_ms > 0 else LONG_VIEW_MS)
    complete = duration_ms > 0 and watch_ms >= COMPLETE_RATIO * duration_ms
    flags = (("click", click), ("long_view", long_view), ("complete", complete))
    return tuple(head for head, true in flags if true)
