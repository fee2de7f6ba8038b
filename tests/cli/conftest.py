from __future__ import annotations

from pathlib import Path

import pytest
from command_answer import Answer, Zhiliu

from zhiliu.cli.app import run
from zhiliu.store import open_store
from zhiliu.types import Video


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace that knows videos v0 … v9."""
    folder = tmp_path / "work"
    with open_store(f"sqlite:///{folder}/zhiliu.db") as store:
        store.catalog.put(Video(video_id=f"v{i}", author_id="a") for i in range(10))
    return folder


@pytest.fixture
def zhiliu(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Zhiliu:
    """Run a command on the workspace."""

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        code = run([*map(str, arguments), "--workspace", str(workspace)])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call
