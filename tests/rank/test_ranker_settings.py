"""A trained ranker serves only with the settings it was trained for."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.state import LiveState
from zhiliu.live.world import World
from zhiliu.rank.model import RankerMismatchError, RankerModel
from zhiliu.registry import RegistryError, build_pipeline
from zhiliu.settings import FeedSettings, Settings, SettingsError
from zhiliu.store import open_store
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.synthetic import synthetic_log
from zhiliu.train.bundle import Order, train

LOG = synthetic_log(people=12, impressions=400)
NOW_MS = max(event.time for event in LOG.events) + 1


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A ranker trained in the time zone of Beijing."""
    folder = tmp_path_factory.mktemp("ranker")
    with open_store(f"sqlite:///{folder / 'zhiliu.db'}") as store:
        store.catalog.put(LOG.videos)
        store.events.append(LOG.events)
        store.snapshot(folder / "snapshot")
    order = Order(ranker="multitask", retrieval=(), until_ms=NOW_MS, epochs=1, timezone_offset_h=8.0)
    return train(folder / "snapshot", folder / "artifacts", order, created_ms=NOW_MS)


def world(artifact: Artifact, **changes: object) -> World:
    videos = VideoColumns.build(enumerate(LOG.videos))
    settings = Settings(workspace=Path("no workspace")).model_copy(update=changes)
    return World.of(settings, videos, LiveState(MemoryLog(), videos), artifact)


def test_the_artifact_says_how_it_was_trained(artifact: Artifact) -> None:
    facts = artifact.json("ranker")
    assert (facts["timezone_offset_h"], facts["window"]) == (8.0, 64)
    assert build_pipeline(world(artifact)).ranker.name == "onnx"


def test_another_time_zone_is_refused_with_both_numbers(artifact: Artifact) -> None:
    with pytest.raises(RegistryError, match=r"timezone_offset_h = 8.0, the settings say 1.0.*train again"):
        build_pipeline(world(artifact, timezone_offset_h=1.0))


def test_a_history_shorter_than_the_ranker_reads_is_a_wrong_setting(artifact: Artifact) -> None:
    assert build_pipeline(world(artifact, feed=FeedSettings(history=64)))
    with pytest.raises(SettingsError, match=r"feed.history is 63.*reads the newest 64"):
        build_pipeline(world(artifact, feed=FeedSettings(history=63)))


def test_an_artifact_from_before_the_zone_was_recorded_serves_on(artifact: Artifact) -> None:
    model = RankerModel(artifact, world(artifact).videos)
    elsewhere = Settings(timezone_offset_h=1.0)
    with pytest.raises(RankerMismatchError):
        model.check_settings(elsewhere)
    model.timezone_offset_h = None
    model.check_settings(elsewhere)
