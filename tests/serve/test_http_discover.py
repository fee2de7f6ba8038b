"""The discover page knows nobody; the tab of a request is not its page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhiliu.serve.app import create_app
from zhiliu.settings import ServeSettings, Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.server import serving
from zhiliu.testing.synthetic import synthetic_log
from zhiliu.train.bundle import Order, train
from zhiliu.types import Event

LOG = synthetic_log(people=12, impressions=400)
NOW_MS = max(event.time for event in LOG.events) + 60_000
PEOPLE = ("p1", "p2")


def unwatched(event: Event) -> bool:
    """Both of PEOPLE are to have seen the same: only what they did elsewhere tells them apart."""
    return event.person not in PEOPLE


@pytest.fixture(scope="module", params=["multitask", "cf"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ranker that reads past and profile, and one that knows people by id, trained on everybody's past."""
    folder = tmp_path_factory.mktemp(str(request.param))
    with open_store(f"sqlite:///{folder / 'zhiliu.db'}") as store:
        store.catalog.put(LOG.videos)
        store.people.put(LOG.people)
        store.events.append(LOG.events)
        store.snapshot(folder / "snapshot")
    order = Order(ranker=str(request.param), retrieval=(), until_ms=NOW_MS, epochs=1)
    train(folder / "snapshot", folder / "artifacts", order, created_ms=NOW_MS)
    return folder


@pytest.fixture
def served(workspace: Path, tmp_path: Path) -> Iterator[tuple[httpx.Client, Store]]:
    """Of the trained workspace's artifact, with the log of all but PEOPLE, who follow different authors."""
    with open_store(f"sqlite:///{tmp_path / 'zhiliu.db'}") as store:
        store.catalog.put(LOG.videos)
        store.people.put(LOG.people)
        store.events.append([event for event in LOG.events if unwatched(event)])
        (tmp_path / "artifacts").symlink_to(workspace / "artifacts")
        settings = Settings(workspace=tmp_path, serve=ServeSettings(start_ms=NOW_MS))
        with serving(create_app(settings, store)) as address, httpx.Client(base_url=address) as client:
            watched = [
                {"event_id": f"{p}{i}{kind}", "type": kind, "person_id": p, "video_id": f"v{i}",
                 "time": NOW_MS - 50_000 + i, "request_id": f"{p}{i}", "watch_ms": 90_000 if kind == "view" else None}
                for p in PEOPLE for i in range(6) for kind in ("impression", "view")
                if kind == "impression" or (p == "p1") == (i < 3)
            ]  # fmt: skip
            told = client.post("/api/v1/events", json=[{k: v for k, v in e.items() if v} for e in watched])
            assert told.json()["rejected"] == []
            yield client, store


def page(client: httpx.Client, person: str, **query: Any) -> Any:
    answer = client.get("/api/v1/feed", params={"person_id": person, "limit": 50} | query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]
    return answer.json()


def decided(store: Store, request_id: str) -> Any:
    for _ in range(300):  # written after the answer
        if (found := store.decisions.get(request_id)) is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("never written")


def scores(decision: Any) -> dict[str, float]:
    return {item.video_id: item.score for item in decision.items}


def test_two_people_on_discover_get_the_same_scores_and_are_known_to_the_log_alone(
    served: tuple[httpx.Client, Store],
) -> None:
    client, store = served
    asked = [page(client, person, surface="discover") for person in PEOPLE]
    one, other = (decided(store, told["request_id"]) for told in asked)
    assert scores(one) == pytest.approx(scores(other), rel=1e-5)
    assert (one.person, other.person) == PEOPLE
    assert (one.mode, one.surface, one.context["mode"]) == ("nonprofiled", "discover", "nonprofiled")
    personal = [decided(store, page(client, person)["request_id"]) for person in PEOPLE]
    assert [decision.mode for decision in personal] == ["personal"] * 2
    mine, theirs = map(scores, personal)
    assert any(mine[video] != pytest.approx(theirs[video], rel=1e-5) for video in mine if video in theirs)
    told = [
        client.get(f"/api/v1/feed/{answer['request_id']}/{min(set(scores(one)))}/why").json()["attributions"]
        for answer in asked
    ]
    assert [{a["feature"]: pytest.approx(a["effect"], abs=1e-4) for a in told[0]}] == [
        {a["feature"]: a["effect"] for a in told[1]}
    ]


def test_a_tab_is_kept_beside_the_page_and_never_changes_its_rules(
    served: tuple[httpx.Client, Store], workspace: Path
) -> None:
    client, store = served
    decision = decided(store, page(client, "p1", tab="following")["request_id"])
    assert (decision.surface, decision.context["tab"]) == ("for_you", "following")
    assert decision.items
    here = scores(decided(store, page(client, "p1", tab="tab9")["request_id"]))
    plain = scores(decided(store, page(client, "p1")["request_id"]))
    reads_surface = "multitask" in workspace.name
    assert (here != pytest.approx(plain, rel=1e-5)) is reads_surface
