"""``zhiliu doctor``: whether this machine and this workspace are in order."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from zhiliu.settings import Settings

ENOUGH_BYTES = 200 << 20
"""Less free disk than this and a log in use soon stops taking events."""
OLDEST_SQLITE = (3, 35, 0)
"""The first with RETURNING."""
FSYNCS = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str


class UnwellError(Exception):
    """A check failed; the message says what to do."""


def command(context: typer.Context) -> int:
    """Check Python, SQLite, disk, settings, store and artifacts. Exit code 1 when something is broken."""
    from zhiliu.cli.workspace import settings_of, tell
    from zhiliu.settings import SettingsError

    checks = [Check("python", ok=True, detail=sys.version.split()[0]), _try("sqlite", _sqlite)]
    try:
        settings = settings_of(context)
        checks.append(Check("settings", ok=True, detail=f"workspace {settings.workspace}"))
    except SettingsError as error:
        checks.append(Check("settings", ok=False, detail=str(error)))
    else:
        checks += _workspace(settings)
    well = all(check.ok for check in checks)
    text = "\n".join(f"{'ok  好' if c.ok else 'BROKEN 坏'}  {c.name}: {c.detail}" for c in checks)
    tell(context, {"ok": well, "checks": [asdict(check) for check in checks]}, text)
    if not well:
        broken = ", ".join(check.name for check in checks if not check.ok)
        typer.echo(f"zhiliu: not in order: {broken}; each line of the report says what to do", err=True)
    return 0 if well else 1


def _workspace(settings: Settings) -> Iterator[Check]:
    there = next(p for p in (settings.workspace, *settings.workspace.absolute().parents) if p.is_dir())
    yield _try("disk", lambda: _disk(there))
    yield _try("fsync", lambda: _fsync(there))
    yield _try("wal", lambda: _wal(there))
    yield _try("store", lambda: _store(settings))
    yield from _artifacts(settings.artifacts)


def _try(name: str, look: Callable[[], str]) -> Check:
    """A check that fails must not hide the others."""
    from zhiliu.cli.errors import in_one_line

    try:
        return Check(name, ok=True, detail=look())
    except Exception as error:
        return Check(name, ok=False, detail=in_one_line(error))


def _sqlite() -> str:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise UnwellError(
            f"{sqlite3.sqlite_version} is too old; a Python with SQLite 3.35 or newer is needed"
        )
    return sqlite3.sqlite_version


def _disk(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_BYTES:
        raise UnwellError(f"{free >> 20} MiB free at {folder}; free at least {ENOUGH_BYTES >> 20} MiB")
    return f"{free / 2**30:.1f} GiB free"


def _fsync(folder: Path) -> str:
    """Every acknowledged batch of events waits for one of these."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(FSYNCS):
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        spent_ms = (time.perf_counter() - start) * 1000 / FSYNCS
    return f"{spent_ms:.2f} ms"


def _wal(folder: Path) -> str:
    """Network file systems often cannot do write-ahead logging."""
    from zhiliu.store import open_store

    with tempfile.TemporaryDirectory(dir=folder) as probe, open_store(f"sqlite:///{probe}/probe.db"):
        if not Path(probe, "probe.db-wal").exists():
            raise UnwellError(f"write-ahead logging does not work at {folder}; use a local disk")
    return "write-ahead logging works"


def _store(settings: Settings) -> str:
    from zhiliu.cli.workspace import store_of
    from zhiliu.store.schema import current_revision

    with store_of(settings) as store, store.database.read() as connection:
        return f"revision {current_revision(connection)}, {store.counts()['events']:,} events"


def _artifacts(root: Path) -> Iterator[Check]:
    from zhiliu.artifact import versions

    found = versions(root)
    if not found:
        yield Check("artifacts", ok=True, detail="none yet")
    for path in found:
        yield _try(f"artifact {path.name}", partial(_whole, path))


def _whole(path: Path) -> str:
    from zhiliu.artifact import open_artifact

    return f"{len(open_artifact(path).manifest['files'])} files whole"
