"""All SQL: tables, migrations, the event log, the decision log, bulk paths. Start at :func:`open_store`."""

from zhiliu.store.dead_letters import DeadLetter, DeadLetters
from zhiliu.store.decisions import DecisionLog
from zhiliu.store.errors import (
    BulkError,
    LogBusyError,
    LogClosedError,
    LogWriteError,
    StoreError,
    StoreOpenError,
    StoreReadError,
    StoreWriteError,
)
from zhiliu.store.event_log import CommitListener, GroupCommitLog
from zhiliu.store.store import Store, open_store

__all__ = [
    "BulkError",
    "CommitListener",
    "DeadLetter",
    "DeadLetters",
    "DecisionLog",
    "GroupCommitLog",
    "LogBusyError",
    "LogClosedError",
    "LogWriteError",
    "Store",
    "StoreError",
    "StoreOpenError",
    "StoreReadError",
    "StoreWriteError",
    "open_store",
]
