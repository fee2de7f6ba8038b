"""What a batch of raw events may hold, and what the sender is told about the rest."""

from __future__ import annotations

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.events import BatchError, check_batch
from zhiliu.events.check import broken_rule, converted, decoded
from zhiliu.types import Event, EventType, Rejected

NOW_MS = 1_700_000_000_000
GOOD: dict[str, Any] = {
    "event_id": "e1", "type": "view", "time": NOW_MS - 5, "person_id": "p1", "video_id": "v1", "watch_ms": 1200,
}  # fmt: skip


def known(video_id: str) -> bool:
    return video_id.startswith("v")


def check(raw: bytes | list[Any], limit: int = 1000) -> tuple[list[Event], list[Rejected]]:
    return check_batch(raw, now_ms=NOW_MS, known_video=known, limit=limit)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


BROKEN: list[tuple[Any, str, str]] = [
    (GOOD | {"type": "look"}, "type", "unknown type 'look'; one of impression, view"),
    (GOOD | {"type": 7}, "type", "unknown type 7"),
    (without("type"), "type", "missing"),
    (without("event_id"), "event_id", "missing"),
    (without("time"), "time", "missing"),
    (GOOD | {"event_id": ""}, "event_id", "1 to 256 characters long; seen: 0"),
    (GOOD | {"event_id": "x" * 257}, "event_id", "seen: 257"),
    (GOOD | {"event_id": 5}, "event_id", "must be text; seen: 5"),
    (GOOD | {"event_id": None}, "event_id", "must be text; seen: null"),
    (GOOD | {"event_id": "a\0"}, "event_id", "NUL"),
    (GOOD | {"request_id": "a\0"}, "request_id", "NUL"),
    (GOOD | {"time": NOW_MS // 1000}, "time", "looks like seconds; send ms"),
    (GOOD | {"time": NOW_MS + 300_001}, "time", "in the future"),
    (GOOD | {"time": NOW_MS * 1000}, "time", "in the future"),
    (GOOD | {"time": 946_684_799_999}, "time", "before the year 2000"),
    (GOOD | {"time": -1}, "time", "before the year 2000"),
    (GOOD | {"time": "yesterday"}, "time", "must be whole milliseconds UTC; seen: 'yesterday'"),
    (GOOD | {"time": NOW_MS - 0.5}, "time", "must be whole milliseconds UTC"),
    (GOOD | {"time": True}, "time", "must be whole milliseconds UTC; seen: True"),
    (without("person_id"), "person_id", "missing; give person_id, or session_id"),
    (GOOD | {"person_id": "session:x"}, "person_id", "send that as session_id"),
    (without("video_id"), "video_id", "missing; a 'view' event needs one"),
    (GOOD | {"video_id": "other"}, "video_id", "unknown video 'other'; PUT"),
    (GOOD | {"watch_ms": -1}, "watch_ms", "must not be negative; seen: -1"),
    (GOOD | {"watch_ms": 86_400_001}, "watch_ms", "more than 24 h"),
    (GOOD | {"watch_ms": 1.5}, "watch_ms", "must be whole milliseconds; seen: 1.5"),
    (GOOD | {"position_ms": -1}, "position_ms", "must not be negative"),
    (GOOD | {"surface": None}, "surface", "must be text"),
    (GOOD | {"props": []}, "props", "must be a JSON object; seen: []"),
    (GOOD | {"props": {"a": "x" * 8190}}, "props", "at most 8192"),
    (GOOD | {"speed": 2}, "speed", "unknown field; the fields are event_id"),
    ([GOOD], "event", "must be a JSON object"),
    (None, "event", "must be a JSON object; seen: null"),
]


@pytest.mark.parametrize(("raw", "field", "said"), BROKEN)
def test_a_broken_event_is_rejected_by_index_field_and_reason_and_the_rest_stands(
    raw: Any, field: str, said: str
) -> None:
    batch = [GOOD, raw, GOOD | {"event_id": "e2"}]
    for given_as in (batch, json.dumps(batch).encode()):
        events, rejected = check(given_as)
        assert [event.event_id for event in events] == ["e1", "e2"]
        assert [(one.index, one.field) for one in rejected] == [(1, field)]
        assert said in rejected[0].reason


GOOD_ONES: list[dict[str, Any]] = [
    GOOD,
    without("person_id") | {"session_id": "s1"},
    GOOD | {"time": NOW_MS + 300_000},
    GOOD | {"time": 946_684_800_000},
    GOOD | {"watch_ms": 86_400_000, "position_ms": 0, "request_id": None},
    GOOD | {"event_id": "字" * 256},
    GOOD | {"props": {"a": "x" * 8183}},
    *(without("video_id") | {"type": kind} for kind in ("follow", "unfollow", "search", "path_step")),
]


@pytest.mark.parametrize("raw", GOOD_ONES)
def test_what_is_just_allowed_is_taken(raw: dict[str, Any]) -> None:
    for given_as in ([raw], json.dumps([raw]).encode()):
        events, rejected = check(given_as)
        assert rejected == []
        assert events == [msgspec.convert(raw, Event)]


def test_nan_is_named_as_such() -> None:
    _, rejected = check([GOOD | {"watch_ms": float("nan")}])
    assert (rejected[0].field, rejected[0].reason) == (
        "watch_ms",
        "is NaN; leave the field out when it is not known",
    )


def test_every_rejected_event_is_reported_not_only_the_first() -> None:
    raw = [broken for broken, _, _ in BROKEN]
    events, rejected = check(raw)
    assert events == []
    assert [one.index for one in rejected] == list(range(len(BROKEN)))
    assert [one.field for one in rejected] == [field for _, field, _ in BROKEN]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"[{]", "not JSON"),
        (b'{"event_id": "a"}', "must be a JSON list"),
        (b"[" * 100_000, "not JSON"),
        (b"[1] trailing", "not JSON"),
    ],
)
def test_a_batch_that_is_no_list_is_refused_whole(raw: bytes, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        check(raw)


@pytest.mark.parametrize("broken", [GOOD, GOOD | {"type": "look"}])
def test_a_batch_over_the_limit_is_refused_whole(broken: dict[str, Any]) -> None:
    for raw in ([GOOD, broken], json.dumps([GOOD, broken]).encode()):
        assert len(check(raw, limit=2)[0]) >= 1
        with pytest.raises(BatchError, match="at most 1 events"):
            check(raw, limit=1)


@pytest.mark.parametrize("broken", [{"event_id": "\ud800"}, {"props": {"a": "\ud800"}}])
def test_half_a_surrogate_pair_is_no_text(broken: dict[str, Any]) -> None:
    batch = [GOOD, GOOD | broken]
    events, rejected = check(batch)
    assert (len(events), [(one.index, one.field) for one in rejected]) == (1, [(1, next(iter(broken)))])
    with pytest.raises(BatchError, match="not JSON"):
        check(json.dumps(batch).encode())


def test_props_nested_without_end_are_rejected_alone() -> None:
    deep = json.dumps(GOOD | {"props": {"a": None}}).encode().replace(b"null", b"[" * 5000 + b"]" * 5000)
    with pytest.raises(BatchError):
        check(b"[" + deep + b"]")


def test_an_empty_batch_is_nothing() -> None:
    assert check(b"[]") == check([]) == ([], [])


def test_a_type_that_names_no_video_may_still_name_one_but_not_an_unknown_one() -> None:
    assert check([GOOD | {"type": "search", "video_id": "other"}])[1][0].field == "video_id"


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.sampled_from([NOW_MS, NOW_MS // 1000, NOW_MS + 10**9, 86_400_001, "v1", "view", "x" * 257, "a\0b"]),
)  # fmt: skip
values = st.one_of(
    scalars, st.lists(scalars, max_size=2), st.dictionaries(st.text(max_size=2), scalars, max_size=2)
)
mutations = st.dictionaries(st.sampled_from([*Event.__struct_fields__, "speed"]), values, max_size=2)
raw_events = st.one_of(
    st.builds(
        lambda change, drop, kind: {
            k: v for k, v in (GOOD | {"type": kind} | change).items() if k not in drop
        },
        mutations,
        st.sets(st.sampled_from(sorted(GOOD)), max_size=1),
        st.sampled_from(list(map(str, EventType))),
    ),
    st.just(GOOD),
    values,
)


def one_by_one(raw: list[Any], read: Any) -> tuple[list[Event], list[Rejected]]:
    """The slow twin: no event is ever looked at together with another."""
    events, rejected = [], []
    for index, value in enumerate(raw):
        event = read(value)
        problem = event if isinstance(event, tuple) else broken_rule(event, NOW_MS, known)
        if problem is None:
            events.append(event)
        else:
            rejected.append(Rejected(index, *problem))
    return events, rejected


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(raw_events, max_size=4))
def test_the_fast_path_agrees_with_one_by_one(batch: list[Any]) -> None:
    assert check(batch) == one_by_one(batch, converted)


def is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (ValueError, TypeError):
        return False


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(raw_events.filter(is_json), max_size=4))
def test_bytes_and_objects_are_judged_alike(batch: list[Any]) -> None:
    texts = [msgspec.Raw(json.dumps(value).encode()) for value in batch]
    from_bytes = check(json.dumps(batch).encode())
    assert from_bytes == one_by_one(texts, decoded)
    events, rejected = check(batch)
    assert from_bytes[0] == events
    assert [(one.index, one.field) for one in from_bytes[1]] == [(one.index, one.field) for one in rejected]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=string.printable, max_size=40).map(str.encode) | st.binary(max_size=40))
def test_any_bytes_end_in_an_answer_or_a_batch_error(text: bytes) -> None:
    for raw in (text, b"[" + text + b"]"):
        try:
            events, _ = check(raw)
        except BatchError:
            continue
        assert events == []


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(raw_events, max_size=3))
def test_what_is_taken_keeps_every_rule(batch: list[Any]) -> None:
    for event in check(batch)[0]:
        assert 946_684_800_000 <= event.time <= NOW_MS + 300_000
        assert event.person_id or event.session_id
        assert event.video_id is None or known(event.video_id)
        assert event.watch_ms is None or 0 <= event.watch_ms <= 86_400_000
        assert len(msgspec.json.encode(event.props)) <= 8192
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
