"""Candidates: merging keeps every source that found a video, in fair turns, and what each said about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.types import Candidates

Found = dict[int, float]
"""What one source found: row → score, best first."""

found_by_one = st.lists(st.integers(0, 12), unique=True, max_size=8).flatmap(
    lambda rows: st.lists(st.integers(-3, 3).map(float), min_size=len(rows), max_size=len(rows)).map(
        lambda scores: dict(zip(rows, scores, strict=True))
    )
)
sources = st.lists(found_by_one, max_size=5)


def merged(found: list[Found]) -> Candidates:
    """Source i is called s<i> and says of each video, as its own columns, ten times and half its row."""
    named = []
    for i, one in enumerate(found):
        rows = np.array(list(one), np.int32)
        columns = {
            "score": np.array(list(one.values()), np.float32),
            f"s{i}:ten": rows * 10,
            f"s{i}:half": rows / 2,
            "of nobody": rows,
        }
        named.append((f"s{i}", Candidates(rows, columns)))
    return Candidates.merge(named)


def in_turns(found: list[Found]) -> list[int]:
    """Every source's best, then every source's second best, and so on; a video keeps its first place."""
    turns = [list(one)[place] for place in range(8) for one in found if place < len(one)]
    return list(dict.fromkeys(turns))


@settings(max_examples=300, deadline=None)
@given(sources)
def test_sources_take_turns_and_a_video_keeps_its_first_place(found: list[Found]) -> None:
    assert merged(found).video.tolist() == in_turns(found)


@settings(max_examples=300, deadline=None)
@given(sources)
def test_every_source_that_found_a_video_is_remembered_with_its_score(found: list[Found]) -> None:
    together = merged(found)
    for at, row in enumerate(together.video.tolist()):
        who = {i for i, one in enumerate(found) if row in one}
        assert int(together["sources"][at]) == sum(1 << i for i in who)
        for i, one in enumerate(found):
            if one:
                score = float(together[f"source:s{i}"][at])
                assert score == one[row] if i in who else np.isnan(score)


@settings(max_examples=200, deadline=None)
@given(sources)
def test_a_sources_own_columns_are_kept_and_say_nothing_of_what_it_did_not_find(found: list[Found]) -> None:
    together = merged(found)
    told = {i for i, one in enumerate(found) if one}
    names = {f"{kind}s{i}{own}" for i in told for kind, own in (("source:", ""), ("", ":ten"), ("", ":half"))}
    assert set(together.columns) == names | ({"sources"} if told else set())
    for i in told:
        here = np.isin(together.video, list(found[i]))
        assert together[f"s{i}:ten"].tolist() == np.where(here, together.video * 10, -1).tolist()
        half = np.where(here, together.video / 2, np.nan)
        assert np.array_equal(together[f"s{i}:half"], half, equal_nan=True)


def test_a_merge_of_nothing_is_empty() -> None:
    assert len(Candidates.merge([])) == len(Candidates.merge([("a", Candidates.empty())])) == 0


def test_a_source_without_scores_counts_as_zero() -> None:
    together = Candidates.merge([("a", Candidates(np.array([5], np.int32)))])
    assert together["source:a"].tolist() == [0.0]


def test_the_thirty_second_source_still_has_its_bit_and_more_are_refused() -> None:
    one = Candidates(np.array([1], np.int32), {"score": np.ones(1, np.float32)})
    named = [(f"s{i}", one) for i in range(32)]
    assert Candidates.merge(named)["sources"].tolist() == [2**32 - 1]
    with pytest.raises(ValueError, match="at most 32 sources"):
        Candidates.merge([*named, ("s32", one)])


def test_a_column_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="column 'score' has 1 rows for 2 candidates"):
        Candidates(np.zeros(2, np.int32), {"score": np.zeros(1)})


def test_taking_rows_takes_them_from_every_column_in_the_order_asked() -> None:
    given_rows = Candidates(np.array([7, 8, 9], np.int32), {"x": np.array([[1, 1], [2, 2], [3, 3]])})
    taken = given_rows.take(np.array([2, 0]))
    assert (taken.video.tolist(), taken["x"].tolist()) == ([9, 7], [[3, 3], [1, 1]])
    assert given_rows.take(np.array([False, True, False])).video.tolist() == [8]
