"""Filters: contracts, and that what must not be served is not."""

from __future__ import annotations

import numpy as np

from zhiliu.protocols import Filter
from zhiliu.rank.filters import Available, Hidden, OnSurface, Seen
from zhiliu.testing.component_contracts import FilterContract, candidates, history, query
from zhiliu.testing.small_world import small_columns
from zhiliu.types import Bool, Candidates, Query


def kept(rule: Filter, asked: Query, rows: list[int]) -> list[int]:
    given = Candidates(np.array(rows, np.int32))
    mask: Bool = rule.keep(asked, given)
    return given.take(mask).video.tolist()


class TestAvailable(FilterContract):
    def make(self) -> Available:
        return Available(small_columns())

    def test_hidden_and_unknown_rows_go(self) -> None:
        assert kept(self.make(), query(), [0, 39, 40, -1, 38, 10**6]) == [0, 38]

    def test_an_empty_catalogue_keeps_nothing(self) -> None:
        assert kept(Available(small_columns(0)), query(), [0, 1]) == []


class TestOnSurface(FilterContract):
    def make(self) -> OnSurface:
        return OnSurface(small_columns())

    def query(self) -> Query:
        return query(surface="following", followed=("a3",))

    def test_the_following_surface_has_followed_authors_only(self) -> None:
        assert kept(self.make(), self.query(), [3, 4, 13]) == [3, 13]
        assert kept(self.make(), query(surface="following"), [3, 4, 13]) == []

    def test_other_surfaces_have_everybody(self) -> None:
        assert kept(self.make(), query(surface="tab1", followed=("a3",)), [3, 4]) == [3, 4]


class TestSeen(FilterContract):
    def make(self) -> Seen:
        return Seen(small_columns())

    def query(self) -> Query:
        return query(history=history([1, 2]), seen=np.array([5], np.int32))

    def test_what_was_seen_and_what_this_cursor_served_goes(self) -> None:
        assert kept(self.make(), self.query(), [1, 2, 3, 5, 6]) == [3, 6]


class TestHidden(FilterContract):
    def make(self) -> Hidden:
        return Hidden(small_columns())

    def query(self) -> Query:
        return query(hidden=np.array([4], np.int32), hidden_authors=("a1", "gone"))

    def test_hidden_videos_and_all_of_a_hidden_author_go(self) -> None:
        assert kept(self.make(), self.query(), [1, 11, 4, 14, 2]) == [14, 2]


def test_a_mask_cannot_add_or_reorder() -> None:
    given = candidates(7)
    mask = Seen(small_columns()).keep(query(history=history([3])), given)
    assert given.take(mask).video.tolist() == [row for row in given.video.tolist() if row != 3]
