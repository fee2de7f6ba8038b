"""What training reads is one complete moment of the store."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from zhiliu.store import Store
from zhiliu.testing.store_contracts import FULL_EVENT, FULL_PERSON, FULL_VIDEO, START_MS, event
from zhiliu.types import Event, EventType, Video

EVENTS = {
    "offset": pl.Int64, "event_id": pl.String, "type": pl.String, "person": pl.String, "video_row": pl.Int32,
    "time": pl.Int64, "surface": pl.String, "request_id": pl.String, "position_ms": pl.Int64, "watch_ms": pl.Int64,
    "props": pl.String,
}  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    store.catalog.put([Video(video_id="v0", author_id="a"), FULL_VIDEO])
    store.catalog.delete("v0")
    store.people.put([FULL_PERSON])
    store.events.append(
        [event("late", START_MS + 9), FULL_EVENT, event("early", START_MS - 5, video_id="unknown")]
    )
    store.events.append([Event(event_id="q", type=EventType.SEARCH, time=START_MS, session_id="s")])
    return store


def test_events_are_sorted_by_time_and_refer_to_catalogue_rows(filled: Store, tmp_path: Path) -> None:
    filled.snapshot(tmp_path / "snapshot")
    log = pl.read_parquet(tmp_path / "snapshot/events.parquet")
    assert dict(log.schema) == EVENTS
    assert log["event_id"].to_list() == ["early", FULL_EVENT.event_id, "q", "late"]
    assert log["video_row"].to_list() == [-1, 1, -1, 1]
    assert log["person"].to_list() == ["p1", "session:looks like one", "session:s", "p1"]
    assert log["offset"].to_list() == [filled.events.read(0, 9)[i].offset for i in (2, 1, 3, 0)]
    assert json.loads(log["props"][1]) == FULL_EVENT.props
    assert log["props"].is_null().to_list() == [True, False, True, True]


def test_videos_and_people_hold_every_field(filled: Store, tmp_path: Path) -> None:
    filled.snapshot(tmp_path / "snapshot")
    videos = pl.read_parquet(tmp_path / "snapshot/videos.parquet")
    assert videos.columns == ["row", *Video.__struct_fields__]
    assert (videos["row"].dtype, videos["row"].to_list()) == (pl.Int32, [0, 1])
    assert videos["status"].to_list() == ["deleted", "hidden"]
    assert videos["tags"].to_list() == [[], list(FULL_VIDEO.tags)]
    people = pl.read_parquet(tmp_path / "snapshot/people.parquet")
    assert people.columns == list(FULL_PERSON.__struct_fields__)
    assert people["fan_count"].to_list() == [2**40]


def test_only_events_before_a_time_are_taken_when_one_is_given(filled: Store, tmp_path: Path) -> None:
    manifest = filled.snapshot(tmp_path / "snapshot", until_ms=START_MS)
    assert pl.read_parquet(tmp_path / "snapshot/events.parquet")["event_id"].to_list() == ["early"]
    assert manifest == json.loads((tmp_path / "snapshot/manifest.json").read_text())
    assert manifest == {
        "schema": 1, "rows": 1, "videos": 2, "people": 1, "last_offset": 3, "until_ms": START_MS,
        "min_ms": START_MS - 5, "max_ms": START_MS - 5,
    }  # fmt: skip


def test_an_empty_store_gives_empty_files_of_the_same_columns(store: Store, tmp_path: Path) -> None:
    manifest = store.snapshot(tmp_path / "snapshot")
    assert (manifest["rows"], manifest["last_offset"], manifest["min_ms"]) == (0, 0, None)
    assert dict(pl.read_parquet_schema(tmp_path / "snapshot/events.parquet")) == EVENTS


def test_a_second_snapshot_replaces_the_first_and_leaves_nothing_else(filled: Store, tmp_path: Path) -> None:
    filled.snapshot(tmp_path / "out/snapshot")
    filled.events.append([event("more")])
    filled.snapshot(tmp_path / "out/snapshot")
    assert len(pl.read_parquet(tmp_path / "out/snapshot/events.parquet")) == 5
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["snapshot"]
    names = {path.name for path in (tmp_path / "out/snapshot").iterdir()}
    assert names == {"events.parquet", "videos.parquet", "people.parquet", "manifest.json"}


def test_a_column_that_is_empty_in_the_first_thousands_of_rows_keeps_its_type(
    store: Store, tmp_path: Path
) -> None:
    store.events.append([event(f"e{i}") for i in range(3000)])
    store.events.append([event("last", request_id="r", watch_ms=7, props={"a": 1})])
    store.snapshot(tmp_path / "snapshot")
    last = pl.read_parquet(tmp_path / "snapshot/events.parquet").row(-1, named=True)
    assert (last["request_id"], last["watch_ms"], last["props"]) == ("r", 7, '{"a":1}')
