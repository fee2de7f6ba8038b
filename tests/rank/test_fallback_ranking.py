"""The objective and the ranker of an untrained system."""

from __future__ import annotations

import numpy as np
import pytest

from zhiliu.rank.objective import WeightedSum
from zhiliu.rank.popularity import PopularityRanker
from zhiliu.testing.component_contracts import ObjectiveContract, RankerContract, candidates, query
from zhiliu.testing.small_world import happened, small_world
from zhiliu.types import Candidates


class TestPopularityRanker(RankerContract):
    def make(self) -> PopularityRanker:
        shared = [happened("view", 6, f"s{i}", watch_ms=60_000, surface="share") for i in range(90)]
        loved = [happened("impression", 5, f"w{i}") for i in range(9)]
        loved += [happened("view", 5, f"w{i}", watch_ms=60_000) for i in range(9)]
        ignored = [happened("impression", 3, f"w{i}") for i in range(9)]
        return PopularityRanker.from_world(small_world([*shared, *loved, *ignored]))

    def test_a_video_watched_long_is_above_an_unknown_one_and_that_above_an_ignored_one(self) -> None:
        given = Candidates(np.array([3, 5, 8], np.int32))
        ignored, loved, unknown = self.make().predict(query(), given)["long_view"]
        assert loved > unknown > ignored

    def test_everybody_gets_the_same(self) -> None:
        one, other = (
            self.make().predict(query(person=name), candidates(7))["click"] for name in ("p1", "p2")
        )
        assert one.tolist() == other.tolist()


class TestWeightedSum(ObjectiveContract):
    def make(self) -> WeightedSum:
        return WeightedSum({"click": 0.5, "hide": -8.0, "watch_ms": 0.001, "not predicted": 3.0})

    def test_the_score_is_the_weighted_sum_of_the_heads_that_are_there(self) -> None:
        heads = {
            "click": np.array([0.5, 1], np.float32),
            "hide": np.array([0.0, 0.25], np.float32),
            "watch_ms": np.array([100, 0], np.float32),
            "like": np.array([1, 1], np.float32),  # no weight
        }
        assert self.make().score(heads).tolist() == pytest.approx([0.25 + 0.1, 0.5 - 2.0])

    def test_a_ranker_without_heads_is_an_error_that_says_so(self) -> None:
        with pytest.raises(ValueError, match="no head"):
            self.make().score({})
