"""Old databases keep their rows; the models say what the migrations build."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from zhiliu.store import Store, StoreOpenError, open_store
from zhiliu.store.decisions import DecisionLog
from zhiliu.store.engine import Database
from zhiliu.store.schema import HEAD, MIGRATIONS, current_revision, upgrade
from zhiliu.store.tables import metadata

FIRST = "0001"
ROWS: dict[str, dict[str, Any]] = {
    "events": {"event_id": "e", "type": "view", "time": 2**41, "person": "p", "has_account": 1, "surface": "for_you"},
    "videos": {
        "row_number": 0, "video_id": "v", "author_id": "a", "title": "t", "description": "", "tags": '["x"]',
        "duration_ms": 1, "language": "zh", "published_ms": 2**41, "kind": "normal", "status": "visible",
    },
    "people": {
        "person_id": "p", "age_band": "", "gender": "f", "occupation": "", "language": "", "activity": "",
        "follow_count": 1, "fan_count": 2, "friend_count": 3, "registered_ms": 2**41,
    },
    "decisions": {
        "request_id": "r", "person": "p", "time_ms": 2**41, "surface": "s", "policy": "g", "model": "m",
        "candidate_hash": "h", "candidate_count": 1, "seed": 1, "mode": "personal", "failed": "[]",
    },
    "decision_items": {
        "request_id": "r", "slot": 0, "video_id": "v", "score": 0.5, "propensity": 1.0, "sources": "[]",
        "heads": "{}",
    },
    "dead_letters": {"received_ms": 2**41, "field": "f", "reason": "r", "body": "{}"},
    "consumer_offsets": {"consumer": "live", "log_offset": 1},
}  # fmt: skip


def rows_of(database: Database, table: str) -> list[tuple[Any, ...]]:
    names = ",".join(ROWS[table])
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {names} FROM {table}"))]


def test_a_database_of_the_first_revision_keeps_its_rows(store_url: str) -> None:
    database = Database(store_url.replace("/store/", "/"))
    upgrade(database, FIRST)
    with database.write() as connection:
        for table, row in ROWS.items():
            values = ",".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({','.join(row)}) VALUES ({values})"), row)
    upgrade(database)
    assert {table: rows_of(database, table) for table in ROWS} == {
        table: [tuple(row.values())] for table, row in ROWS.items()
    }
    database.close()


def test_decisions_of_the_first_revision_are_read_with_nothing_where_nothing_was_kept(store_url: str) -> None:
    database = Database(store_url.replace("/store/", "/"))
    upgrade(database, FIRST)
    with database.write() as connection:
        for table in ("decisions", "decision_items"):
            names = ",".join(ROWS[table])
            values = ",".join(f":{name}" for name in ROWS[table])
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), ROWS[table])
    upgrade(database)
    decision = DecisionLog(database).get("r")
    assert decision is not None
    assert (decision.policy, [item.video_id for item in decision.items]) == ("g", ["v"])
    assert (decision.weights, decision.seen_count, decision.seen_hash) == ({}, 0, "")
    database.close()


def test_every_table_of_the_models_is_covered_by_the_test_above() -> None:
    assert set(ROWS) == set(metadata.tables)


def test_the_models_are_what_the_migrations_build(store: Store) -> None:
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_the_newest_file_is_the_head_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD


def test_opening_twice_changes_nothing(store_url: str) -> None:
    with open_store(store_url) as store, store.database.read() as connection:
        first = current_revision(connection)
    with open_store(store_url) as store, store.database.read() as connection:
        assert current_revision(connection) == first


def test_a_database_of_a_newer_version_is_refused(store_url: str) -> None:
    with open_store(store_url) as store, store.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreOpenError, match="schema 9999"):
        open_store(store_url)


def test_three_processes_that_open_a_new_store_at_once_all_succeed(store_url: str) -> None:
    code = "import sys; from zhiliu.store import open_store; open_store(sys.argv[1]).close()"
    openers = [subprocess.Popen([sys.executable, "-c", code, store_url]) for _ in range(3)]
    assert [opener.wait(60) for opener in openers] == [0, 0, 0]
