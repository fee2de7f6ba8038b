"""A real server on a loopback port with a small catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_catalogue import NOW_MS, videos

from zhiliu.serve.app import create_app
from zhiliu.settings import ServeSettings, Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.server import serving
from zhiliu.types import Person


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
