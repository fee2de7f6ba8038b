"""When ``zhiliu demo`` trains again and when it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from zhiliu.cli.demo_command import mark_of
from zhiliu.features import builder
from zhiliu.store import open_store
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.train import multitask
from zhiliu.types import Event, EventType

LOG = synthetic_log(people=8, impressions=60)
CUT_MS = START_MS + 3 * 86_400_000
RANKERS = ("multitask", "concat", "cf")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    with open_store(f"sqlite:///{tmp_path / 'zhiliu.db'}") as store:
        store.catalog.put(LOG.videos)
        store.events.append(LOG.events)
    return tmp_path


def marks(workspace: Path, events: Iterable[Event] = (), *, zone: float = 8.0) -> list[str]:
    """A mark for each of RANKERS, after these events too."""
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        store.events.append(list(events))
        store.snapshot(workspace / f"snapshot-{store.events.last_offset()}")
        snapshot = workspace / f"snapshot-{store.events.last_offset()}"
    return [mark_of(ranker, snapshot, CUT_MS, zone) for ranker in RANKERS]


def like(time: int) -> Event:
    return Event(event_id=f"l{time}", type=EventType.LIKE, time=time, person_id="p1", video_id="v1")


def test_a_like_after_the_cut_changes_nothing_and_one_before_it_changes_every_mark(workspace: Path) -> None:
    first = marks(workspace)
    assert len(set(first)) == len(RANKERS)
    assert marks(workspace, [like(CUT_MS), like(CUT_MS + 10)]) == first
    late = marks(workspace, [like(CUT_MS - 1)])
    assert all(now != before for now, before in zip(late, first, strict=True))


def test_another_process_finds_the_same_marks(workspace: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zhiliu.cli.demo_command import mark_of; "
        "print(*(mark_of(r, Path(sys.argv[1]), int(sys.argv[2]), 8.0) for r in sys.argv[3:]))"
    )
    here = marks(workspace)
    (snapshot,) = workspace.glob("snapshot-*")
    order = [sys.executable, "-c", code, str(snapshot), str(CUT_MS), *RANKERS]
    assert subprocess.run(order, capture_output=True, text=True, check=True).stdout.split() == here


def test_other_features_mean_another_model(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = marks(workspace)[0]
    monkeypatch.setattr(builder, "SEQUENCE", (*builder.SEQUENCE, "one more"))
    assert marks(workspace, [like(CUT_MS)])[0] != first


def test_other_names_of_features_mean_another_model(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = marks(workspace)[0]
    monkeypatch.setattr(builder, "numeric_names", lambda: ("only one",))
    assert marks(workspace, [like(CUT_MS)])[0] != first


def test_another_configuration_means_another_model(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Longer(multitask.RankerConfig):
        taught: float = field(default=0.5)

    first = marks(workspace)
    monkeypatch.setattr(multitask, "RankerConfig", Longer)
    changed = marks(workspace, [like(CUT_MS)])
    assert changed[0] != first[0]
    assert changed[1:] == first[1:]


def test_another_time_zone_means_another_model(workspace: Path) -> None:
    assert marks(workspace)[0] != marks(workspace, [like(CUT_MS)], zone=1.0)[0]
