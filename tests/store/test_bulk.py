"""Frames in: everything or nothing, duplicates counted, order kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from zhiliu.store import BulkError, Store
from zhiliu.testing.store_contracts import FULL_EVENT, FULL_PERSON, FULL_VIDEO, START_MS, event
from zhiliu.types import Event, EventType, Person, Video


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    known = {"type": "view", "time": START_MS, "person_id": "p1", "video_id": "v1"}
    return pl.DataFrame([known | row for row in rows], infer_schema_length=None)


def test_events_come_back_as_those_appended_one_by_one_would(store: Store) -> None:
    import msgspec

    plain = Event(event_id="b", type=EventType.SEARCH, time=START_MS, session_id="s")
    rows = [{name: getattr(one, name) for name in Event.__struct_fields__} for one in (FULL_EVENT, plain)]
    table = pl.DataFrame(
        [
            row | {"type": row["type"].value, "props": msgspec.json.encode(row["props"]).decode()}
            for row in rows
        ]
    )
    receipt = store.bulk_events(table)
    assert (receipt.accepted, receipt.duplicates) == (2, 0)
    assert [stored.event for stored in store.events.read(0, 10)] == [FULL_EVENT, plain]


def test_duplicates_in_the_log_and_in_the_frame_are_counted_and_the_first_stays(store: Store) -> None:
    store.events.append([event("a", watch_ms=1)])
    receipt = store.bulk_events(
        frame(
            {"event_id": "b", "watch_ms": 2},
            {"event_id": "a", "watch_ms": 3},
            {"event_id": "b", "watch_ms": 4},
        )
    )
    assert (receipt.accepted, receipt.duplicates, receipt.last_offset) == (1, 2, store.events.last_offset())
    assert [(x.event.event_id, x.event.watch_ms) for x in store.events.read(0, 10)] == [("a", 1), ("b", 2)]


def test_offsets_follow_the_order_of_the_frame(store: Store) -> None:
    ids = [f"{(i * 7919) % 5003:05}" for i in range(5003)]
    store.bulk_events(frame(*({"event_id": name} for name in ids[:3000])))
    store.bulk_events(frame(*({"event_id": name} for name in ids[2000:])))
    assert [stored.event.event_id for stored in store.events.read(0, 9999)] == ids


def test_a_load_larger_than_the_log_rebuilds_the_history_index(store: Store) -> None:
    store.events.append([event("old", START_MS - 1)])
    store.bulk_events(frame(*({"event_id": f"e{i}", "time": START_MS + i} for i in range(100))))
    assert [x.event.event_id for x in store.events.history("p1", START_MS + 2, 9)] == ["old", "e0", "e1"]
    with store.database.read() as connection:
        from sqlalchemy import inspect

        assert "events_person_time" in {index["name"] for index in inspect(connection).get_indexes("events")}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"speed": 2}, "unknown column 'speed'"),
        (
            {"time": 1_650_000_000},
            "column 'time', row 1: 1650000000; it must be ms UTC; this looks like seconds",
        ),
        ({"time": None}, "column 'time', row 1: None"),
        ({"type": "look"}, "column 'type', row 1: 'look'"),
        ({"event_id": None}, "column 'event_id', row 1"),
        ({"event_id": ""}, "column 'event_id', row 1"),
        ({"person_id": None}, "column 'person_id', row 1: None; it must be set, or session_id is"),
        ({"watch_ms": float("nan")}, "column 'watch_ms'"),
        ({"watch_ms": 1.5}, "column 'watch_ms' holds 1.5"),
        ({"watch_ms": "long"}, "column 'watch_ms'"),
        ({"props": "[1]"}, "column 'props', row 1: '[1]' is not a JSON object"),
        ({"props": "{"}, "column 'props', row 1"),
        ({"surface": "a\0b"}, "column 'surface', row 1"),
    ],
)
def test_one_bad_row_refuses_the_frame_by_name_and_stores_nothing(
    store: Store, broken: dict[str, Any], said: str
) -> None:
    with pytest.raises(BulkError) as caught:
        store.bulk_events(frame({"event_id": "good"}, {"event_id": "bad"} | broken, {"event_id": "good too"}))
    assert said in str(caught.value)
    assert store.events.count() == 0


def test_a_missing_column_is_named(store: Store) -> None:
    with pytest.raises(BulkError, match="column 'time' is missing"):
        store.bulk_events(frame({"event_id": "a"}).drop("time"))


def test_an_empty_frame_is_taken(store: Store) -> None:
    assert store.bulk_events(frame({"event_id": "a"}).clear()).accepted == 0


def test_a_bulk_load_goes_on_beside_the_writer(store: Store) -> None:
    futures = [store.events.submit([event(f"live{i}")]) for i in range(50)]
    store.bulk_events(frame(*({"event_id": f"bulk{i}"} for i in range(500)), {"event_id": "live7"}))
    futures += [store.events.submit([event(f"later{i}")]) for i in range(50)]
    accepted = sum(future.result(30).accepted for future in futures)
    assert store.events.count() == 600
    assert accepted in (99, 100)  # live7 came by one way or the other


def test_videos_keep_rows_replace_values_and_new_ones_follow_in_order(store: Store) -> None:
    store.catalog.put([Video(video_id="v1", author_id="old"), Video(video_id="gone", author_id="a")])
    store.catalog.delete("gone")
    full = {name: [getattr(FULL_VIDEO, name)] for name in Video.__struct_fields__}
    table = pl.DataFrame(
        full | {"tags": [list(FULL_VIDEO.tags)], "props": ['{"list":[1.5,null],"width":1080}']}
    )
    more = pl.DataFrame({"video_id": ["z", "gone", "b", "z"], "author_id": ["1", "2", "3", "4"]})
    receipt = store.bulk_videos(pl.concat([table, more], how="diagonal"))
    assert (receipt.accepted, receipt.duplicates) == (4, 1)
    rows = store.catalog.rows()
    assert [(row, video.video_id, video.author_id) for row, video in rows] == [
        (0, "v1", "a1"), (1, "gone", "2"), (2, "z", "4"), (3, "b", "3"),
    ]  # fmt: skip
    assert rows[0][1] == FULL_VIDEO


def test_videos_get_the_rows_that_put_would_give(store: Store) -> None:
    store.bulk_videos(pl.DataFrame({"video_id": [f"v{i}" for i in range(700)], "author_id": ["a"] * 700}))
    assert [(row, video.video_id) for row, video in store.catalog.rows()] == [
        (i, f"v{i}") for i in range(700)
    ]


def test_people_are_inserted_and_replaced(store: Store) -> None:
    store.people.put([Person(person_id="p1", gender="m", age_band="x"), Person(person_id="p0")])
    full = {name: [getattr(FULL_PERSON, name)] for name in Person.__struct_fields__}
    receipt = store.bulk_people(pl.DataFrame(full | {"props": ['{"onehot_feat0":1}']}))
    assert (receipt.accepted, store.people.count()) == (1, 2)
    assert store.people.get("p1") == FULL_PERSON


def test_nothing_is_left_beside_the_database(tmp_path: Path, sqlite_url: str) -> None:
    from zhiliu.store import open_store

    with open_store(sqlite_url) as store:
        store.bulk_events(frame({"event_id": "a"}))
        with pytest.raises(BulkError):
            store.bulk_events(frame({"event_id": None}))
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["zhiliu.db"]
