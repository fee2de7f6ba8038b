"""From settings to a pipeline, with our components and others'."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zhiliu.artifact import new_artifact
from zhiliu.registry import GROUPS, RegistryError, build_pipeline, known, load
from zhiliu.settings import FeedSettings
from zhiliu.testing.component_contracts import NOW_MS, query
from zhiliu.testing.small_world import small_world

Install = Callable[[str, str, str], None]

PLUG_IN = """
import numpy as np
from zhiliu.types import Candidates

class Lottery:
    name = "lottery"
    needs = {needs}

    @classmethod
    def from_world(cls, world):
        {made}

    def retrieve(self, query, k):
        rows = query.rng().permutation(39)[:k].astype(np.int32)
        return Candidates(rows, {{"score": np.linspace(1, 0, len(rows), dtype=np.float32)}})
"""


def lottery(needs: str = "()", made: str = "return cls()") -> str:
    return PLUG_IN.format(needs=needs, made=made)


def test_every_entry_point_of_ours_can_be_loaded_and_has_from_world() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    listed = {g: names for g, names in project["entry-points"].items() if g != "zhiliu.recipes"}
    assert set(listed) <= set(GROUPS)
    for group, names in listed.items():
        for name in names:
            component = load(group, name)
            assert callable(component.from_world), (group, name)
            assert component.name == name


def test_the_settings_defaults_name_components_that_are_installed() -> None:
    feed = FeedSettings()
    assert set(feed.sources) <= set(known("zhiliu.sources"))
    assert set(feed.filters) <= set(known("zhiliu.filters"))
    assert feed.reranker in known("zhiliu.rerankers")
    assert feed.explainer in known("zhiliu.explainers")


def test_without_an_artifact_there_is_what_reads_the_log_alone() -> None:
    pipeline = build_pipeline(small_world())
    asked = FeedSettings().sources
    assert [source.name for source, _ in pipeline.sources] == [
        name for name in asked if name in ("following", "social", "trending", "popularity")
    ]
    assert sum(k for _, k in pipeline.sources) >= sum(
        asked.values()
    )  # the quotas of the others are taken over
    assert (pipeline.ranker.name, pipeline.model) == ("popularity", "")


def test_a_source_is_there_once_the_artifact_has_its_files(tmp_path: Path) -> None:
    with new_artifact(tmp_path, created_ms=NOW_MS) as writer:
        writer.json("video_ids", ["v0", "v1"])
        writer.array("similar_ids", np.array([[1], [0]], np.int32))
        writer.array("similar_scores", np.ones((2, 1), np.float32))
    assert writer.artifact is not None
    pipeline = build_pipeline(small_world(artifact=writer.artifact))
    names = [source.name for source, _ in pipeline.sources]
    assert "similar" in names
    assert "als" not in names
    assert pipeline.model == writer.artifact.version


def test_another_packages_source_loads_the_same_way(install: Install) -> None:
    install("zhiliu.sources", "lottery = lottery_one:Lottery", lottery())
    pipeline = build_pipeline(small_world(feed=FeedSettings(sources={"lottery": 10})))
    slate = pipeline(query(), 5)
    assert len(slate.items) == 5
    assert slate.source_names == ("lottery",)
    assert pipeline(query(seed=8), 5).items.video.tolist() != slate.items.video.tolist()
    assert pipeline(query(), 5).items.video.tolist() == slate.items.video.tolist()


def test_a_plug_in_whose_files_are_missing_is_left_out(install: Install) -> None:
    install("zhiliu.sources", "lottery = lottery_two:Lottery", lottery(needs='("lottery.npy",)'))
    feed = FeedSettings(sources={"lottery": 10, "trending": 5})
    assert [source.name for source, _ in build_pipeline(small_world(feed=feed)).sources] == ["trending"]


def test_a_name_that_nothing_has_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(
        RegistryError, match=r"no source 'als2' is installed; there are: als, .*trending"
    ) as caught:
        build_pipeline(small_world(feed=FeedSettings(sources={"als2": 10})))
    assert "popularity" in str(caught.value)
    with pytest.raises(RegistryError, match="no reranker 'dpp' is installed; there are: mmr, topk"):
        build_pipeline(small_world(feed=FeedSettings(reranker="dpp")))
    with pytest.raises(RegistryError, match="no component group"):
        load("zhiliu.nonsense", "x")


def test_a_plug_in_that_cannot_be_imported_is_named_with_the_reason(install: Install) -> None:
    install("zhiliu.sources", "broken = broken_import:Source", "import a_module_that_is_not_there")
    with pytest.raises(RegistryError, match=r"'broken' \(broken_import:Source\).*a_module_that_is_not_there"):
        build_pipeline(small_world(feed=FeedSettings(sources={"broken": 1})))


def test_a_plug_in_without_its_class_is_named(install: Install) -> None:
    install("zhiliu.sources", "empty = empty_module:Source", "")
    with pytest.raises(RegistryError, match=r"'empty' \(empty_module:Source\) cannot be imported"):
        build_pipeline(small_world(feed=FeedSettings(sources={"empty": 1})))


def test_a_plug_in_that_cannot_be_made_is_named_with_the_reason(install: Install) -> None:
    install("zhiliu.sources", "lottery = lottery_three:Lottery", lottery(made='raise OSError("no tickets")'))
    with pytest.raises(
        RegistryError, match=r"'lottery' \(lottery_three.Lottery\) cannot be made: OSError: no tickets"
    ):
        build_pipeline(small_world(feed=FeedSettings(sources={"lottery": 1})))


def test_the_ranker_of_the_settings_is_used() -> None:
    assert build_pipeline(small_world(feed=FeedSettings(ranker="popularity"))).ranker.name == "popularity"
    with pytest.raises(RegistryError, match="no artifact to rank with"):
        build_pipeline(small_world(feed=FeedSettings(ranker="onnx")))


def test_an_artifact_trained_with_other_features_is_refused_not_served_by_half(tmp_path: Path) -> None:
    with new_artifact(tmp_path, created_ms=NOW_MS) as writer:
        writer.json("video_ids", ["v0"])
        (writer.path / "ranker.onnx").write_bytes(b"not read")
        writer.json(
            "ranker",
            {"kind": "multitask", "heads": ["click"], "inputs": ["numeric"], "numeric": ["an_old_feature"],
             "calibration": {}},
        )  # fmt: skip
    assert writer.artifact is not None
    with pytest.raises(RegistryError, match="trained with other features; train again"):
        build_pipeline(small_world(artifact=writer.artifact))


def test_the_policy_names_every_setting_that_shapes_a_slate_and_no_other() -> None:
    feeds = [
        FeedSettings(),
        FeedSettings(sources={"trending": 30, "popularity": 30}),
        FeedSettings(sources={"popularity": 30, "trending": 30}),  # they take turns in this order
        FeedSettings(rank_limit=400),
        FeedSettings(weights={"click": 1.0}),
        FeedSettings(reranker="topk"),
        FeedSettings(diversity=0.3),
        FeedSettings(author_gap=3),
        FeedSettings(topic_gap=0),
        FeedSettings(filters=("available", "seen")),
        FeedSettings(history=99),
    ]
    policies = [build_pipeline(small_world(feed=feed)).policy for feed in feeds]
    assert all(re.fullmatch("greedy:[0-9a-f]{8}", policy) for policy in policies)
    assert len(set(policies)) == len(feeds)
    assert build_pipeline(small_world(feed=FeedSettings())).policy == policies[0]


def test_a_slate_carries_the_weights_it_was_scored_with() -> None:
    slate = build_pipeline(small_world(feed=FeedSettings(weights={"like": 3.0})))(query(), 3)
    assert slate.weights == {"like": 3.0}
