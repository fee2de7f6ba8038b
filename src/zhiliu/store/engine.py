"""How connections are made, and who may write when.

SQLite: WAL, ``synchronous=FULL`` (a commit that returned survives a power cut), one writer at a time.
Only Python's own SQLite library may open the file while this process has it open. A second copy of the
library in one process (ADBC brings one) cannot see the first one's POSIX locks: closing its connection
deletes the WAL under the first one's feet, and commits that were acknowledged are gone. ``bulk`` and
``snapshot`` therefore hand data over in a separate file.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from zhiliu.store.errors import StoreOpenError, StoreReadError, StoreWriteError

BUSY_TIMEOUT_MS = 30_000
"""How long a write waits for another *process* that is writing."""
BUSY_WAIT_MS = 20
CHECKPOINT_PAGES = 8_000
"""WAL pages (32 MB) before they move into the file; small: more fsyncs, large: slower reads, more disk."""
PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA mmap_size=268435456",
    "PRAGMA cache_size=-32768",
    f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
    "PRAGMA journal_size_limit=67108864",
)


class Turn:
    """A lock that is handed over in the order of asking.

    The log's writer thread takes it back at once after every commit; with a plain lock everybody else who
    writes (catalogue, decisions) would starve while the log is busy.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._owner: threading.Lock | None = None

    def __enter__(self) -> None:
        mine = threading.Lock()
        mine.acquire()
        try:
            with self._guard:
                if self._owner is None:
                    self._owner = mine
                    return
                self._waiting.append(mine)
            mine.acquire()  # released by the one before us
        except BaseException:  # Ctrl-C while waiting: without this nobody would pass the turn on
            with self._guard:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                owned = self._owner is mine
            if owned:
                self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        with self._guard:
            self._owner = self._waiting.popleft() if self._waiting else None
            if self._owner is not None:
                self._owner.release()


def connect_sqlite(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        for pragma in PRAGMAS:
            set_patiently(connection, pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def set_patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """Set it, waiting while another process opens the same new file.

    The step into WAL needs the file for itself, and SQLite gives up on it at once instead of waiting for
    ``busy_timeout``.
    """
    for _ in range(BUSY_TIMEOUT_MS // BUSY_WAIT_MS):
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(BUSY_WAIT_MS / 1000)
        else:
            return
    connection.execute(pragma)


class Database:
    """The engine of one store with its transactions: ``read()`` sees one moment, ``write()`` is all or nothing."""

    def __init__(self, url: str) -> None:
        """Raises :class:`StoreOpenError` for a URL that is neither SQLite in a file nor PostgreSQL."""
        self.url = parse_url(url)
        self.turn = Turn()
        self.path: Path | None = None
        if self.url.get_backend_name() == "sqlite":
            self.path = path = Path(str(self.url.database)).absolute()
            self.engine = sa.create_engine(
                "sqlite://", creator=lambda: connect_sqlite(path), poolclass=sa.QueuePool, max_overflow=20
            )
            sa.event.listen(self.engine, "begin", begin_sqlite)
        else:
            self.engine = sa.create_engine(self.url, pool_pre_ping=True, max_overflow=20)

    @property
    def is_sqlite(self) -> bool:
        """SQLite, not PostgreSQL."""
        return self.path is not None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent moment of the database, whatever is written meanwhile.

        Raises:
            StoreReadError: damaged, unreadable or gone; names the file or server.

        """
        level: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        try:
            with self.engine.connect().execution_options(**level) as connection, connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            where = self.path or self.url.render_as_string(hide_password=True)
            what = "restore the file from a copy" if self.path else "is the server running?"
            said = " ".join(str(error.orig).split())
            raise StoreReadError(f"cannot read the store {where}: {said}; {what}") from error

    @contextmanager
    def write(self, serial: int | None = None) -> Iterator[sa.Connection]:
        """A transaction that commits when the block ends and leaves nothing behind when it raises.

        ``serial`` names a PostgreSQL advisory lock for what only one replica may do at a time; on SQLite
        every write is such.

        Raises:
            StoreWriteError: the database refused.

        """
        try:
            if self.is_sqlite:
                writing = self.engine.execution_options(zhiliu_write=True)
                with self.turn, writing.begin() as connection:
                    yield connection
            else:
                with self.engine.begin() as connection:
                    if serial is not None:
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(serial)))
                    yield connection
        except sa.exc.DBAPIError as error:
            raise StoreWriteError(f"the database refused the write: {error.orig}") from error

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def parse_url(url: str) -> URL:
    """Check a store URL and choose its driver."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise StoreOpenError(f"store.url {url!r} is not a URL; use {EXAMPLES}") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreOpenError(f"store.url {url!r} names no file; use sqlite:///FOLDER/zhiliu.db")
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreOpenError(f"store.url starts with {backend!r}; use {EXAMPLES}")


EXAMPLES = "sqlite:///FOLDER/zhiliu.db or postgresql://USER:PASSWORD@HOST/DATABASE"


def begin_sqlite(connection: sa.Connection) -> None:
    """Writers ask for the write lock at once: a reader that turns writer half-way would be refused."""
    write = connection.get_execution_options().get("zhiliu_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
