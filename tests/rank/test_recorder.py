"""Recorders: contracts on a list and on a real store, and what happens when the store does not take it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from zhiliu.protocols import Recorder
from zhiliu.rank.recorder import MemoryRecorder, StoreRecorder, decision_of
from zhiliu.store import Store, open_store
from zhiliu.testing.component_contracts import RecorderContract, candidates, query
from zhiliu.types import Candidates, Decision, Slate


class TestMemoryRecorder(RecorderContract):
    def make(self, id_of: Callable[[int], str]) -> MemoryRecorder:
        return MemoryRecorder(id_of)

    def recorded(self, recorder: Recorder) -> list[Decision]:
        assert isinstance(recorder, MemoryRecorder)
        return recorder.decisions


class TestStoreRecorder(RecorderContract):
    @pytest.fixture(autouse=True)
    def opened(self, tmp_path: Path) -> Iterator[None]:
        with open_store(f"sqlite:///{tmp_path / 'z.db'}") as self.store:
            self.made: list[StoreRecorder] = []
            yield
            for recorder in self.made:
                recorder.close()

    def make(self, id_of: Callable[[int], str]) -> StoreRecorder:
        self.made.append(StoreRecorder(self.store.decisions, id_of))
        return self.made[-1]

    def recorded(self, recorder: Recorder) -> list[Decision]:
        assert isinstance(recorder, StoreRecorder)
        recorder.flush()
        found = [self.store.decisions.get(request_id) for request_id in ("r1", "r2")]
        return [decision for decision in found if decision is not None]

    def test_a_slate_that_cannot_be_stored_does_not_take_the_others_with_it(self) -> None:
        recorder = self.make(str)
        broken = candidates(2).with_columns({"score": np.array([np.nan, 1], np.float32)})
        for i in range(50):
            recorder.record(query(), self.slate(1, f"good {i}"))
            recorder.record(query(), Slate(request_id=f"bad {i}", items=broken))
        recorder.flush()
        assert (self.store.decisions.count(), recorder.written, recorder.failures) == (50, 50, 50)

    def test_what_was_recorded_before_closing_is_written_and_after_it_is_counted_as_lost(self) -> None:
        recorder = self.make(str)
        for i in range(300):
            recorder.record(query(), self.slate(1, f"r{i}"))
        recorder.close()
        recorder.record(query(), self.slate(1, "late"))
        assert (self.store.decisions.count(), recorder.failures) == (300, 1)


class SlowSink:
    """Holds back until told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.got: list[Decision] = []

    def append(self, batch: Sequence[Decision], /) -> None:
        self.go.wait()
        self.got.extend(batch)


def test_a_decision_can_be_asked_for_before_it_is_written() -> None:
    sink = SlowSink()
    recorder = StoreRecorder(sink, str)
    contract = TestMemoryRecorder()
    for name in ("r1", "r2", "r3"):
        recorder.record(query(request_id=name), contract.slate(2, name))
        found = recorder.pending(name)
        assert found is not None
        assert found.request_id == name
    sink.go.set()
    recorder.flush()
    assert recorder.pending("r1") is None
    recorder.close()
    assert [decision.request_id for decision in sink.got] == ["r1", "r2", "r3"]


def test_recording_does_not_wait_for_a_store_that_hangs_and_what_does_not_fit_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zhiliu.rank.recorder.WAITING", 5)
    sink = SlowSink()
    recorder = StoreRecorder(sink, str)
    for i in range(30):
        recorder.record(query(), TestMemoryRecorder().slate(1, f"r{i}"))
    assert recorder.failures >= 20
    sink.go.set()
    recorder.close()
    assert len(sink.got) + recorder.failures == 30


def test_features_and_propensities_of_the_slate_are_kept(tmp_path: Path) -> None:
    items = Candidates(
        np.array([4, 2], np.int32),
        {
            "score": np.ones(2, np.float32),
            "features": np.array([[1, 2], [3, 4]], np.float32),
            "propensity": np.array([0.25, 1], np.float32),
        },
    )
    decision = decision_of(query(), Slate(request_id="r1", items=items), str)
    assert [item.features for item in decision.items] == [(1.0, 2.0), (3.0, 4.0)]
    assert [item.propensity for item in decision.items] == [0.25, 1.0]
    with open_store(f"sqlite:///{tmp_path / 'z.db'}") as store:
        store.decisions.append([decision])
        assert store.decisions.get("r1") == decision


def test_what_json_cannot_hold_is_left_out_of_the_context(store: Store) -> None:
    context = {"hour": np.int64(3), "tab": "tab1", "odd": object(), "list": [1, None]}
    decision = decision_of(query(context=context), TestMemoryRecorder().slate(1), str)
    store.decisions.append([decision])
    kept = store.decisions.get("r1")
    assert kept is not None
    assert kept.context == {"hour": 3, "tab": "tab1", "list": [1, None]}


def test_a_decision_tells_the_weights_and_which_rows_were_not_to_be_served() -> None:
    slate = Slate(request_id="r", items=Candidates.empty(), policy="greedy:1", weights={"like": 2.0})

    def decided(*seen: int) -> Decision:
        return decision_of(query(seen=np.array(seen, np.int32)), slate, str)

    assert decided().weights == {"like": 2.0}
    assert (decided().seen_count, decided().seen_hash) == (0, "")
    assert decided(3, 1, 3).seen_hash == decided(1, 3).seen_hash != decided(1, 4).seen_hash
    assert decided(3, 1, 3).seen_count == 2
