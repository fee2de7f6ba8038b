"""A world opened without a server is the one a server has, or had at an earlier moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zhiliu.features.counters import KINDS, key_count
from zhiliu.live.opening import checkpoint_of, open_world
from zhiliu.live.world import World
from zhiliu.settings import Settings
from zhiliu.store import Store, open_store
from zhiliu.testing.synthetic import START_MS, synthetic_log
from zhiliu.types import Event

LOG = synthetic_log(people=8, videos=20, impressions=300)
CUT_MS = START_MS + 3 * 86_400_000


def store_with(folder: Path, events: list[Event]) -> Store:
    store = open_store(f"sqlite:///{folder}/zhiliu.db")
    store.catalog.put(LOG.videos)
    store.events.append(events)
    return store


def counts(world: World, now_ms: int) -> dict[str, np.ndarray]:
    every = {kind: np.arange(key_count(kind, world.videos)) for kind in KINDS}
    return {kind: world.live.counters.read(kind, key, np.array([now_ms])) for kind, key in every.items()}


def test_a_world_of_an_earlier_moment_knows_only_what_happened_before_it(tmp_path: Path) -> None:
    mixed = LOG.events[1::2] + LOG.events[::2]  # the log's order is not that of time
    early = [event for event in mixed if event.time < CUT_MS]
    with store_with(tmp_path / "all", mixed) as store, store_with(tmp_path / "early", early) as past:
        then = open_world(Settings(workspace=tmp_path / "all"), store, until_ms=CUT_MS).world
        truth = open_world(Settings(workspace=tmp_path / "early"), past).world
        found, expected = counts(then, CUT_MS), counts(truth, CUT_MS)
        for kind in KINDS:
            np.testing.assert_allclose(found[kind], expected[kind], rtol=1e-9, atol=1e-9)
        assert found["all"][0, 0] > 10
        for name in ("p0", "p5", "nobody"):
            one = then.query(name, now_ms=CUT_MS, seed=0, request_id="r")
            other = truth.query(name, now_ms=CUT_MS, seed=0, request_id="r")
            assert one.followed == other.followed
            for field in ("video", "time_ms", "watch_ms", "label_ms"):
                mine, theirs = getattr(one.history, field), getattr(other.history, field)
                np.testing.assert_array_equal(mine, theirs)


def test_a_checkpoint_is_used_and_not_written(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    with store_with(tmp_path, LOG.events[:500]) as store:
        first = open_world(settings, store)
        assert sorted(path.name for path in tmp_path.glob("*.npz")) == []
        checkpoint_of(settings, store.events).save(first.world.live)
        written = (tmp_path / "live.npz").read_bytes()
        store.events.append(LOG.events[500:])
        opened = open_world(settings, store)
        assert (tmp_path / "live.npz").read_bytes() == written
        (tmp_path / "live.npz").unlink()
        afresh = open_world(settings, store)
        assert opened.world.live.offset == afresh.world.live.offset == len(LOG.events)
        assert opened.newest_ms == afresh.newest_ms == max(event.time for event in LOG.events)
        found, expected = counts(opened.world, CUT_MS), counts(afresh.world, CUT_MS)
        for kind in KINDS:
            np.testing.assert_allclose(found[kind], expected[kind], rtol=1e-9, atol=1e-9)


def test_a_damaged_artifact_is_left_aside_and_named(tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "20990101").mkdir(parents=True)
    (tmp_path / "artifacts" / "20990101" / "manifest.json").write_text("{}")
    with store_with(tmp_path, []) as store:
        opened = open_world(Settings(workspace=tmp_path), store)
        assert opened.world.artifact is None
        assert "train again" in opened.refused["20990101"]
        assert opened.newest_ms == 0
