"""Rules without score: what must not be in a slate, whoever found it and however good it looks."""

from __future__ import annotations

from typing import Self

import numpy as np

from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.exclusion import among, seen_before
from zhiliu.live.world import World
from zhiliu.types import Bool, Candidates, Query, Surface


class OfCatalogue:
    """What all rules here are made from."""

    def __init__(self, videos: VideoColumns) -> None:
        self.videos = videos

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Of the world's catalogue."""
        return cls(world.videos)


class Available(OfCatalogue):
    """Keeps what is in the catalogue and visible."""

    name = "available"

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        video = candidates.video
        there = (video >= 0) & (video < len(self.videos))
        if not len(self.videos):
            return there
        kept: Bool = there & self.videos.visible[np.where(there, video, 0)]
        return kept


class OnSurface(OfCatalogue):
    """The following surface shows followed authors only; others show everything. Goes after ``available``."""

    name = "surface"

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        if query.surface != Surface.FOLLOWING:
            return np.ones(len(candidates), np.bool_)
        return by_authors(self.videos, candidates, query.followed)


class Seen(OfCatalogue):
    """Drops what this person saw lately, and what this cursor has served."""

    name = "seen"

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        return ~among(candidates.video, seen_before(query, self.videos), self.videos)


class Hidden(OfCatalogue):
    """Drops what this person hid, and authors never wanted again. Goes after ``available``."""

    name = "hidden"

    def keep(self, query: Query, candidates: Candidates) -> Bool:
        kept: Bool = ~among(candidates.video, query.hidden, self.videos)
        if query.hidden_authors:
            kept &= ~by_authors(self.videos, candidates, query.hidden_authors)
        return kept


def by_authors(videos: VideoColumns, candidates: Candidates, authors: tuple[str, ...]) -> Bool:
    """(C,) True for videos of these authors."""
    codes = [videos.authors.code_of[name] for name in authors if name in videos.authors.code_of]
    return np.isin(videos.author[candidates.video], np.array(codes, np.int32))
