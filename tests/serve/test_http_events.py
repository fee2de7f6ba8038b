from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhiliu.serve.app import create_app
from zhiliu.settings import Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.server import serving
from zhiliu.types import Video

MakeEvent = Callable[..., dict[str, Any]]


def post(client: httpx.Client, body: Any) -> httpx.Response:
    return client.post("/api/v1/events", json=body)


def test_accepted_events_are_in_the_log_when_the_answer_comes(
    client: httpx.Client, store: Store, event: MakeEvent
) -> None:
    sent = [event(), event(type="like"), event(type="view", watch_ms=4000)]
    answer = post(client, sent)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 3, "duplicates": 0, "rejected": []}
    assert [one.event.event_id for one in store.events.read(0, 10)] == [one["event_id"] for one in sent]


def test_sending_a_batch_again_counts_duplicates_and_stores_nothing(
    client: httpx.Client, store: Store, event: MakeEvent
) -> None:
    sent = [event(), event()]
    post(client, sent)
    assert post(client, sent).json() == {"accepted": 0, "duplicates": 2, "rejected": []}
    assert store.counts()["events"] == 2


def test_a_list_in_an_object_is_taken_too(client: httpx.Client, event: MakeEvent) -> None:
    assert post(client, {"events": [event()]}).json()["accepted"] == 1


def test_an_empty_batch_is_fine(client: httpx.Client) -> None:
    assert post(client, []).json() == {"accepted": 0, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("type", {"type": "stare"}),
        ("time", {"time": 1_790_000_000}),
        ("time", {"time": 99_999_999_999_999}),
        ("time", {"time": "now"}),
        ("video_id", {"video_id": "nobody-knows"}),
        ("video_id", {"video_id": None}),
        ("person_id", {"person_id": None}),
        ("watch_ms", {"type": "view", "watch_ms": -1}),
        ("colour", {"colour": "red"}),
        ("event_id", {"event_id": "x" * 257}),
    ],
)
def test_a_wrong_event_is_named_and_kept_while_the_rest_stands(
    client: httpx.Client, store: Store, event: MakeEvent, field: str, changes: dict[str, Any]
) -> None:
    wrong = event(**changes)
    answer = post(client, [event(), wrong, event()])
    assert answer.status_code == 202
    told = answer.json()
    assert told["accepted"] == 2
    assert [(one["index"], one["field"]) for one in told["rejected"]] == [(1, field)]
    assert told["rejected"][0]["reason"]
    (letter,) = store.dead_letters.read()
    assert json.loads(letter.body) == wrong
    assert (letter.field, letter.reason) == (field, told["rejected"][0]["reason"])


def test_a_time_in_seconds_is_told_to_be_milliseconds(client: httpx.Client, event: MakeEvent) -> None:
    assert "looks like seconds" in post(client, [event(time=1_790_000_000)]).json()["rejected"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[{", "application/json", 400),
        (b'{"events": [', "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"17", "application/json", 422),
        (b'{"event": []}', "application/json", 422),
        (b'{"events": 5}', "application/json", 422),
        (b"[]", "text/plain", 415),
        (b"[]", "", 415),
    ],
)
def test_a_body_that_is_no_batch_is_a_problem(
    client: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    answer = client.post("/api/v1/events", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text


def test_too_many_events_are_refused_whole(client: httpx.Client, store: Store, event: MakeEvent) -> None:
    answer = post(client, [event() for _ in range(1001)])
    assert answer.status_code == 413
    assert "at most 1000" in answer.json()["detail"]
    assert store.counts()["events"] == 0


def test_a_body_too_large_is_refused(client: httpx.Client) -> None:
    body = b"[" + b" " * (17 * 1024 * 1024) + b"]"
    answer = client.post("/api/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_a_closed_log_is_a_503_with_retry_after_and_takes_nothing(
    settings: Settings, event: MakeEvent
) -> None:
    with open_store(settings.store_url) as store:
        store.catalog.put([Video(video_id="v1", author_id="a")])
        with serving(create_app(settings, store)) as address, httpx.Client(base_url=address) as client:
            store.events.close()
            answer = post(client, [event()])
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert client.get("/api/v1/feed", params={"person_id": "7"}).status_code == 200
        assert store.counts()["events"] == 0


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    workspace: Path = tmp_path_factory.mktemp("fuzz") / "w"
    settings = Settings(workspace=workspace)
    with open_store(settings.store_url) as store:
        store.catalog.put([Video(video_id="v1", author_id="a")])
        with serving(create_app(settings, store)) as address, httpx.Client(base_url=address) as client:
            yield client


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["event_id", "type", "time", "person_id", "session_id", "video_id", "watch_ms", "position_ms", "props"]
)
ALMOST = st.dictionaries(FIELDS, JSON | st.sampled_from(["v1", "view", "7", 1_790_000_000_000]), max_size=9)


@given(
    body=JSON | st.lists(ALMOST, max_size=5) | st.fixed_dictionaries({"events": st.lists(ALMOST, max_size=3)})
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_body_makes_the_server_fail(fuzzed: httpx.Client, body: Any) -> None:
    text = json.dumps(body)
    answer = fuzzed.post("/api/v1/events", content=text, headers={"content-type": "application/json"})
    assert answer.status_code in {202, 413, 422}, answer.text
    told = answer.json()
    if answer.status_code == 202:
        events = body if isinstance(body, list) else body["events"]
        assert told["accepted"] + told["duplicates"] + len(told["rejected"]) == len(events)


@given(body=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_bytes_make_the_server_fail(fuzzed: httpx.Client, body: bytes) -> None:
    answer = fuzzed.post("/api/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {202, 400, 422}, answer.text
