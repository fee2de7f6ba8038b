"""Dead letters, consumer offsets, counts."""

from __future__ import annotations

from zhiliu.store import DeadLetter, Store
from zhiliu.testing.store_contracts import FULL_DECISION, FULL_PERSON, FULL_VIDEO, event


def letter(body: str, reason: str = "unknown video") -> DeadLetter:
    return DeadLetter(body=body, field="video_id", reason=reason, received_ms=1_650_000_000_000)


def test_a_dead_letter_keeps_the_body_as_it_came(store: Store) -> None:
    body = '{ "event_id":"a",\n "text":"很好 \\u0000" }'
    store.dead_letters.add([letter(body), letter("[]")])
    first, second = store.dead_letters.read()
    assert (first.body, first.field, first.reason) == (body, "video_id", "unknown video")
    assert 0 < first.id < second.id


def test_dead_letters_are_read_in_pages_and_deleted_once(store: Store) -> None:
    store.dead_letters.add([letter(str(n)) for n in range(5)])
    page = store.dead_letters.read(after=store.dead_letters.read()[1].id, limit=2)
    assert [one.body for one in page] == ["2", "3"]
    assert store.dead_letters.delete([one.id for one in page]) == 2
    assert store.dead_letters.delete([one.id for one in page]) == 0
    assert store.dead_letters.count() == 3


def test_a_reason_that_quotes_a_nul_can_be_kept(store: Store) -> None:
    store.dead_letters.add([letter("{}", reason="field \0 is unknown")])
    assert store.dead_letters.read()[0].reason == "field \\u0000 is unknown"


def test_a_consumer_starts_at_zero_and_remembers_where_it_was(store: Store) -> None:
    assert store.offsets.get("live") == 0
    store.offsets.set("live", 7)
    store.offsets.set("other", 3)
    store.offsets.set("live", 2**40)
    assert (store.offsets.get("live"), store.offsets.get("other")) == (2**40, 3)


def test_counts_name_every_kind(store: Store) -> None:
    store.events.append([event("a"), event("b")])
    store.catalog.put([FULL_VIDEO])
    store.people.put([FULL_PERSON])
    store.decisions.append([FULL_DECISION])
    store.dead_letters.add([letter("{}")])
    assert store.counts() == {"events": 2, "people": 1, "videos": 1, "decisions": 1, "dead_letters": 1}
