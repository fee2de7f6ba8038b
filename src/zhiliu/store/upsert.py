"""Insert or replace by primary key, the same on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from zhiliu.types import Person, Video

CHUNK = 500
"""Ids in one IN (…)."""

T = TypeVar("T", Video, Person)


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write every row; one whose primary key exists replaces it."""
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    kept = table.primary_key.columns.keys()
    replaced = {column.name: statement.excluded[column.name] for column in table.c if column.name not in kept}
    connection.execute(statement.on_conflict_do_update(index_elements=kept, set_=replaced), rows)


def checked(record: T) -> T:
    """The record, if its texts can be stored: PostgreSQL takes no NUL characters, so neither does SQLite here.

    Raises:
        ValueError: names the field.

    """
    for name in record.__struct_fields__:
        value = getattr(record, name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise ValueError(f"{name}: holds a NUL character; remove it")
    return record
