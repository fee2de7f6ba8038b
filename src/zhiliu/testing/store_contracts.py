"""What every event log, catalogue, people table and decision log must do.

Subclass, return yours from ``make``, and pytest runs every rule on it::

    class TestMyLog(EventLogContract):
        def make(self):
            return MyLog()
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from zhiliu.protocols import Catalog, EventLog, People
from zhiliu.types import Decision, DecisionItem, Event, EventType, Person, Reason, StoredEvent, Video

START_MS = 1_650_000_000_000


def event(event_id: str, time: int = START_MS, **fields: Any) -> Event:
    """A view of video ``v1`` by person ``p1``, unless said otherwise."""
    known: dict[str, Any] = {"type": EventType.VIEW, "person_id": "p1", "video_id": "v1"}
    return Event(event_id=event_id, time=time, **known | fields)


FULL_EVENT = Event(
    event_id="每个字段 \N{SLIGHTLY SMILING FACE}",
    type=EventType.SHARE_CREATE,
    time=START_MS,
    person_id="session:looks like one",
    session_id="s1",
    video_id="v1",
    surface="tab1",
    request_id="r1",
    position_ms=0,
    watch_ms=86_400_000,
    props={"text": '很好 \t\n"quoted" \'\\ \0', "n": -1.5, "list": [1, None, True], "deep": {"a": {}}},
)
"""Every field set, to values that are easily damaged on the way."""


class EventLogContract:
    """Append, deduplicate, read back."""

    def make(self) -> EventLog:
        """An empty log."""
        raise AssertionError("return an empty log of yours from make()")

    def test_what_is_appended_is_read_back_unchanged(self) -> None:
        log = self.make()
        events = [FULL_EVENT, event("a"), Event(event_id="b", type=EventType.SEARCH, time=1, session_id="s")]
        log.append(events)
        assert [stored.event for stored in log.read(0, 10)] == events

    def test_an_empty_log_answers_with_nothing(self) -> None:
        log = self.make()
        assert (list(log.read(0, 10)), list(log.history("p1", START_MS, 10)), log.last_offset()) == (
            [],
            [],
            0,
        )

    def test_an_empty_batch_is_taken(self) -> None:
        receipt = self.make().append([])
        assert (receipt.accepted, receipt.duplicates, receipt.last_offset) == (0, 0, 0)

    def test_a_repeated_event_id_is_counted_and_not_stored(self) -> None:
        log = self.make()
        first = log.append([event("a"), event("b")])
        again = log.append([event("b", watch_ms=5), event("c"), event("a")])
        assert (first.accepted, first.duplicates) == (2, 0)
        assert (again.accepted, again.duplicates) == (1, 2)
        assert [stored.event.event_id for stored in log.read(0, 10)] == ["a", "b", "c"]
        assert log.read(0, 10)[1].event.watch_ms is None

    def test_a_repeat_inside_one_batch_keeps_the_first(self) -> None:
        log = self.make()
        receipt = log.append(
            [event("a", watch_ms=1), event("a", watch_ms=2), event("b"), event("a", watch_ms=3)]
        )
        assert (receipt.accepted, receipt.duplicates) == (2, 2)
        assert [stored.event.watch_ms for stored in log.read(0, 10)] == [1, None]

    def test_ids_that_differ_in_case_or_blanks_are_different_events(self) -> None:
        assert self.make().append([event("a"), event("A"), event("a "), event("ａ")]).accepted == 4

    def test_offsets_grow_and_the_receipt_names_the_last(self) -> None:
        log = self.make()
        log.append([event("a"), event("b"), event("a")])
        receipt = log.append([event("b"), event("c")])
        offsets = [stored.offset for stored in log.read(0, 10)]
        assert offsets == sorted(set(offsets))
        assert offsets[0] > 0
        assert offsets[-1] == receipt.last_offset == log.last_offset()

    def test_read_pages_through_everything_once(self) -> None:
        log = self.make()
        log.append([event(f"e{i}") for i in range(10)])
        log.append([event(f"e{i}") for i in range(5, 15)])
        seen: list[StoredEvent] = []
        while page := log.read(seen[-1].offset if seen else 0, 4):
            assert len(page) <= 4
            seen.extend(page)
        assert [stored.event.event_id for stored in seen] == [f"e{i}" for i in range(15)]

    def test_history_is_the_newest_of_one_person_before_a_time_oldest_first(self) -> None:
        log = self.make()
        times = [5, 1, 3, 3, 2, 9]
        log.append([event(f"e{i}", START_MS + time) for i, time in enumerate(times)])
        log.append(
            [event("other", START_MS, person_id="p2"), event("s", START_MS, person_id=None, session_id="p1")]
        )
        history = log.history("p1", START_MS + 5, 3)
        assert [stored.event.event_id for stored in history] == ["e4", "e2", "e3"]
        assert [stored.event.event_id for stored in log.history("session:p1", START_MS + 5, 3)] == ["s"]

    def test_history_of_some_types_leaves_the_others_out_before_it_counts(self) -> None:
        log = self.make()
        kinds = [EventType.FOLLOW, EventType.VIEW, EventType.UNFOLLOW, EventType.VIEW, EventType.VIEW]
        log.append([event(f"e{i}", START_MS + i, type=kind) for i, kind in enumerate(kinds)])
        found = log.history("p1", START_MS + 9, 2, (EventType.FOLLOW, EventType.UNFOLLOW))
        assert [stored.event.event_id for stored in found] == ["e0", "e2"]

    def test_submitted_batches_are_all_stored_once_from_many_threads(self) -> None:
        log = self.make()

        def send(thread: int) -> list[int]:
            batches = [[event(f"{thread}:{i}"), event(f"shared:{i}")] for i in range(20)]
            return [future.result().accepted for future in [log.submit(batch) for batch in batches]]

        with ThreadPoolExecutor(4) as pool:
            accepted = sum(sum(counts) for counts in pool.map(send, range(4)))
        ids = [stored.event.event_id for stored in log.read(0, 1000)]
        assert accepted == len(ids) == len(set(ids)) == 4 * 20 + 20


class CommitListenerContract:
    """For logs that tell what they commit."""

    def make(self) -> Any:
        """An empty log with ``on_commit``."""
        raise AssertionError("return an empty log of yours from make()")

    def test_a_listener_hears_every_new_event_once_with_its_offset(self) -> None:
        log, heard = self.make(), list[StoredEvent]()
        log.on_commit(heard.extend)
        log.append([event("a"), event("a"), FULL_EVENT])
        log.append([event("b"), event("a")])
        assert heard == list(log.read(0, 10))

    def test_a_listener_has_heard_before_the_receipt_arrives(self) -> None:
        log, heard = self.make(), list[StoredEvent]()
        log.on_commit(heard.extend)
        for i in range(20):
            log.append([event(f"e{i}")])
            assert len(heard) == i + 1


FULL_VIDEO = Video(
    video_id="v1",
    author_id="a1",
    title="梯度下降 'in' \"one\" minute",
    description="line\nline",
    tags=("数学", "a,b", ""),
    duration_ms=61_000,
    language="zh",
    published_ms=START_MS,
    kind="normal",
    status="hidden",
    props={"width": 1080, "list": [1.5, None]},
)


class CatalogContract:
    """Row numbers never change."""

    def make(self) -> Catalog:
        """An empty catalogue."""
        raise AssertionError("return an empty catalogue of yours from make()")

    def ids(self, catalog: Catalog) -> Sequence[tuple[int, str]]:
        """(row, id) in row order."""
        return [(row, video.video_id) for row, video in catalog.rows()]

    def test_what_is_put_comes_back_unchanged(self) -> None:
        catalog = self.make()
        assert catalog.put([FULL_VIDEO]) == 1
        assert catalog.get("v1") == FULL_VIDEO
        assert catalog.get("v2") is None

    def test_rows_are_numbered_from_zero_in_the_order_of_arrival(self) -> None:
        catalog = self.make()
        catalog.put([Video(video_id=name, author_id="a") for name in ("z", "a", "m")])
        catalog.put([Video(video_id=name, author_id="a") for name in ("b", "a", "y")])
        assert self.ids(catalog) == [(0, "z"), (1, "a"), (2, "m"), (3, "b"), (4, "y")]

    def test_a_replaced_video_keeps_its_row_and_loses_its_old_values(self) -> None:
        catalog = self.make()
        catalog.put([Video(video_id="v0", author_id="a"), FULL_VIDEO])
        catalog.put([Video(video_id="v1", author_id="new")])
        assert catalog.rows()[1] == (1, Video(video_id="v1", author_id="new"))
        assert catalog.count() == 2

    def test_of_equal_ids_in_one_put_the_last_counts(self) -> None:
        catalog = self.make()
        assert catalog.put([FULL_VIDEO, Video(video_id="v1", author_id="last")]) == 1
        assert self.ids(catalog) == [(0, "v1")]
        assert catalog.rows()[0][1].author_id == "last"

    def test_a_deleted_video_is_gone_but_its_row_stays_taken(self) -> None:
        catalog = self.make()
        catalog.put([FULL_VIDEO])
        assert catalog.delete("v1") is True
        assert catalog.delete("v1") is False
        assert catalog.delete("never there") is False
        assert (catalog.get("v1"), catalog.count()) == (None, 0)
        catalog.put([Video(video_id="v2", author_id="a")])
        assert [(row, video.status) for row, video in catalog.rows()] == [(0, "deleted"), (1, "visible")]

    def test_a_deleted_video_that_is_put_again_has_its_old_row(self) -> None:
        catalog = self.make()
        catalog.put([FULL_VIDEO, Video(video_id="v2", author_id="a")])
        catalog.delete("v1")
        catalog.put([Video(video_id="v3", author_id="a"), FULL_VIDEO])
        assert self.ids(catalog) == [(0, "v1"), (1, "v2"), (2, "v3")]
        assert catalog.get("v1") == FULL_VIDEO

    def test_rows_can_be_read_in_pages(self) -> None:
        catalog = self.make()
        catalog.put([Video(video_id=f"v{i}", author_id="a") for i in range(5)])
        assert [row for row, _ in catalog.rows(after_row=1, limit=2)] == [2, 3]
        assert list(catalog.rows(after_row=4)) == []

    def test_more_videos_than_one_statement_holds_are_put_at_once(self) -> None:
        catalog = self.make()
        videos = [Video(video_id=f"v{i}", author_id="a") for i in range(2_500)]
        assert (catalog.put(videos), catalog.put(videos), catalog.count()) == (2_500, 2_500, 2_500)
        assert [row for row, _ in catalog.rows()] == list(range(2_500))


FULL_PERSON = Person(
    person_id="p1",
    age_band="25-34",
    gender="f",
    occupation="工程师",
    language="zh",
    activity="full_active",
    follow_count=5,
    fan_count=2**40,
    friend_count=3,
    registered_ms=START_MS,
    props={"onehot_feat0": 1},
)


class PeopleContract:
    """Profiles."""

    def make(self) -> People:
        """An empty people table."""
        raise AssertionError("return an empty people table of yours from make()")

    def test_what_is_put_comes_back_unchanged(self) -> None:
        people = self.make()
        assert people.put([FULL_PERSON, Person(person_id="p2")]) == 2
        assert (people.get("p1"), people.get("p2")) == (FULL_PERSON, Person(person_id="p2"))
        assert people.get("p3") is None

    def test_a_second_put_replaces_every_field(self) -> None:
        people = self.make()
        people.put([FULL_PERSON])
        people.put([FULL_PERSON, Person(person_id="p1")])
        assert (people.get("p1"), people.count()) == (Person(person_id="p1"), 1)

    def test_a_deleted_person_is_gone(self) -> None:
        people = self.make()
        people.put([FULL_PERSON])
        assert (people.delete("p1"), people.delete("p1"), people.get("p1"), people.count()) == (
            True,
            False,
            None,
            0,
        )


def decision(
    request_id: str, person: str = "p1", time_ms: int = START_MS, videos: Sequence[str] = ("v1",)
) -> Decision:
    """A decision that serves these videos."""
    items = tuple(
        DecisionItem(slot=slot, video_id=video, score=0.1, propensity=1.0, sources=("als",), heads={})
        for slot, video in enumerate(videos)
    )
    return Decision(
        request_id=request_id, person=person, time_ms=time_ms, surface="for_you", policy="greedy", model="m1",
        candidate_hash="ab", candidate_count=500, seed=1, items=items,
    )  # fmt: skip


FULL_DECISION = Decision(
    request_id="r1",
    person="session:s1",
    time_ms=START_MS,
    surface="discover",
    policy="mmr+ε",
    model="20260101T000000000Z-00000000",
    candidate_hash="0123456789abcdef",
    candidate_count=487,
    seed=2**63 - 1,
    mode="nonprofiled",
    weights={"click": 0.5, "hide": -8.0, "watch_ms": 1e-5},
    seen_count=2,
    seen_hash="fedcba9876543210",
    context={"hour": 3, "device": "手机"},
    dropped={"seen": 3, "muted": 0},
    failed=("two_tower",),
    items=(
        DecisionItem(
            slot=0,
            video_id="v9",
            score=0.1 + 0.2,
            propensity=1 / 3,
            sources=("als", "trending"),
            heads={"click": 0.1, "long_view": 1e-30, "watch_ms": 12_345.678},
            features=tuple(np.asarray([0.1, -1.5, 1e30, 0.0], np.float32).tolist()),
            reasons=(Reason("topic", "你常看 数学", ("数学",)), Reason("popular", "popular")),
        ),
        DecisionItem(slot=1, video_id="v2", score=-1.0, propensity=0.0, sources=(), heads={}),
    ),
)


class DecisionLogLike(Protocol):
    """What the contract below needs."""

    def append(self, batch: Sequence[Decision], /) -> None: ...
    def get(self, request_id: str) -> Decision | None: ...
    def served(self, person: str, since_ms: int, limit: int) -> list[str]: ...
    def count(self) -> int: ...


class DecisionLogContract:
    """Nothing about a decision is lost."""

    def make(self) -> DecisionLogLike:
        """An empty decision log."""
        raise AssertionError("return an empty decision log of yours from make()")

    def test_a_decision_comes_back_exactly(self) -> None:
        log = self.make()
        log.append([FULL_DECISION, decision("r2", videos=())])
        assert log.get("r1") == FULL_DECISION
        assert log.get("r2") == decision("r2", videos=())
        assert (log.get("r3"), log.count()) == (None, 2)

    def test_a_decision_is_written_once_and_never_changed(self) -> None:
        log = self.make()
        log.append([decision("r1", videos=("v1", "v2"))])
        log.append([decision("r1", videos=("v3",)), decision("r2"), decision("r2", videos=("v9",))])
        assert log.get("r1") == decision("r1", videos=("v1", "v2"))
        assert (log.get("r2"), log.count()) == (decision("r2"), 2)

    def test_served_is_each_video_once_newest_first(self) -> None:
        log = self.make()
        log.append([
            decision("r1", time_ms=START_MS, videos=("old", "both")),
            decision("r2", time_ms=START_MS + 2, videos=("new", "both")),
            decision("r3", person="p2", videos=("other",)),
        ])  # fmt: skip
        assert log.served("p1", START_MS, 10) == ["new", "both", "old"]
        assert log.served("p1", START_MS + 1, 10) == ["new", "both"]
        assert log.served("p1", START_MS, 1) == ["new"]

    def test_a_number_that_is_not_finite_is_refused_and_nothing_is_kept(self) -> None:
        log = self.make()
        item = DecisionItem(slot=0, video_id="v", score=float("nan"), propensity=1.0, sources=(), heads={})
        broken = Decision(
            request_id="bad", person="p", time_ms=1, surface="s", policy="p", model="m", candidate_hash="h",
            candidate_count=1, seed=1, items=(item,),
        )  # fmt: skip
        try:
            log.append([decision("r1"), broken])
        except ValueError as error:
            assert "score" in str(error)  # noqa: PT017
        else:
            raise AssertionError("a score of NaN was taken")
        assert log.count() == 0
