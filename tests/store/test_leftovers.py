"""What a killed process left behind goes at the next start of the same work; nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from zhiliu.store import open_store
from zhiliu.store.leftovers import sweep
from zhiliu.testing.store_contracts import START_MS


def dead() -> int:
    """Process id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def folder(parent: Path, name: str) -> Path:
    """A working folder with a file in it."""
    made = parent / name
    made.mkdir()
    (made / "half").write_bytes(b"x")
    return made


def test_bulk_loads_and_snapshots_sweep_what_dead_processes_left(tmp_path: Path) -> None:
    pid = dead()
    bulk, shot = folder(tmp_path, f".bulk-{pid}-abc"), folder(tmp_path, f".snap-{pid}-abc-old")
    kept = [
        folder(tmp_path, f".bulk-{os.getpid()}-abc"), folder(tmp_path, f".snap-{os.getppid()}-abc"),
        folder(tmp_path, ".bulk-of-mine"), folder(tmp_path, f"bulk-{pid}-abc"),
    ]  # fmt: skip
    frame = pl.DataFrame({"event_id": ["a"], "type": ["search"], "time": [START_MS], "person_id": ["p"]})
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        store.bulk_events(frame)
        assert not bulk.exists()
        assert shot.exists(), "another kind of work"
        store.snapshot(tmp_path / "snap")
    assert not shot.exists()
    assert all((one / "half").exists() for one in kept)


def test_a_staged_artifact_of_a_dead_process_is_found_by_its_second_number(tmp_path: Path) -> None:
    pid = dead()
    stale, alive = (
        folder(tmp_path, f".staging-{START_MS}-{pid}"),
        folder(tmp_path, f".staging-{pid}-{os.getpid()}"),
    )
    sweep(tmp_path, ".staging-", place=1)
    assert not stale.exists()
    assert alive.exists()
    sweep(tmp_path / "nowhere", ".staging-")
