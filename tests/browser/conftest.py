"""A real Chromium against a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from markup import XSS
from playwright.sync_api import Browser, Page, sync_playwright

from zhiliu.serve.app import create_app
from zhiliu.settings import ServeSettings, Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.server import serving
from zhiliu.types import Video

ENSURE = Path(__file__).parents[2] / "scripts" / "ensure-chromium.sh"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = subprocess.run([str(ENSURE)], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(found.stderr.strip().splitlines()[-1])
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found.stdout.strip(), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'w' / 'zhiliu.db'}") as opened:
        opened.catalog.put(
            Video(
                video_id=f"{i}",
                author_id=f"{i % 12}" if i % 2 else XSS,
                title=XSS if i % 5 == 0 else f"第 {i} 课" if i % 5 == 1 else "",
                tags=(f"{i % 7}", XSS),
                duration_ms=61_000 + i,
                published_ms=1_790_000_000_000,
            )
            for i in range(45)
        )
        yield opened


@pytest.fixture
def address(tmp_path: Path, store: Store) -> Iterator[str]:
    settings = Settings(workspace=tmp_path / "w", serve=ServeSettings(artifact_poll_s=0.2))
    with serving(create_app(settings, store)) as served:
        yield served


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A phone. The test fails when the page logs an error or asks another origin for anything."""
    context = browser.new_context(viewport={"width": 360, "height": 640}, base_url=address, locale="zh-CN")
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on(
        "request", lambda request: None if request.url.startswith(address) else wrong.append(request.url)
    )
    yield opened
    context.close()
    assert wrong == []
