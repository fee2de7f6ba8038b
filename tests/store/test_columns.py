"""Events read as columns are the events read one by one."""

from __future__ import annotations

import json

from zhiliu.store import Store
from zhiliu.testing.store_contracts import FULL_EVENT, START_MS, event
from zhiliu.types import Event, EventType

NAMES = ["offset", "type", "video_id", "time", "surface", "watch_ms", "props"]


def test_every_column_says_what_the_event_says(store: Store) -> None:
    search = Event(event_id="s", type=EventType.SEARCH, time=START_MS, session_id="s")
    store.events.append([search, event("e", START_MS - 5, watch_ms=7), FULL_EVENT])
    frame = store.events.frame(0, 10)
    assert frame.columns == NAMES
    for row, stored in zip(frame.iter_rows(named=True), store.events.read(0, 10), strict=True):
        one = stored.event
        assert json.loads(row.pop("props") or "{}") == one.props
        assert list(row.values()) == [
            stored.offset, one.type.value, one.video_id, one.time, one.surface, one.watch_ms
        ]  # fmt: skip


def test_it_starts_after_an_offset_and_ends_at_the_limit_in_the_order_of_the_log(store: Store) -> None:
    store.events.append([event(f"e{i}", START_MS - i) for i in range(9)])
    offsets = [stored.offset for stored in store.events.read(0, 10)]
    assert store.events.frame(offsets[2], 4)["offset"].to_list() == offsets[3:7]
    assert store.events.frame(offsets[-1], 4)["offset"].to_list() == []


def test_a_column_of_nothing_keeps_its_type_for_thousands_of_rows(store: Store) -> None:
    nothing = store.events.frame(0, 10)
    store.events.append([event(f"e{i}") for i in range(3000)])
    store.events.append([event("last", watch_ms=7, props={"a": 1})])
    frame = store.events.frame(0, 10_000)
    assert frame.schema == nothing.schema
    assert frame.row(-1)[-2:] == (7, '{"a":1}')
