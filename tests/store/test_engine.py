"""Opening, sharing and protecting the database."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from zhiliu.store import StoreOpenError, StoreReadError, StoreWriteError, open_store
from zhiliu.store.engine import Turn, connect_sqlite
from zhiliu.store.tables import consumer_offsets
from zhiliu.testing.store_contracts import event
from zhiliu.types import Video

KEYS = ("consumer", "log_offset")
APPEND = """
import sys
from zhiliu.store import open_store
from zhiliu.testing.store_contracts import event
with open_store(sys.argv[1]) as store:
    for i in range(40):
        store.events.append([event(f"{sys.argv[2]}:{i}"), event(f"shared:{i}")])
"""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://host/db", "'mysql'"),
        ("not a url", "is not a URL"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot open the store"),
    ],
)
def test_a_wrong_url_is_refused_with_what_would_be_right(url: str, said: str) -> None:
    with pytest.raises(StoreOpenError, match=said):
        open_store(url)


def test_a_password_is_not_shown_in_errors() -> None:
    with pytest.raises(StoreOpenError) as caught:
        open_store("postgresql://nobody:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("do not lose this\n" * 100)
    with pytest.raises(StoreOpenError, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "do not lose this\n" * 100


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/a/b/zhiliu.db") as store:
        assert sum(store.counts().values()) == 0
    assert (tmp_path / "a/b/zhiliu.db").is_file()


def test_every_sqlite_connection_syncs_each_commit_to_a_write_ahead_log(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        store.events.append([event("a")])
        writer = store.events._appender._connection  # type: ignore[attr-defined]
        for connection in (writer, connect_sqlite(tmp_path / "zhiliu.db")):
            values = [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("synchronous", "journal_mode", "foreign_keys")
            ]
            assert values == [2, "wal", 1]
        connection.close()


def test_two_processes_write_one_file_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/zhiliu.db"
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, url, name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with open_store(url) as store:
        ids = [stored.event.event_id for stored in store.events.read(0, 1000)]
    assert sorted(ids) == sorted([f"{name}:{i}" for name in ("a", "b", "shared") for i in range(40)])


def test_another_process_closing_its_connection_leaves_this_ones_log_intact(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/zhiliu.db"
    with open_store(url) as store:
        store.events.append([event("mine")])
        subprocess.run([sys.executable, "-c", APPEND, url, "other"], check=True, timeout=60)
        store.events.append([event("mine too")])
        assert (tmp_path / "zhiliu.db-wal").exists()
    with open_store(url) as store:
        assert store.events.count() == 82


def test_a_snapshot_or_bulk_load_never_touches_the_open_files_locks(tmp_path: Path) -> None:
    import polars as pl

    url = f"sqlite:///{tmp_path}/zhiliu.db"
    with open_store(url) as store:
        store.events.append([event("a")])
        store.snapshot(tmp_path / "snapshot")
        store.bulk_events(
            pl.DataFrame(
                {"event_id": ["b"], "type": ["view"], "time": [1_650_000_000_000], "person_id": ["p"]}
            )
        )
        store.events.append([event("c")])
        seen = subprocess.run(
            [sys.executable, "-c", f"import sqlite3; print(sqlite3.connect({str(tmp_path / 'zhiliu.db')!r})"
             ".execute('SELECT group_concat(event_id) FROM events').fetchone()[0])"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    assert seen.stdout.strip() == "a,b,c"


def test_a_write_that_raises_leaves_nothing_behind(store_url: str) -> None:
    with open_store(store_url) as store:
        twice = [("c", 1), ("c", 2)]
        with pytest.raises(StoreWriteError), store.database.write() as connection:
            connection.execute(
                consumer_offsets.insert(), [dict(zip(KEYS, row, strict=True)) for row in twice]
            )
        assert store.offsets.get("c") == 0


def test_a_catalogue_write_gets_its_turn_while_the_log_is_busy(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        done = threading.Event()

        def flood() -> None:
            i = 0
            while not done.is_set():
                store.events.append([event(f"{threading.get_ident()}:{(i := i + 1)}")])

        threads = [threading.Thread(target=flood) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(20):
            store.catalog.put([Video(video_id=f"v{i}", author_id="a")])
        done.set()
        for thread in threads:
            thread.join()
        assert store.catalog.count() == 20


def test_turns_are_taken_in_the_order_of_asking() -> None:
    turn, order = Turn(), list[int]()

    def take(n: int) -> None:
        with turn:
            order.append(n)

    threads = [threading.Thread(target=take, args=(n,)) for n in range(8)]
    with turn:
        for n, thread in enumerate(threads):
            thread.start()
            while len(turn._waiting) <= n:
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(8))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGUSR1 does what Ctrl-C does; SIGINT itself is ignored in a shell's background jobs."""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_waiting_for_a_turn_leaves_the_turn_to_others() -> None:
    turn, main = Turn(), threading.get_ident()
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with turn:
            holding.set()
            let_go.wait(10)

    def interrupt() -> None:
        while not turn._waiting:
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)

    threads = [threading.Thread(target=hold), threading.Thread(target=interrupt)]
    threads[0].start()
    assert holding.wait(10)
    threads[1].start()
    with pytest.raises(KeyboardInterrupt):
        turn.__enter__()
    let_go.set()
    for thread in threads:
        thread.join()
    with turn:
        assert not turn._waiting


def test_the_database_passes_sqlites_own_check(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/zhiliu.db") as store:
        store.events.append([event(f"e{i}") for i in range(1000)])
    connection = sqlite3.connect(tmp_path / "zhiliu.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_store_that_was_damaged_while_open_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "zhiliu.db"
    with open_store(f"sqlite:///{path}") as store:
        with closing(sqlite3.connect(path)) as vandal:
            vandal.execute("DROP TABLE events")
        with pytest.raises(StoreReadError) as caught:
            store.counts()
    said = str(caught.value)
    assert f"{path}: no such table: events; restore" in said
    assert "SQL" not in said
    assert "\n" not in said
