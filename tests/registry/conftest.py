"""A plug-in as another package would bring it: a folder with a module and the metadata pip writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zhiliu import registry

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install(group, entry, module text)`` puts a package with one entry point on the path."""
    registry.known.cache_clear()

    def put(group: str, entry: str, text: str) -> None:
        module = entry.split("=")[1].split(":")[0].strip()
        (tmp_path / f"{module}.py").write_text(text, "utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n", "utf-8")

    monkeypatch.syspath_prepend(tmp_path)
    yield put
    registry.known.cache_clear()
