"""People as requests see them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.counters import STAT
from zhiliu.live.exclusion import seen_before
from zhiliu.live.state import UNREAD, LiveState
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.small_world import happened, small_catalogue, small_columns, small_world
from zhiliu.types import HEADS, NEVER_MS, Event, StoredEvent, Video

LIKE = HEADS.index("like")


def following() -> tuple[MemoryLog, LiveState]:
    log = MemoryLog()
    live = LiveState(log, small_columns())
    log.on_commit(live.apply)
    return log, live


@pytest.mark.parametrize("loaded", [True, False], ids=["already in memory", "read from the log"])
class TestChoices:
    def told(self, loaded: bool, *events: Event) -> LiveState:
        log, live = following()
        if loaded:
            live.view("p1", NOW_MS)
        for event in events:
            log.append([event])
        return live

    def test_follows_are_newest_first_and_an_unfollow_undoes_one(self, loaded: bool) -> None:
        live = self.told(
            loaded,
            happened("follow", 1, time=NOW_MS - 50),
            happened("follow", None, time=NOW_MS - 40, props={"author_id": "a7"}),
            happened("follow", 2, time=NOW_MS - 30),
            happened("unfollow", None, time=NOW_MS - 20, props={"author_id": "a1"}),
        )
        assert live.followed("p1", NOW_MS) == ("a2", "a7")

    def test_of_follow_and_unfollow_the_later_one_counts_whatever_arrives_first(self, loaded: bool) -> None:
        live = self.told(
            loaded, happened("unfollow", 1, time=NOW_MS - 10), happened("follow", 1, time=NOW_MS - 20)
        )
        assert live.followed("p1", NOW_MS) == ()

    def test_what_was_liked_stays_liked_in_the_past_as_in_training(self, loaded: bool) -> None:
        live = self.told(
            loaded,
            happened("impression", 3, time=NOW_MS - 30),
            happened("like", 3, time=NOW_MS - 20),
            happened("unlike", 3, time=NOW_MS - 10),
        )
        assert live.history("p1", NOW_MS).label_ms[0, LIKE] == NOW_MS - 20

    def test_a_reported_video_is_hidden_and_its_author_is_not(self, loaded: bool) -> None:
        live = self.told(loaded, happened("report", 4, props={"scope": "author"}))
        view = live.view("p1", NOW_MS)
        assert (view.hidden.tolist(), view.hidden_authors, len(view.history)) == ([4], (), 0)

    def test_what_a_fast_clock_says_is_yet_to_come_is_no_past_but_seen(self, loaded: bool) -> None:
        live = self.told(
            loaded, happened("impression", 1, time=NOW_MS - 1), happened("impression", 2, time=NOW_MS + 5)
        )
        for now_ms, past, seen in ((NOW_MS, [1], [2]), (NOW_MS + 5, [1], [2]), (NOW_MS + 6, [1, 2], [])):
            view = live.view("p1", now_ms)
            assert (view.history.video.tolist(), view.seen.tolist()) == (past, seen)
        assert live.history("p1", NOW_MS).video.tolist() == [1]

    def test_a_hidden_video_is_a_row_and_a_hidden_author_a_name(self, loaded: bool) -> None:
        live = self.told(loaded, happened("hide", 4), happened("hide", 5, props={"scope": "author"}))
        view = live.view("p1", NOW_MS)
        assert (view.hidden.tolist(), view.hidden_authors) == ([4], ("a5",))

    def test_other_people_are_not_touched(self, loaded: bool) -> None:
        live = self.told(loaded, happened("follow", 1, person="p2"), happened("impression", 1, person="p2"))
        assert live.followed("p1", NOW_MS) == ()
        assert len(live.history("p1", NOW_MS)) == 0


def test_a_follow_far_older_than_the_history_read_is_still_known() -> None:
    log = MemoryLog()
    log.append([happened("follow", 1, time=NOW_MS - 10_000_000)])
    log.append([happened("impression", i % 40, time=NOW_MS - 900_000 + i) for i in range(60)])
    live = LiveState(log, small_columns(), history=5)
    view = live.view("p1", NOW_MS)
    assert view.followed == ("a1",)
    assert view.history.video.tolist() == [15, 16, 17, 18, 19]
    assert set(view.seen.tolist()) >= set(range(20, 39))


def test_history_has_the_newest_rows_and_older_ones_are_seen() -> None:
    log = MemoryLog()
    live = LiveState(log, small_columns(), history=3)
    log.on_commit(live.apply)
    for i in range(30):
        log.append([happened("impression", i, time=NOW_MS - 1000 + i)])
        assert live.history("p1", NOW_MS).video.tolist() == list(range(max(0, i - 2), i + 1))
    assert live.view("p1", NOW_MS).seen.tolist() == list(range(27))[::-1]


def test_a_view_keeps_what_it_showed_when_more_happens() -> None:
    log, live = following()
    log.append([happened("impression", 1, time=NOW_MS - 9)])
    before = live.view("p1", NOW_MS)
    log.append([happened("like", 1, time=NOW_MS - 8), happened("impression", 2, time=NOW_MS - 7)])
    assert before.history.video.tolist() == [1]
    assert before.history.label_ms[0, LIKE] == NEVER_MS
    assert live.view("p1", NOW_MS).history.video.tolist() == [1, 2]


def test_somebody_pushed_out_of_memory_comes_back_from_the_log() -> None:
    log = MemoryLog()
    live = LiveState(log, small_columns(), people=2)
    log.on_commit(live.apply)
    log.append([happened("impression", 1)])
    live.view("p1", NOW_MS)
    for other in ("p2", "p3"):
        live.view(other, NOW_MS)
    assert not live.loaded("p1")
    log.append([happened("impression", 2)])
    assert live.history("p1", NOW_MS).video.tolist() == [1, 2]


def test_events_of_somebody_who_does_not_read_them_are_read_from_the_log_later() -> None:
    log, live = following()
    live.view("p1", NOW_MS)
    events = [happened("impression", i % 40, time=NOW_MS - 10_000 + i) for i in range(UNREAD + 5)]
    for offset, event in enumerate(events, 1):  # the log holds all, the state is told one by one
        log._stored.append(StoredEvent(offset, event))
        live.apply([StoredEvent(offset, event)])
    assert not live.loaded("p1")
    assert live.history("p1", NOW_MS).time_ms.tolist() == [event.time for event in events[-100:]]


def test_an_offset_is_applied_once() -> None:
    log, live = following()
    live.view("p1", NOW_MS)
    log.append([happened("impression", 1), happened("view", 1, watch_ms=5000)])
    stored = log.read(0, 10)
    live.apply(stored)
    live.apply(stored[1:])
    assert live.history("p1", NOW_MS).watch_ms.tolist() == [5000.0]
    shown = live.counters.read("video", np.array([1]), np.array([NOW_MS]))[0, STAT["shown"]]
    assert shown == pytest.approx(1, rel=1e-3)


def test_events_about_a_video_that_another_process_added_count_once_the_catalogue_has_it() -> None:
    log, live = following()
    live.view("p1", NOW_MS)
    log.append([happened("impression", 40), happened("view", 40, watch_ms=60_000)])
    assert len(live.history("p1", NOW_MS)) == 0
    live.catalogue(small_columns(41))
    assert live.history("p1", NOW_MS).video.tolist() == [40]
    sums = live.counters.read("video", np.array([40]), np.array([NOW_MS]))[0]
    assert sums[[STAT["shown"], STAT["long_view"]]].tolist() == pytest.approx([1, 1], rel=1e-3)
    assert live.heat()[40] > 0


def test_counts_by_author_and_topic_follow_their_names_when_codes_change() -> None:
    log, live = following()
    log.append([happened("impression", 1)])
    renamed = [Video(video_id="v0", author_id="new", tags=("fresh",)), *small_catalogue()[1:]]
    live.catalogue(VideoColumns.build(enumerate(renamed)))
    columns = VideoColumns.build(enumerate(renamed))
    for kind, code in (("author", columns.authors.code_of["a1"]), ("tag", columns.tags.code_of["t1"])):
        counted = live.counters.read(kind, np.arange(9), np.array([NOW_MS]))[:, STAT["shown"]]
        assert np.flatnonzero(counted).tolist() == [code]


def test_counters_of_a_log_that_stopped_are_read_as_of_its_end() -> None:
    live = small_world([happened("impression", 1), happened("view", 1, watch_ms=60_000)]).live
    soon, late = (
        live.counters.read("video", np.array([1]), np.array([now]))
        for now in (NOW_MS, NOW_MS + 4 * 365 * 86_400_000)
    )
    np.testing.assert_allclose(late, soon, rtol=0.01)


def test_readers_and_the_writer_agree_at_the_end() -> None:
    log, live = following()
    for person in ("p0", "p1", "p2", "p3"):
        live.view(person, NOW_MS)
    stop = threading.Event()
    failures: list[BaseException] = []

    def read(person: str) -> None:
        try:
            while not stop.is_set():
                history = live.view(person, NOW_MS).history
                assert (np.diff(history.time_ms) >= 0).all()
                live.counters.read("all", np.zeros(1, np.int64), np.array([NOW_MS]))
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read, args=(f"p{i}",)) for i in range(4)]
    for reader in readers:
        reader.start()
    for i in range(2000):
        stored = StoredEvent(i + 1, happened("impression", i % 40, f"p{i % 4}", NOW_MS - 100_000 + i))
        log._stored.append(stored)
        live.apply([stored])
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    for i in range(4):
        assert live.history(f"p{i}", NOW_MS).time_ms[-1] == NOW_MS - 100_000 + 1996 + i


def test_who_has_seen_a_whole_catalogue_is_asked_about_half_of_it_again() -> None:
    videos = small_columns(300)
    world = small_world(
        [happened("impression", i, time=NOW_MS - 1000 + i) for i in range(300)], videos=videos
    )
    asked = world.query("p1", now_ms=NOW_MS, seed=1, request_id="r1")
    assert sorted(seen_before(asked, videos).tolist()) == list(range(151, 300))
