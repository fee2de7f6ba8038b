"""The first day of an empty workspace, over HTTP alone, with a restart in the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from zhiliu.testing.server import ServerProcess

NOW_MS = 1_790_000_000_000
CLOCK = {"ZHILIU_SERVE__START_MS": str(NOW_MS)}


def page(client: httpx.Client, **query: Any) -> list[str]:
    answer = client.get("/api/v1/feed", params={"person_id": "ada", "limit": 50} | query)
    answer.raise_for_status()
    return [item["video"]["video_id"] for item in answer.json()["items"]]


def say(client: httpx.Client, kind: str, video_id: str, number: int, **more: Any) -> None:
    event = {
        "event_id": f"e{number}",
        "type": kind,
        "person_id": "ada",
        "video_id": video_id,
        "time": NOW_MS - 60_000 + number,
    }
    told = client.post("/api/v1/events", json=[event | more]).json()
    assert (told["accepted"], told["rejected"]) == (1, [])


def test_an_empty_workspace_becomes_a_personal_feed_that_survives_a_restart(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    server = ServerProcess(workspace, environment=CLOCK)
    with httpx.Client(base_url=server.address) as client:
        assert page(client) == []
        lessons = [
            {"video_id": f"v{i}", "author_id": f"a{i % 4}", "title": f"Lesson {i}", "tags": [f"t{i % 3}"],
             "duration_ms": 60_000, "published_ms": NOW_MS - 3_600_000 * i}
            for i in range(30)
        ]  # fmt: skip
        assert client.post("/api/v1/videos/batch", json=lessons).json() == {"written": 30}
        client.put("/api/v1/people/ada", json={"language": "en"}).raise_for_status()
        assert len(page(client)) == 30
        say(client, "hide", "v3", 1)
        say(client, "follow", "v5", 2, props={"author_id": "a1"})
        assert "v3" not in page(client)
        assert {int(video_id[1:]) % 4 for video_id in page(client, surface="following")} == {1}
    assert server.stop() == 0
    server = ServerProcess(workspace, environment=CLOCK)
    with httpx.Client(base_url=server.address) as client:
        assert "v3" not in page(client)
        assert {int(video_id[1:]) % 4 for video_id in page(client, surface="following")} == {1}
        assert client.get("/readyz").json()["lag_events"] == 0
    server.kill()
