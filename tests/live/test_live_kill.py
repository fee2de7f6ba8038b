"""A process that follows the log and writes checkpoints is killed: nothing is missed or counted twice."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np

from zhiliu.features.counters import KINDS, key_count
from zhiliu.live.checkpoint import Checkpoint
from zhiliu.live.consumer import Consumer
from zhiliu.live.state import LiveState
from zhiliu.store import Store, open_store
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.small_world import small_catalogue, small_columns

FOLLOWER = """
import sys
from pathlib import Path
from zhiliu.live.checkpoint import Checkpoint
from zhiliu.live.consumer import Consumer
from zhiliu.live.state import LiveState
from zhiliu.store import open_store
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.small_world import happened, small_columns

url, path, cycle = sys.argv[1:]
store = open_store(url)
state = LiveState(store.events, small_columns())
consumer = Consumer("live", events=store.events, state=state, checkpoint=Checkpoint(Path(path), store.events),
                    offsets=store.offsets).start()
print("started", flush=True)
i = 0
while True:
    store.events.append([happened("impression", (i + n) % 40, f"p{cycle}", NOW_MS - 1_000_000 + i + n)
                         for n in range(7)])
    i += 7
    consumer.save()
"""


def level(store: Store, checkpoint: Path | None) -> LiveState:
    """The state at the end of the log."""
    state = LiveState(store.events, small_columns())
    kept = Checkpoint(checkpoint, store.events) if checkpoint else None
    Consumer("live", events=store.events, state=state, checkpoint=kept).start().stop()
    return state


def test_over_four_kills_the_state_from_the_checkpoint_is_the_state_from_the_whole_log(
    tmp_path: Path,
) -> None:
    url, path = f"sqlite:///{tmp_path / 'zhiliu.db'}", tmp_path / "live.npz"
    with open_store(url) as store:
        store.catalog.put(small_catalogue())
    for cycle in range(4):
        command = [sys.executable, "-c", FOLLOWER, url, str(path), str(cycle)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            try:
                process.wait(random.Random(cycle).uniform(0.1, 0.4))
            except subprocess.TimeoutExpired:
                process.kill()
    with open_store(url) as store:
        assert Checkpoint(path, store.events).load(LiveState(store.events, small_columns()))
        resumed, recounted = level(store, path), level(store, None)
        assert resumed.offset == recounted.offset == store.events.last_offset() > 4 * 7
    now = np.array([NOW_MS])
    for kind in KINDS:
        key = np.arange(key_count(kind, small_columns()))
        np.testing.assert_allclose(
            resumed.counters.read(kind, key, now), recounted.counters.read(kind, key, now), rtol=1e-9
        )
    np.testing.assert_allclose(resumed.heat(), recounted.heat(), rtol=1e-9)
