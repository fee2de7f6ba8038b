"""Group commit: what happens to a batch when its neighbours, the queue or a listener go wrong."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhiliu.store import LogBusyError, LogClosedError, LogWriteError, Store, open_store
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.store_contracts import event
from zhiliu.types import Event, Receipt, StoredEvent


class HeldWriter:
    """Keeps the writer thread inside a commit listener until released."""

    def __init__(self, store: Store) -> None:
        self.inside = threading.Event()
        self.go_on = threading.Event()
        store.events.on_commit(self.hold)
        self.first = store.events.submit([event("held")])
        assert self.inside.wait(10)

    def hold(self, _: object) -> None:
        self.inside.set()
        assert self.go_on.wait(10)


runs = itertools.count()
batches = st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=batches)
def test_any_sequence_of_batches_gives_what_the_plain_list_gives(
    store: Store, script: list[list[int]]
) -> None:
    run = next(runs)  # the examples share one store
    slow, heard = MemoryLog(), list[StoredEvent]()
    store.events.on_commit(
        lambda events: heard.extend(x for x in events if x.event.event_id.startswith(f"{run}:"))
    )
    start = store.events.last_offset()
    for batch in script:
        events = [event(f"{run}:{n}", watch_ms=at) for at, n in enumerate(batch)]
        fast_receipt, slow_receipt = store.events.append(events), slow.append(events)
        assert (fast_receipt.accepted, fast_receipt.duplicates) == (
            slow_receipt.accepted,
            slow_receipt.duplicates,
        )
    stored = store.events.read(start, 1000)
    assert [x.event for x in stored] == [x.event for x in slow.read(0, 1000)]
    assert heard == stored


def test_batches_that_wait_together_are_committed_together(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        groups: list[int] = []
        writer = HeldWriter(store)
        store.events.on_commit(lambda events: groups.append(len(events)))
        futures = [store.events.submit([event(f"e{i}"), event("shared")]) for i in range(30)]
        writer.go_on.set()
        receipts = [future.result(10) for future in futures]
    assert groups == [31]
    assert [receipt.accepted for receipt in receipts] == [2] + [1] * 29
    assert [receipt.duplicates for receipt in receipts] == [0] + [1] * 29


def test_a_full_queue_refuses_a_batch_whole_and_takes_it_later(sqlite_url: str) -> None:
    with open_store(sqlite_url, commit_queue=10) as store:
        writer = HeldWriter(store)
        waiting = store.events.submit([event(f"e{i}") for i in range(8)])
        with pytest.raises(LogBusyError, match="commit_queue = 10"):
            store.events.submit([event("x1"), event("x2"), event("x3")])
        writer.go_on.set()
        assert waiting.result(10).accepted == 8
        assert store.events.append([event("x1"), event("x2"), event("x3")]).accepted == 3


def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits(sqlite_url: str) -> None:
    with open_store(sqlite_url, commit_queue=10) as store:
        assert store.events.append([event(f"e{i}") for i in range(500)]).accepted == 500


def test_a_batch_that_cannot_be_stored_does_not_harm_its_neighbours(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        writer = HeldWriter(store)
        before = store.events.submit([event("a")])
        broken = store.events.submit([event("b"), event("c", watch_ms=2**63)])
        nothing = store.events.submit([Event(event_id=None, type="view", time=1, person_id="p")])  # type: ignore[arg-type]
        after = store.events.submit([event("d"), event("a")])
        writer.go_on.set()
        assert before.result(10).accepted == 1
        with pytest.raises(LogWriteError, match="cannot be stored"):
            broken.result(10)
        with pytest.raises(LogWriteError, match="event_id"):
            nothing.result(10)
        assert (after.result(10).accepted, after.result(10).duplicates) == (1, 1)
        assert [x.event.event_id for x in store.events.read(0, 10)] == ["held", "a", "d"]


def test_a_cancelled_batch_is_not_written_and_the_writer_lives_on(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        writer = HeldWriter(store)
        dropped = store.events.submit([event("dropped")])
        assert dropped.cancel()
        writer.go_on.set()
        assert store.events.append([event("kept")]).accepted == 1
        assert [x.event.event_id for x in store.events.read(0, 10)] == ["held", "kept"]


def test_a_listener_that_raises_does_not_make_stored_events_look_lost(sqlite_url: str) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("not today")

    with open_store(sqlite_url) as store:
        heard: list[StoredEvent] = []
        store.events.on_commit(broken)
        store.events.on_commit(heard.extend)
        assert store.events.append([event("a")]).accepted == 1
        assert len(heard) == 1


def test_closing_writes_what_was_queued_and_refuses_what_comes_after(store_url: str) -> None:
    store = open_store(store_url)
    futures: list[Future[Receipt]] = [store.events.submit([event(f"e{i}")]) for i in range(50)]
    store.close()
    store.close()
    assert sum(future.result(10).accepted for future in futures) == 50
    with pytest.raises(LogClosedError):
        store.events.submit([event("late")])
    with open_store(store_url) as again:
        assert again.events.count() == 50


def test_offsets_go_on_after_reopening_even_when_the_newest_event_was_erased(store_url: str) -> None:
    with open_store(store_url) as store:
        last = store.events.append([event("a"), event("b")]).last_offset
        with store.database.write() as connection:
            connection.exec_driver_sql("DELETE FROM events WHERE event_id = 'b'")
    with open_store(store_url) as store:
        assert store.events.append([event("c")]).last_offset > last


def test_history_is_answered_by_the_index(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, store.database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM events WHERE person = 'p' AND time < 5 "
            "ORDER BY time DESC, log_offset DESC LIMIT 10"
        ).all()
    assert "events_person_time" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
