"""The consumer on a real store: nothing missed, nothing counted twice, whatever happens in between."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.counters import STAT
from zhiliu.live.checkpoint import Checkpoint
from zhiliu.live.consumer import FAR_BEHIND, FRAME, Consumer
from zhiliu.live.state import LiveState
from zhiliu.store import Store, open_store
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.small_world import happened, small_catalogue, small_columns
from zhiliu.types import Event, Video


@pytest.fixture
def filled(store: Store) -> Store:
    store.catalog.put(small_catalogue())
    return store


def consumer_of(store: Store, path: Path | None = None, poll_s: float = 3600) -> tuple[Consumer, LiveState]:
    state = LiveState(store.events, small_columns())
    checkpoint = Checkpoint(path, store.events) if path else None
    return Consumer(
        "live", events=store.events, state=state, checkpoint=checkpoint, offsets=store.offsets, poll_s=poll_s
    ), state


def impressions(first: int, count: int) -> list[Event]:
    return [
        happened("impression", i % 40, f"p{i % 7}", NOW_MS - 10_000 + i) for i in range(first, first + count)
    ]


def shown(state: LiveState) -> float:
    sums = state.counters.read("all", np.zeros(1, np.int64), np.array([NOW_MS]))
    return round(float(sums[0, STAT["shown"]]), 3)


def test_it_catches_up_then_follows_and_a_receipt_means_it_has_seen(filled: Store) -> None:
    filled.events.append(impressions(0, 10))
    consumer, state = consumer_of(filled)
    consumer.start()
    assert (shown(state), consumer.lag()) == (10, 0)
    for i in range(10, 15):
        receipt = filled.events.append(impressions(i, 1))
        assert state.offset == receipt.last_offset
    consumer.stop()
    assert shown(state) == 15


def test_duplicates_leave_numbers_out_and_nothing_is_missed(filled: Store) -> None:
    consumer, state = consumer_of(filled)
    consumer.start()
    for first in range(0, 30, 3):
        filled.events.append(impressions(max(0, first - 5), 8))  # half of it was there
    consumer.stop()
    assert shown(state) == filled.events.count() == 30


def test_a_bulk_load_that_no_listener_hears_of_is_found(filled: Store) -> None:
    consumer, state = consumer_of(filled)
    consumer.start()
    columns = ("event_id", "type", "time", "person_id", "video_id")
    events = impressions(0, 20)
    filled.bulk_events(
        pl.DataFrame({name: [str(getattr(e, name)) for e in events] for name in columns}).with_columns(
            pl.col("time").cast(pl.Int64)
        )
    )
    assert consumer.lag() > 0
    filled.events.append(impressions(20, 1))  # a commit after it: the gap is seen
    assert (shown(state), consumer.lag()) == (21, 0)
    consumer.stop()


def test_a_bulk_load_is_found_by_polling_when_nothing_else_happens(filled: Store) -> None:
    consumer, state = consumer_of(filled, poll_s=0.01)
    consumer.start()
    filled.bulk_events(
        pl.DataFrame(
            [{"event_id": "x", "type": "impression", "time": NOW_MS, "person_id": "p", "video_id": "v1"}]
        )
    )
    found = threading.Event()
    for _ in range(1000):
        if state.offset > 0 or found.wait(0.01):
            break
    consumer.stop()
    assert shown(state) == 1


def test_appends_from_many_threads_are_each_counted_once(filled: Store) -> None:
    consumer, state = consumer_of(filled, poll_s=0.005)
    consumer.start()
    threads = [
        threading.Thread(
            target=lambda t=t: [filled.events.append(impressions(t * 100 + i, 2)) for i in range(20)]
        )
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    consumer.stop()
    assert shown(state) == filled.events.count() == 84


def test_a_restart_continues_from_the_checkpoint_and_counts_nothing_twice(
    filled: Store, tmp_path: Path
) -> None:
    first, before = consumer_of(filled, tmp_path / "live.npz")
    first.start()
    filled.events.append(impressions(0, 30))
    first.stop()
    assert filled.offsets.get("live") == before.offset
    filled.events.append(impressions(30, 5))
    again, after = consumer_of(filled, tmp_path / "live.npz")
    assert Checkpoint(tmp_path / "live.npz", filled.events).load(after)
    assert shown(after) == 30
    again.start()
    again.stop()
    fresh, recounted = consumer_of(filled)
    fresh.start()
    fresh.stop()
    assert shown(after) == 35
    np.testing.assert_allclose(after.heat(), recounted.heat())
    for kind in ("video", "author", "tag", "surface"):
        np.testing.assert_allclose(
            after.counters.read(kind, np.arange(8), np.array([NOW_MS])),
            recounted.counters.read(kind, np.arange(8), np.array([NOW_MS])),
        )


def test_what_came_after_the_last_checkpoint_survives_a_kill(filled: Store, tmp_path: Path) -> None:
    first, _ = consumer_of(filled, tmp_path / "live.npz")
    first.start()
    filled.events.append(impressions(0, 10))
    first.save()
    filled.events.append(impressions(10, 10))  # and no stop
    again, state = consumer_of(filled, tmp_path / "live.npz")
    again.start()
    assert shown(state) == 20


@pytest.mark.parametrize("damage", ["empty", "half", "foreign", "pickle"])
def test_a_damaged_checkpoint_is_left_aside_and_the_log_is_read(
    filled: Store, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "live.npz"
    first, _ = consumer_of(filled, path)
    first.start()
    filled.events.append(impressions(0, 12))
    first.stop()
    whole = path.read_bytes()
    if damage == "foreign":
        np.savez(path, offset=np.array(5), schema=np.array(1), event_id=np.array("of another log"))
    elif damage == "pickle":
        np.savez(path, offset=np.array(5), schema=np.array([object()], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    again, state = consumer_of(filled, path)
    again.start()
    again.stop()
    assert shown(state) == 12


def test_a_checkpoint_of_another_log_is_not_believed(tmp_path: Path) -> None:
    for name, count in (("one", 20), ("two", 5)):
        with open_store(f"sqlite:///{tmp_path / name}.db") as store:
            store.catalog.put(small_catalogue())
            store.events.append([happened("impression", i, name, NOW_MS - i) for i in range(count)])
            consumer, state = consumer_of(store, tmp_path / "live.npz")
            consumer.start()
            consumer.stop()
            assert shown(state) == count


def test_the_checkpoint_is_replaced_as_a_whole(filled: Store, tmp_path: Path) -> None:
    consumer, _ = consumer_of(filled, tmp_path / "live.npz")
    consumer.start()
    for i in range(3):
        filled.events.append(impressions(i, 1))
        consumer.save()
    consumer.stop()
    assert [file.name for file in tmp_path.glob("*live*")] == ["live.npz"]


def test_far_behind_it_reads_columns_and_an_unknown_video_on_the_way_is_counted_once_it_is_known(
    sqlite_url: str,
) -> None:
    count = FAR_BEHIND + 2_000
    video = pl.int_range(count, eager=True) % 40
    video[count - 1_500] = 40  # put by another process, not in this catalogue yet
    frame = pl.DataFrame({"video_id": "v" + video.cast(pl.String)}).with_columns(
        pl.int_range(count).cast(pl.String).alias("event_id"),
        pl.lit("impression").alias("type"),
        (NOW_MS - count + pl.int_range(count)).alias("time"),
        pl.lit("p1").alias("person_id"),
    )
    with open_store(sqlite_url) as store:
        store.catalog.put(small_catalogue(41))
        store.bulk_events(frame)
        consumer, state = consumer_of(store)
        state.view("p1", NOW_MS)
        told: list[tuple[int, int]] = []
        consumer.start(lambda applied, last: told.append((applied, last)))
        consumer.stop()
        assert [told[0], told[-1]] == [(FRAME, count), (count, count)]
        assert [applied for applied, _ in told] == sorted({applied for applied, _ in told})
        before = shown(state)
        assert before == pytest.approx(count - 1, rel=1e-4)
        state.catalogue(small_columns(41))
        assert shown(state) - before == pytest.approx(1, abs=0.01)
        assert state.history("p1", NOW_MS).video[-1] == (count - 1) % 40


def test_a_checkpoint_follows_the_names_of_authors_and_topics_when_their_codes_change(
    filled: Store, tmp_path: Path
) -> None:
    consumer, _ = consumer_of(filled, tmp_path / "live.npz")
    consumer.start()
    filled.events.append([happened("impression", 1)])
    consumer.stop()
    renamed = [Video(video_id="v0", author_id="new", tags=("fresh",)), *small_catalogue()[1:]]
    columns = VideoColumns.build(enumerate(renamed))
    state = LiveState(filled.events, columns)
    assert Checkpoint(tmp_path / "live.npz", filled.events).load(state)
    for kind, code in (("author", columns.authors.code_of["a1"]), ("tag", columns.tags.code_of["t1"])):
        counted = state.counters.read(kind, np.arange(9), np.array([NOW_MS]))[:, STAT["shown"]]
        assert np.flatnonzero(counted).tolist() == [code]
