"""What every command shares: settings of the workspace, its store, logs on stderr, the result on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import typer

from zhiliu.settings import Settings, load
from zhiliu.store import Store, open_store


class WorkspaceError(Exception):
    """There is no workspace here; the message says how to make one."""


def settings_of(context: typer.Context) -> Settings:
    """Settings of ``--workspace``; also sends logs to stderr.

    Raises:
        SettingsError: names each wrong key.

    """
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))  # where stderr is then
    return load(context.obj["workspace"])


def store_of(settings: Settings, *, make: bool = False) -> Store:
    """Open the store of a workspace.

    Raises:
        WorkspaceError: nothing there and not asked to ``make`` it.

    """
    if not make and not settings.store.url and not (settings.workspace / "zhiliu.db").is_file():
        raise WorkspaceError(
            f"no workspace at {settings.workspace}; make one with: zhiliu init {settings.workspace}"
        )
    settings.workspace.mkdir(parents=True, exist_ok=True)
    return open_store(settings.store_url, commit_queue=settings.store.commit_queue)


def tell(context: typer.Context, result: Mapping[str, Any], text: str) -> None:
    """The result of a command: one JSON object with ``--json``, else text for people."""
    sys.stdout.write((json.dumps(result, ensure_ascii=False) if context.obj["json"] else text) + "\n")


def newest_artifact(root: Path) -> str | None:
    """Name of the newest complete artifact."""
    from zhiliu.artifact import versions

    found = versions(root)
    return found[0].name if found else None


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def time_of(text: str, option: str) -> int:
    """ISO time of a command line option → ms UTC.

    Raises:
        typer.BadParameter: not a time, or without an offset from UTC.

    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {text!r} is not an ISO time such as 2022-05-01T00:00+08:00"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{option} {text!r} has no offset from UTC; write for example {text}+08:00")
    return int(moment.astimezone(UTC).timestamp() * 1000)
