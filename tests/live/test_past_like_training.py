"""What requests see live is what training computes from the whole log: same rows, same labels, same counts."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from zhiliu.features.context import surface_code
from zhiliu.features.counters import KINDS, Counters, Increments, key_count
from zhiliu.labels.interactions import increments, interactions, load_events
from zhiliu.live.state import LiveState
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.small_world import small_columns
from zhiliu.types import HEADS, Event, EventType, History, StoredEvent

VIDEOS = small_columns(4)
KINDS_OF_EVENT = [
    "impression",
    "view",
    "like",
    "follow",
    "comment",
    "danmaku",
    "share_create",
    "hide",
    "save",
    "unlike",
    "unfollow",
    "report",
]
LABELLED = {"impression", "view", "like", "follow", "comment", "danmaku", "share_create", "hide"}


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """One person on four videos within a few ms, arriving in any order or (as most do) in that of time."""
    made = []
    for i in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(KINDS_OF_EVENT))
        props: dict[str, Any] = {}
        if kind == "view" and draw(st.booleans()):
            props = {"click": draw(st.sampled_from([0, 1])), "long_view": draw(st.sampled_from([0, 1]))}
        made.append(
            Event(
                event_id=f"e{i}",
                type=EventType(kind),
                time=NOW_MS + draw(st.integers(0, 8)),
                person_id="p1",
                video_id=f"v{draw(st.sampled_from([0, 0, 1, 2, 3]))}",
                surface=draw(st.sampled_from(["for_you", "tab1", "history"])),
                request_id=draw(st.sampled_from([None, "r1", "r2"])),
                watch_ms=draw(st.sampled_from([None, 0, 2_000, 18_000, 60_000])) if kind == "view" else None,
                props=props,
            )
        )
    return sorted(made, key=lambda event: event.time) if draw(st.booleans()) else made


def trained(made: list[Event], folder: Path) -> pl.DataFrame:
    """The events as ``load_events`` reads them from a snapshot."""
    rows = [
        {
            "offset": i + 1, "type": e.type.value, "person": e.person, "video_row": VIDEOS.row_of[str(e.video_id)],
            "time": e.time, "surface": e.surface, "request_id": e.request_id, "watch_ms": e.watch_ms,
            "props": json.dumps(e.props),
        }
        for i, e in enumerate(made)
    ]  # fmt: skip
    schema = {"request_id": pl.String, "watch_ms": pl.Int64, "video_row": pl.Int32}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(folder / "events.parquet")
    pl.DataFrame({"row": range(4), "duration_ms": VIDEOS.duration_ms}).write_parquet(
        folder / "videos.parquet"
    )
    return load_events(folder)


def told(history: History) -> list[tuple[Any, ...]]:
    return list(
        zip(
            history.video.tolist(), history.time_ms.tolist(), history.watch_ms.tolist(),
            history.watch_known_ms.tolist(), map(tuple, history.label_ms.tolist()), history.surface.tolist(),
            strict=True,
        )
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(events(), st.lists(st.booleans(), min_size=25, max_size=25))
def test_a_live_history_is_what_training_joins_however_events_arrive_and_whenever_it_is_read(
    made: list[Event], read: list[bool]
) -> None:
    log = MemoryLog()
    live = LiveState(log, VIDEOS)
    log.on_commit(live.apply)
    for event, now in zip(made, read, strict=False):
        if now:
            live.view("p1", NOW_MS + 100)
        log.append([event])
    if not any(event.type in LABELLED for event in made):
        assert len(live.history("p1", NOW_MS)) == 0
        return
    with tempfile.TemporaryDirectory() as folder:
        frame = interactions(trained(made, Path(folder)))
    expected = [
        (
            row["video_row"], row["time_ms"], row["watch_ms"], row["watch_known_ms"],
            tuple(row[f"{head}_ms"] for head in HEADS), surface_code(row["surface"]),
        )
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip
    assert told(live.history("p1", NOW_MS + 100)) == expected


@settings(max_examples=60, deadline=None)
@given(events(), st.integers(1, 7))
def test_live_counters_are_those_of_training(made: list[Event], batch: int) -> None:
    stored = [StoredEvent(i + 1, event) for i, event in enumerate(made)]
    live = LiveState(MemoryLog(), VIDEOS)
    for start in range(0, len(stored), batch):
        live.apply(stored[start : start + batch])
        live.apply(stored[: start + batch])  # a second time counts nothing
    if not any(event.type in LABELLED for event in made):
        return
    with tempfile.TemporaryDirectory() as folder:
        frame = increments(trained(made, Path(folder)))
    surface = np.array([surface_code(name) for name in frame["surface"]], np.int32)
    counters = Counters(VIDEOS)
    counters.add(
        Increments.of(
            frame["video_row"].to_numpy(), surface, frame["time_ms"].to_numpy(),
            {name: frame[name].to_numpy().astype(float) for name in frame.columns if name != "surface"},
        )
    )  # fmt: skip
    now = np.array([NOW_MS + 1000])
    for kind in KINDS:
        key = np.arange(key_count(kind, VIDEOS))
        np.testing.assert_allclose(
            live.counters.read(kind, key, now), counters.read(kind, key, now), rtol=1e-9
        )


def in_columns(stored: list[StoredEvent]) -> pl.DataFrame:
    """As ``GroupCommitLog.frame`` tells them."""
    rows = [
        {
            "offset": one.offset, "type": one.event.type.value, "video_id": one.event.video_id,
            "time": one.event.time, "surface": one.event.surface, "watch_ms": one.event.watch_ms,
            "props": json.dumps(one.event.props) if one.event.props else None,
        }
        for one in stored
    ]  # fmt: skip
    text, number = pl.String, pl.Int64
    return pl.DataFrame(
        rows, {"offset": number, "type": text, "video_id": text, "time": number, "surface": text,
               "watch_ms": number, "props": text},
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(events(), st.integers(0, 25), st.integers(1, 7))
def test_events_read_as_columns_count_what_they_count_one_by_one(
    made: list[Event], unknown: int, batch: int
) -> None:
    stored = [StoredEvent(i + 1, event) for i, event in enumerate(made)]
    if unknown < len(made):  # a video that another process has added
        stored[unknown] = StoredEvent(unknown + 1, structs.replace(made[unknown], video_id="v99"))
    live, slow = LiveState(MemoryLog(), VIDEOS), LiveState(MemoryLog(), VIDEOS)
    slow.apply(stored)
    for start in range(0, len(stored), batch):
        frame = in_columns(stored[: start + batch])
        assert live.apply_frame(frame) == min(start + batch, unknown, len(stored)) - min(start, unknown)
    assert live.offset == min(unknown, len(stored))
    live.apply(stored)  # the rest
    assert live.offset == slow.offset
    now = np.array([NOW_MS + 1000])
    np.testing.assert_allclose(live.heat(), slow.heat(), rtol=1e-9)
    for kind in KINDS:
        key = np.arange(key_count(kind, VIDEOS))
        np.testing.assert_allclose(
            live.counters.read(kind, key, now), slow.counters.read(kind, key, now), rtol=1e-9
        )
