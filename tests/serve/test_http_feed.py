from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from small_catalogue import NOW_MS, VIDEOS, feed, video_ids

from zhiliu.serve.cursor import pack, unpack
from zhiliu.store import Store
from zhiliu.types import Decision, DecisionItem

MakeEvent = Callable[..., dict[str, Any]]


def whole_chain(client: httpx.Client, **query: Any) -> list[str]:
    served: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        page = feed(client, **query, **({"cursor": cursor} if cursor else {}))
        served += video_ids(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return served
    raise AssertionError("the chain does not end")


def test_without_an_artifact_the_feed_serves_what_is_there(client: httpx.Client) -> None:
    page = feed(client)
    assert len(page["items"]) == 10
    assert page["model"] == ""
    assert [item["position"] for item in page["items"]] == list(range(10))
    assert page["items"][0]["video"]["author_id"]


def test_a_chain_of_pages_serves_every_video_once(client: httpx.Client) -> None:
    served = whole_chain(client, limit=7)
    assert len(served) == len(set(served)) == VIDEOS


def test_a_cursor_survives_changes_of_the_catalogue(client: httpx.Client) -> None:
    first = feed(client, limit=10)
    client.delete("/api/v1/videos/v59")
    client.put("/api/v1/videos/new", json={"author_id": "fresh"})
    second = feed(client, limit=50, cursor=first["next_cursor"])
    assert not set(video_ids(first)) & set(video_ids(second))


def test_a_cursor_of_somebody_else_is_refused(client: httpx.Client) -> None:
    cursor = feed(client)["next_cursor"]
    answer = client.get("/api/v1/feed", params={"person_id": "8", "cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("damage", ["x", "AQ", "%%%", "中文", "A" * 3000])
def test_a_word_that_is_no_cursor_is_refused(client: httpx.Client, damage: str) -> None:
    answer = client.get("/api/v1/feed", params={"person_id": "7", "cursor": damage})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_rows_beyond_the_catalogue_in_a_cursor_do_no_harm(client: httpx.Client) -> None:
    import numpy as np

    cursor = pack(np.array([0, 5, 2**31 - 1], np.int32), "7", "for_you")
    assert unpack(cursor, "7", "for_you").tolist() == [0, 5, 2**31 - 1]
    assert len(feed(client, cursor=cursor)["items"]) == 10


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 51}),
        ("limit", {"limit": "many"}),
        ("surface", {"surface": "review"}),
        ("surface", {"surface": "nowhere"}),
        ("session_id", {"session_id": "s"}),
        ("person_id", {"person_id": ""}),
        ("person_id", {"person_id": "x" * 257}),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_seen(
    client: httpx.Client, field: str, query: dict[str, Any]
) -> None:
    answer = client.get("/api/v1/feed", params={"person_id": "7"} | query)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert str(error.get("seen", "")) == str(query[field])[:200]


def test_nobody_is_no_person(client: httpx.Client) -> None:
    assert client.get("/api/v1/feed").status_code == 422


def test_a_session_gets_a_feed_too(client: httpx.Client) -> None:
    answer = client.get("/api/v1/feed", params={"session_id": "abc"})
    assert len(answer.json()["items"]) == 10


def test_the_following_feed_holds_only_followed_authors(client: httpx.Client, event: MakeEvent) -> None:
    assert feed(client, surface="following")["items"] == []
    follow = event(type="follow", video_id="v3", props={"author_id": "a3"})
    assert client.post("/api/v1/events", json=[follow]).json()["accepted"] == 1
    authors = {item["video"]["author_id"] for item in feed(client, surface="following", limit=50)["items"]}
    assert authors == {"a3"}


def test_what_a_followed_person_likes_is_on_the_next_page_with_its_reason(
    client: httpx.Client, event: MakeEvent, store: Store
) -> None:
    def liked() -> dict[str, list[dict[str, Any]]]:
        page = feed(client, limit=50, language="en")
        told = {item["video"]["video_id"]: item["reasons"] for item in page["items"]}
        return {
            v: r for v, rs in told.items() if (r := [one for one in rs if one["code"] == "followed_liked"])
        }

    follow = event(type="follow", video_id=None, props={"author_id": "a3"})
    client.post("/api/v1/events", json=[follow]).raise_for_status()
    assert liked() == {}
    like = event(type="like", video_id="v57", person_id="a3", time=NOW_MS - 500)
    client.post("/api/v1/events", json=[like]).raise_for_status()
    reason = {"code": "followed_liked", "text": "Liked by people you follow", "refs": ["a3"]}
    assert liked() == {"v57": [reason]}
    assert not [
        one
        for item in feed(client, surface="discover", limit=50)["items"]
        for one in item["reasons"]
        if one["code"] == "followed_liked"
    ]
    unfollow = event(type="unfollow", video_id=None, time=NOW_MS - 400, props={"author_id": "a3"})
    client.post("/api/v1/events", json=[unfollow]).raise_for_status()
    assert liked() == {}


def test_a_hide_is_honoured_on_the_next_page(client: httpx.Client, event: MakeEvent) -> None:
    first = video_ids(feed(client))[0]
    client.post("/api/v1/events", json=[event(type="hide", video_id=first)])
    assert first not in video_ids(feed(client, limit=50))


def test_a_page_is_in_the_decision_log_and_why_tells_it(client: httpx.Client, store: Store) -> None:
    page = feed(client)
    item = page["items"][2]
    path = f"/api/v1/feed/{page['request_id']}/{item['video']['video_id']}/why"
    for _ in range(200):  # written after the answer
        if store.decisions.get(page["request_id"]) is not None:
            break
        time.sleep(0.02)
    told = client.get(path).json()
    assert told["slot"] == 2
    assert told["sources"]
    assert told["reasons"] == item["reasons"]
    assert 0 < told["propensity"] <= 1
    assert all(h["contribution"] == pytest.approx(h["value"] * h["weight"]) for h in told["heads"])
    decision = store.decisions.get(page["request_id"])
    assert decision is not None
    assert [one.video_id for one in decision.items] == video_ids(page)


def test_why_tells_the_weights_a_page_was_scored_with_not_those_of_today(
    client: httpx.Client, store: Store
) -> None:
    item = DecisionItem(slot=0, video_id="v1", score=1.5, propensity=1.0, sources=(), heads={"like": 0.5})
    old = Decision(
        request_id="old", person="7", time_ms=NOW_MS, surface="for_you", policy="greedy", model="",
        candidate_hash="h", candidate_count=1, seed=1, items=(item,),
    )  # fmt: skip
    kept = msgspec.structs.replace(old, request_id="kept", policy="greedy:01234567", weights={"like": 3.0})
    store.decisions.append([old, kept])
    for request_id, weight, logged in (("kept", 3.0, True), ("old", 2.0, False)):
        told = client.get(f"/api/v1/feed/{request_id}/v1/why").json()
        assert [(head["head"], head["weight"]) for head in told["heads"]] == [("like", weight)]
        assert told["weights_logged"] is logged


def test_why_of_a_page_never_served_is_not_found(client: httpx.Client) -> None:
    assert client.get("/api/v1/feed/none/v1/why").status_code == 404
