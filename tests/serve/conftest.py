"""A real server on a loopback port with a small catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhiliu.serve.app import create_app
from zhiliu.settings import ServeSettings, Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.server import serving
from zhiliu.types import Person, Video

VIDEOS = 60
DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000  # Sep 2026


def videos() -> list[Video]:
    return [
        Video(
            video_id=f"v{i}",
            author_id=f"a{i % 12}",
            title=f"第 {i} 课",
            tags=(f"t{i % 7}", f"t{i % 5}"),
            duration_ms=20_000 + 1000 * i,
            published_ms=NOW_MS - i * DAY_MS,
        )
        for i in range(VIDEOS)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w", serve=ServeSettings(artifact_poll_s=0.1))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.store_url) as opened:
        opened.catalog.put(videos())
        opened.people.put([Person(person_id="7", age_band="18-24")])
        yield opened


@pytest.fixture
def client(settings: Settings, store: Store) -> Iterator[httpx.Client]:
    with serving(create_app(settings, store)) as address, httpx.Client(base_url=address) as opened:
        yield opened


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """A right event; keyword arguments change or (None) remove fields."""
    counter = iter(range(10**9))

    def make(**changes: Any) -> dict[str, Any]:
        one: dict[str, Any] = {
            "event_id": f"e{next(counter)}",
            "type": "impression",
            "person_id": "7",
            "video_id": "v1",
            "time": NOW_MS - 1000,
        } | changes
        return {key: value for key, value in one.items() if value is not None}

    return make


def feed(client: httpx.Client, **query: Any) -> Any:
    answer = client.get("/api/v1/feed", params={"person_id": "7"} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def video_ids(page: Any) -> list[str]:
    return [item["video"]["video_id"] for item in page["items"]]
