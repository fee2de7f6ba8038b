"""What was acknowledged is there, once, whatever happened in between."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest

from zhiliu.store import LogWriteError, Store, StoreWriteError, open_store
from zhiliu.testing.store_contracts import START_MS, event
from zhiliu.types import Video

WRITER = """
import itertools, os, sys, threading
from zhiliu.store import open_store
from zhiliu.testing.store_contracts import event
store = open_store(sys.argv[1])
os.write(1, b"ready\\n")

def write(thread):
    for n in itertools.count():
        batch = f"{sys.argv[2]}:{thread}:{n}"
        store.events.append([event(f"{batch}:{i}") for i in range(7)])
        os.write(1, f"{batch}\\n".encode())

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def acknowledged_before_kill(url: str, cycle: int, after_s: float) -> list[str]:
    """Batches whose receipt had arrived when the writer was killed with SIGKILL."""
    with subprocess.Popen([sys.executable, "-c", WRITER, url, str(cycle)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        return writer.stdout.read().decode().rpartition("\n")[0].split()


def kill_cycles(tmp_path: Path, cycles: int) -> None:
    path, rng = tmp_path / "zhiliu.db", random.Random(cycles)
    sent: dict[str, int] = {}
    for cycle in range(cycles):
        batches = acknowledged_before_kill(f"sqlite:///{path}", cycle, rng.uniform(0.02, 0.25))
        assert batches, "nothing was acknowledged: the cycle proves nothing"
        sent |= {f"{batch}:{i}": 1 for batch in batches for i in range(7)}
        with open_store(f"sqlite:///{path}") as store:
            store.events.append([event(f"after kill {cycle}")])
    found = sqlite3.connect(path)
    assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    times = dict(found.execute("SELECT event_id, count(*) FROM events GROUP BY event_id"))
    found.close()
    assert {name: times.get(name, 0) for name in sent} == sent
    assert set(times.values()) == {1}
    print(f"{cycles} kills, {len(sent)} acknowledged events, {len(times)} stored")


def test_five_kills_lose_and_double_no_acknowledged_event(tmp_path: Path) -> None:
    kill_cycles(tmp_path, 5)


@pytest.mark.slow
def test_a_hundred_kills_lose_and_double_no_acknowledged_event(tmp_path: Path) -> None:
    kill_cycles(tmp_path, 100)


LOADER = """
import sys, polars as pl
from zhiliu.store import open_store
rows = 150_000
frame = pl.DataFrame({"event_id": pl.int_range(rows, eager=True).cast(pl.String)}).with_columns(
    type=pl.lit("view"), time=pl.lit(1_650_000_000_000), person_id=pl.col("event_id").str.head(2))
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    store.bulk_events(frame)
    print("done", flush=True)
"""


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.3])
def test_a_killed_bulk_load_has_stored_everything_or_nothing(tmp_path: Path, after_s: float) -> None:
    url = f"sqlite:///{tmp_path}/zhiliu.db"
    with open_store(url) as store:
        store.events.append([event("before")])
    with subprocess.Popen([sys.executable, "-c", LOADER, url], stdout=subprocess.PIPE) as loader:
        assert loader.stdout is not None
        assert loader.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        loader.send_signal(signal.SIGKILL)
        done = loader.stdout.read() == b"done\n"
    with open_store(url) as store:
        assert store.events.count() in ({150_001} if done else {1, 150_001})
        assert len(store.events.history("p1", START_MS + 1, 10)) == 1
        assert store.events.append([event("after")]).accepted == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root; the limit of pages below covers the same path")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def take_all_space(path: Path) -> None:
    """A file of as many bytes as there are left."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def fill(store: Store) -> int:
    """Append until the disk is full: the number of events acknowledged."""
    acknowledged = 0
    while True:
        try:
            store.events.append(
                [event(f"fill:{acknowledged + i}", props={"text": "x" * 500}) for i in range(50)]
            )
        except LogWriteError:
            return acknowledged
        acknowledged += 50


def test_a_full_disk_acknowledges_nothing_and_works_again_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 2_000_000)
    with open_store(f"sqlite:///{small_disk}/zhiliu.db") as store:
        acknowledged = fill(store)
        waiting = [store.events.submit([event(f"waiting:{i}")]) for i in range(3)]
        for future in waiting:
            with pytest.raises(LogWriteError, match="nothing was written"):
                future.result(30)
        assert store.events.count() == acknowledged
        assert len(store.events.history("p1", START_MS + 1, 10)) == 10
        with pytest.raises(StoreWriteError):
            store.catalog.put([Video(video_id=f"v{i}", author_id="a", title="x" * 5000) for i in range(500)])
        ballast.unlink()
        assert store.events.append([event("waiting:0"), event("fill:0")]).accepted == 1
        assert store.events.count() == acknowledged + 1
        assert store.catalog.count() == 0
    with sqlite3.connect(small_disk / "zhiliu.db") as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found.close()


def test_a_full_disk_leaves_no_half_of_a_bulk_load_or_a_snapshot(small_disk: Path) -> None:
    rows = 20_000
    frame = pl.DataFrame({
        "event_id": [f"e{i}" for i in range(rows)], "type": ["view"] * rows, "time": [START_MS] * rows,
        "person_id": ["p"] * rows, "props": ['{"text":"' + "x" * 400 + '"}'] * rows,
    })  # fmt: skip
    with open_store(f"sqlite:///{small_disk}/zhiliu.db") as store:
        store.events.append([event("a")])
        for enough in (20_000, 7_000):  # more than the staging file holds, and than the store does
            with pytest.raises(StoreWriteError, match=r"disk is full.*nothing written"):
                store.bulk_events(frame[:enough])
        assert store.events.count() == 1
        assert store.bulk_events(frame[:1000]).accepted == 1000
        ballast = small_disk / "ballast"
        take_all_space(ballast)
        with pytest.raises(StoreWriteError, match="snapshot"):
            store.snapshot(small_disk / "snapshot")
        ballast.unlink()
        assert store.snapshot(small_disk / "snapshot")["rows"] == 1001
    names = {path.name for path in small_disk.iterdir()}
    assert names == {"zhiliu.db", "snapshot"}


def test_a_limit_of_pages_fails_as_a_full_disk_does(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        store.events.append([event("first")])
        writer = store.events._appender._connection  # type: ignore[attr-defined]
        writer.execute("PRAGMA max_page_count=60")
        acknowledged = fill(store)
        assert store.events.count() == acknowledged + 1
        assert store.events.append([event("room again: a new connection has no limit")]).accepted == 1


def test_events_wait_for_another_process_and_are_not_refused(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        holder = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        holder += (
            "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read(); c.execute('COMMIT')"
        )
        command = [sys.executable, "-c", holder, str(tmp_path / "zhiliu.db")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == b"held\n"
            future = store.events.submit([event("a")])
            assert not future.done()
            other.stdin.close()
            assert future.result(30).accepted == 1


def test_a_lost_server_connection_refuses_one_group_and_the_next_is_taken(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        store.events.append([event("a")])
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(LogWriteError, match="PostgreSQL"):
            store.events.append([event("b")])
        assert store.events.append([event("b"), event("a")]).accepted == 1
        assert [x.event.event_id for x in store.events.read(0, 10)] == ["a", "b"]


def test_a_reader_on_postgres_never_skips_an_offset_that_commits_late(postgres_url: str) -> None:
    with open_store(postgres_url) as one, open_store(postgres_url) as two:
        seen: list[str] = []
        after = 0
        futures = [
            store.events.submit([event(f"{name}:{i}")])
            for i in range(100)
            for name, store in (("1", one), ("2", two))
        ]
        while len(seen) < 200:
            for stored in one.events.read(after, 7):
                seen.append(stored.event.event_id)
                after = stored.offset
            if all(future.done() for future in futures) and not one.events.read(after, 1):
                break
        assert sorted(seen) == sorted(f"{name}:{i}" for name in "12" for i in range(100))
