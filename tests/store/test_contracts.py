"""The contract classes on SQLite, on PostgreSQL, and on the slow twin."""

import pytest

from zhiliu.protocols import Catalog, EventLog, People
from zhiliu.store import DecisionLog, Store
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.store_contracts import (
    CatalogContract,
    CommitListenerContract,
    DecisionLogContract,
    EventLogContract,
    PeopleContract,
)


class OnStore:
    @pytest.fixture(autouse=True)
    def opened(self, store: Store) -> None:
        self.store = store


class TestEventLog(OnStore, EventLogContract, CommitListenerContract):
    def make(self) -> EventLog:
        return self.store.events


class TestMemoryLog(EventLogContract, CommitListenerContract):
    def make(self) -> EventLog:
        return MemoryLog()


class TestCatalog(OnStore, CatalogContract):
    def make(self) -> Catalog:
        return self.store.catalog


class TestPeople(OnStore, PeopleContract):
    def make(self) -> People:
        return self.store.people


class TestDecisionLog(OnStore, DecisionLogContract):
    def make(self) -> DecisionLog:
        return self.store.decisions


def test_the_stores_parts_are_what_the_protocols_ask_for(store: Store) -> None:
    assert isinstance(store.events, EventLog)
    assert isinstance(store.catalog, Catalog)
    assert isinstance(store.people, People)
