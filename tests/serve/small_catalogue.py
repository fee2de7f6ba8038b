"""The catalogue of these tests, and how they ask for pages."""

from __future__ import annotations

from typing import Any

import httpx

from zhiliu.types import Video

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


def feed(client: httpx.Client, **query: Any) -> Any:
    answer = client.get("/api/v1/feed", params={"person_id": "7"} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def video_ids(page: Any) -> list[str]:
    return [item["video"]["video_id"] for item in page["items"]]
