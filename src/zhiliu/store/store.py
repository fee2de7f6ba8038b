"""The store as the rest of Zhiliu sees it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import sqlalchemy as sa

from zhiliu.store.catalog import StoredCatalog
from zhiliu.store.changes import count_change
from zhiliu.store.dead_letters import DeadLetters
from zhiliu.store.decisions import DecisionLog
from zhiliu.store.engine import Database
from zhiliu.store.errors import StoreOpenError, StoreWriteError
from zhiliu.store.event_log import Appender, GroupCommitLog
from zhiliu.store.offsets import ConsumerOffsets
from zhiliu.store.people import StoredPeople
from zhiliu.store.postgres_log import PostgresAppender
from zhiliu.store.schema import upgrade
from zhiliu.store.sqlite_log import SqliteAppender
from zhiliu.types import Receipt


class Store:
    """Everything that is kept. Close it, or use it in a ``with`` block: what is queued is written then."""

    def __init__(self, database: Database, *, commit_queue: int) -> None:
        self.database = database
        appender: Appender
        if database.path is not None:
            appender = SqliteAppender(database.path, database.turn)
        else:
            appender = PostgresAppender(database.url)
        self.events = GroupCommitLog(database, appender, commit_queue=commit_queue)
        self.catalog = StoredCatalog(database)
        self.people = StoredPeople(database)
        self.decisions = DecisionLog(database)
        self.dead_letters = DeadLetters(database)
        self.offsets = ConsumerOffsets(database)

    def counts(self) -> dict[str, int]:
        """Rows of each kind; deleted videos do not count."""
        return {
            "events": self.events.count(),
            "people": self.people.count(),
            "videos": self.catalog.count(),
            "decisions": self.decisions.count(),
            "dead_letters": self.dead_letters.count(),
        }

    def bulk_events(self, frame: pl.DataFrame) -> Receipt:
        """Append a frame with the columns of :class:`zhiliu.types.Event` (``props`` as JSON text), in its order.

        All or nothing; a repeated ``event_id`` is counted, not stored. Commit listeners are not told.

        Raises:
            BulkError: a column is unknown, missing or of the wrong kind, or a value cannot be stored.
            StoreWriteError: the database refused.

        """
        from zhiliu.store.bulk import load_events  # ADBC and pyarrow: a server that starts needs neither

        return load_events(self.database, frame)

    def bulk_videos(self, frame: pl.DataFrame) -> Receipt:
        """Insert or replace videos: columns of :class:`zhiliu.types.Video`, ``tags`` List[str], ``props`` JSON text.

        New ones get row numbers in frame order; of equal ids the last counts, the others are ``duplicates``.
        Raises as :meth:`bulk_events`.
        """
        from zhiliu.store.bulk import load_videos

        receipt = load_videos(self.database, frame)
        with self.database.write() as connection:
            count_change(connection)
        return receipt

    def bulk_people(self, frame: pl.DataFrame) -> Receipt:
        """As :meth:`bulk_videos`, with the columns of :class:`zhiliu.types.Person`."""
        from zhiliu.store.bulk import load_people

        return load_people(self.database, frame)

    def snapshot(self, out: Path, until_ms: int | None = None) -> dict[str, Any]:
        """Write one consistent moment to ``out`` as Parquet; see :mod:`zhiliu.store.snapshot`."""
        from zhiliu.store.snapshot import write_snapshot

        return write_snapshot(self.database, out, until_ms)

    def close(self) -> None:
        """Write what is queued, stop the writer, close connections. Safe to call twice."""
        self.events.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, *, commit_queue: int = 50_000) -> Store:
    """Open a store and bring its schema up to date; a missing SQLite file and its folder are made.

    ``commit_queue``: events that may wait for the writer before batches are refused.

    Raises:
        StoreOpenError: wrong URL, no permission, not a database, not reachable, or of a newer version.

    """
    database = Database(url)
    try:
        if database.path is not None:
            database.path.parent.mkdir(parents=True, exist_ok=True)
        upgrade(database)
    except StoreWriteError as error:
        database.close()
        raise StoreOpenError(refusal(database, error.__cause__ or error)) from error
    except (OSError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        database.close()
        raise StoreOpenError(refusal(database, error)) from error
    except StoreOpenError:
        database.close()
        raise
    return Store(database, commit_queue=commit_queue)


def refusal(database: Database, error: BaseException) -> str:
    """One line: which file or server, what the database said, what to do."""
    said = getattr(error, "orig", None) or error
    text = getattr(said, "strerror", None) or " ".join(str(said).split())
    if database.path is None:
        return f"cannot open the store {shown(database)}: {text}; is the server running and store.url right?"
    return (
        f"cannot open the store {database.path}: {text}; restore the file from a copy, "
        "give this user the right to read and write it, or set store.url to another one"
    )


def shown(database: Database) -> str:
    """The URL without its password."""
    return database.url.render_as_string(hide_password=True)
