"""What the store cannot write is a 503 that says what is true; what is told back is short."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from zhiliu.serve.app import create_app
from zhiliu.settings import Settings
from zhiliu.store import Store
from zhiliu.testing.server import serving

LONG = "x" * 9_000


@pytest.fixture
def full(store: Store, settings: Settings) -> Iterator[httpx.Client]:
    """A server whose catalogue connections may add no page to the file, as on a full disk."""

    def no_room(connection: sqlite3.Connection, *_: Any) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the file's size as it is

    with serving(create_app(settings, store)) as address, httpx.Client(base_url=address) as client:
        sa.event.listen(store.database.engine, "checkout", no_room)
        yield client


def is_a_503(answer: httpx.Response) -> bool:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"].startswith("application/problem+json")
    return "full" in answer.json()["detail"]


def test_a_full_disk_is_a_503_for_videos_and_people(full: httpx.Client, store: Store) -> None:
    videos = [{"video_id": f"n{i}", "author_id": "a", "description": LONG} for i in range(100)]
    people = [{"person_id": f"n{i}", "props": {"x": LONG[:8_000]}} for i in range(100)]
    assert is_a_503(full.post("/api/v1/videos/batch", json=videos))
    assert is_a_503(full.post("/api/v1/people/batch", json=people))
    assert is_a_503(full.put("/api/v1/videos/n0", json={"author_id": "a", "description": LONG}))
    assert is_a_503(full.put("/api/v1/people/n0", json={"props": {"x": LONG[:8_000]}}))
    assert store.catalog.get("n0") is None
    assert store.people.get("n0") is None
    assert full.get("/api/v1/feed", params={"person_id": "7"}).status_code == 200


def test_rejected_events_that_cannot_be_kept_are_told_with_what_is_stored(
    full: httpx.Client, store: Store, event: Callable[..., dict[str, Any]]
) -> None:
    wrong = [event(type="nonsense", props={"x": LONG[:7_000]}) for _ in range(50)]
    answer = full.post("/api/v1/events", json=[event(), event(), *wrong])
    assert is_a_503(answer)
    assert "the 2 right events of the batch are stored" in answer.json()["detail"]
    assert store.events.count() == 2
    assert store.dead_letters.count() == 0


@pytest.mark.parametrize("seen", [LONG, [LONG], {"a": list(range(9_000))}, 10**300])
def test_what_was_seen_is_told_in_200_characters(client: httpx.Client, seen: Any) -> None:
    answer = client.put("/api/v1/videos/new", json={"author_id": "a", "duration_ms": seen})
    assert answer.status_code == 422
    assert 0 < len(str(answer.json()["errors"][0]["seen"])) <= 200
    assert len(answer.content) < 3_000


def test_a_field_with_a_long_name_is_told_in_200_characters(client: httpx.Client) -> None:
    answer = client.put("/api/v1/videos/new", json={"author_id": "a", "y" * 100_000: 1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "y" * 200
    assert len(answer.content) < 6_000
