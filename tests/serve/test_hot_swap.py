from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from small_catalogue import NOW_MS, VIDEOS, feed, video_ids

from zhiliu.artifact import new_artifact
from zhiliu.settings import Settings
from zhiliu.store import Store


def write_artifact(settings: Settings, number: int) -> Path:
    """Only popularity: a video's rank turns round with every artifact."""
    with new_artifact(settings.artifacts, created_ms=NOW_MS + number) as writer:
        writer.json("video_ids", [f"v{i}" for i in range(VIDEOS)])
        order = np.arange(VIDEOS, dtype=np.float32)
        writer.array("popularity", order if number % 2 else order[::-1].copy())
        writer.facts["metrics"] = {"number": number}
    assert writer.artifact is not None
    return writer.artifact.path


def until(client: httpx.Client, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The ``/models`` answer once it satisfies ``done``."""
    for _ in range(300):
        told: dict[str, Any] = client.get("/api/v1/models").json()
        if done(told):
            return told
        time.sleep(0.05)
    raise AssertionError(f"never came: {told}")


class Reader(threading.Thread):
    """Asks for pages without pause."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.stop = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.models: Counter[str] = Counter()
        self.error = ""

    def run(self) -> None:
        with httpx.Client(base_url=self.address) as client:
            while not self.stop.is_set():
                try:
                    answer = client.get("/api/v1/feed", params={"person_id": "7"})
                except httpx.HTTPError as error:
                    self.error = repr(error)
                    return
                self.statuses[answer.status_code] += 1
                self.models[answer.json().get("model", "?")] += 1


def test_no_request_fails_while_three_artifacts_are_swapped_in(
    client: httpx.Client, settings: Settings
) -> None:
    readers = [Reader(str(client.base_url)) for _ in range(3)]
    for reader in readers:
        reader.start()
    versions = []
    for number in range(3):
        version = write_artifact(settings, number).name
        versions.append(version)
        until(client, lambda told, version=version: told["live"] == version)  # type: ignore[misc]
        assert feed(client)["model"] == version
    for reader in readers:
        reader.stop.set()
        reader.join()
    assert [reader.error for reader in readers] == ["", "", ""]
    assert all(set(reader.statuses) == {200} for reader in readers)
    assert set().union(*(reader.models for reader in readers)) <= {"", *versions}


def test_a_damaged_artifact_is_refused_by_name_and_the_old_one_stays(
    client: httpx.Client, settings: Settings
) -> None:
    good = write_artifact(settings, 0).name
    until(client, lambda told: told["live"] == good)
    scratch = settings.model_copy(update={"workspace": settings.workspace.parent / "elsewhere"})
    bad = write_artifact(scratch, 1)
    damaged = bytearray((bad / "popularity.npy").read_bytes())
    damaged[-1] ^= 0xFF
    (bad / "popularity.npy").write_bytes(damaged)
    bad.rename(settings.artifacts / bad.name)
    told = until(client, lambda told: any(model["state"] == "refused" for model in told["models"]))
    states = {model["version"]: model for model in told["models"]}
    assert states[bad.name]["state"] == "refused"
    assert "popularity.npy" in states[bad.name]["reason"]
    assert states[good]["state"] == "live"
    assert states[good]["metrics"] == {"number": 0}
    assert feed(client)["model"] == good
    better = write_artifact(settings, 2).name
    until(client, lambda told: told["live"] == better)


def test_a_manifest_of_another_shape_is_refused_and_the_list_of_models_stays(
    client: httpx.Client, settings: Settings
) -> None:
    foreign = settings.artifacts / "20990101T000000000Z-01234567"
    foreign.mkdir(parents=True)
    (foreign / "manifest.json").write_text("[1]", "utf-8")
    told = until(client, lambda told: any(model["state"] == "refused" for model in told["models"]))
    assert "not a schema 1 manifest" in told["models"][0]["reason"]


def test_a_folder_without_a_manifest_is_no_artifact(client: httpx.Client, settings: Settings) -> None:
    (settings.artifacts / "20990101T000000000Z-half").mkdir(parents=True)
    good = write_artifact(settings, 0).name
    assert until(client, lambda told: told["live"] == good)["models"][0]["version"] == good


def test_a_cursor_goes_on_without_repeats_after_a_swap(client: httpx.Client, settings: Settings) -> None:
    first = feed(client, limit=20)
    version = write_artifact(settings, 0).name
    until(client, lambda told: told["live"] == version)
    second = feed(client, limit=50, cursor=first["next_cursor"])
    assert second["model"] == version
    assert not set(video_ids(first)) & set(video_ids(second))
    assert len(second["items"]) == VIDEOS - 20


def test_events_go_on_counting_after_a_swap(
    client: httpx.Client, settings: Settings, store: Store, event: Any
) -> None:
    first = video_ids(feed(client))[0]
    client.post("/api/v1/events", json=[event(type="hide", video_id=first)])
    version = write_artifact(settings, 0).name
    until(client, lambda told: told["live"] == version)
    assert first not in video_ids(feed(client, limit=50))
    assert store.counts()["events"] == 1
