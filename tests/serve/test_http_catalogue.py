from __future__ import annotations

from typing import Any

import httpx
import pytest
from small_catalogue import feed, video_ids

from zhiliu.store import Store

LESSON: dict[str, Any] = {"author_id": "a1", "title": "微积分", "tags": ["数学"], "duration_ms": 61_000}


def test_a_video_put_can_be_read_and_a_deleted_one_cannot(client: httpx.Client) -> None:
    assert client.put("/api/v1/videos/new", json=LESSON).status_code == 200
    assert client.get("/api/v1/videos/new").json()["title"] == "微积分"
    assert client.delete("/api/v1/videos/new").status_code == 204
    gone = client.get("/api/v1/videos/new")
    assert gone.status_code == 404
    assert gone.json()["detail"] == "no video 'new'"
    assert client.delete("/api/v1/videos/new").status_code == 404


def test_a_new_video_can_be_served_at_once(client: httpx.Client) -> None:
    for i in range(3):
        client.put(f"/api/v1/videos/new{i}", json=LESSON | {"author_id": f"fresh{i}"})
    served: list[str] = []
    cursor = None
    while len(served) < 60:
        page = feed(client, limit=50, **({"cursor": cursor} if cursor else {}))
        served += video_ids(page)
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert {"new0", "new1", "new2"} <= set(served)


def test_a_deleted_video_is_never_served_again(client: httpx.Client) -> None:
    first = video_ids(feed(client, limit=5))
    for video_id in first:
        client.delete(f"/api/v1/videos/{video_id}")
    assert not set(first) & set(video_ids(feed(client, limit=50)))


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("duration_ms", {"duration_ms": "long"}),
        ("duration_ms", {"duration_ms": -5}),
        ("duration_ms", {"duration_ms": 10**9}),
        ("published_ms", {"published_ms": 1_790_000_000}),
        ("author_id", {"author_id": ""}),
        ("author_id", {"author_id": None}),
        ("status", {"status": "deleted"}),
        ("tags", {"tags": [""]}),
        ("tags[1]", {"tags": ["a", 5]}),
        ("colour", {"colour": "red"}),
        ("video_id", {"video_id": "other"}),
        ("title", {"title": "x" * 10_001}),
        ("props", {"props": {"x": "y" * 9000}}),
    ],
)
def test_a_wrong_video_is_refused_by_field_and_not_written(
    client: httpx.Client, store: Store, field: str, changes: dict[str, Any]
) -> None:
    answer = client.put("/api/v1/videos/new", json=LESSON | changes)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert store.catalog.get("new") is None


def test_a_missing_field_is_named(client: httpx.Client) -> None:
    answer = client.put("/api/v1/videos/new", json={"title": "no author"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "author_id"


def test_a_batch_is_written_whole_or_not_at_all(client: httpx.Client, store: Store) -> None:
    good = [LESSON | {"video_id": f"b{i}"} for i in range(3)]
    answer = client.post("/api/v1/videos/batch", json=[*good, LESSON | {"video_id": "b3", "duration_ms": -1}])
    assert answer.status_code == 422
    assert answer.json()["errors"][0] | {"reason": ""} == {
        "field": "duration_ms",
        "reason": "",
        "seen": -1,
        "index": 3,
    }
    assert store.catalog.get("b0") is None
    assert client.post("/api/v1/videos/batch", json={"videos": good}).json() == {"written": 3}
    assert store.catalog.get("b2") is not None


def test_a_person_can_be_put_read_and_deleted(client: httpx.Client) -> None:
    assert client.put("/api/v1/people/8", json={"age_band": "25-34", "follow_count": 3}).status_code == 200
    assert client.get("/api/v1/people/8").json()["follow_count"] == 3
    assert client.post("/api/v1/people/batch", json=[{"person_id": "9"}]).json() == {"written": 1}
    assert client.delete("/api/v1/people/8").status_code == 204
    assert client.get("/api/v1/people/8").status_code == 404


def test_a_wrong_person_is_refused_by_field(client: httpx.Client) -> None:
    answer = client.put("/api/v1/people/8", json={"fan_count": -1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "fan_count"


def test_similar_videos_leave_out_the_video_itself(client: httpx.Client) -> None:
    answer = client.get("/api/v1/videos/v1/similar", params={"limit": 5})
    assert answer.status_code == 200
    found = video_ids(answer.json())
    assert "v1" not in found
    assert len(found) == len(set(found)) <= 5
    assert client.get("/api/v1/videos/nobody/similar").status_code == 404
