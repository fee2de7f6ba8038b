"""Why a video is in the slate, told from what really put it there: the sources that found it and their evidence.

A source's bit is set by the pipeline when that source found the video; nothing here is guessed from the outside.
A topic is named only for a video that a personal source found or a trained ranker placed.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from zhiliu.explain.texts import TEXTS, language_of
from zhiliu.features.interest import known_labels, liked
from zhiliu.live.world import World
from zhiliu.types import Candidates, Query, Reason

TOPIC_ROWS: Final = 2
"""A topic is named from this many long watches on."""
TOPIC_SHARE: Final = 0.1
"""…that are at least this share of all long watches."""
SHOWN: Final = 2
"""Most reasons a video gets, the most personal first."""
GENERAL: Final = frozenset({"trending", "popularity"})
"""Sources that give everybody the same."""
PERSONAL: Final = ("similar", "als", "two_tower", "text")


class Reasons:
    """Codes following, followed_liked, similar_to, topic, trending, popular, new, for_you."""

    name = "reasons"

    def __init__(self, world: World) -> None:
        self.world = world

    @classmethod
    def from_world(cls, world: World) -> Self:
        """Reads the world's catalogue."""
        return cls(world)

    def reasons(self, query: Query, items: Candidates) -> tuple[tuple[Reason, ...], ...]:
        """One or two reasons a row of ``items`` (K,)."""
        if not len(items):
            return ()
        language = language_of(query)
        shares = topic_shares(query, self.world)
        scores = {
            name.removeprefix("source:"): column
            for name, column in items.columns.items()
            if name.startswith("source:")
        }
        because = items.columns.get("similar:because")
        told: list[tuple[Reason, ...]] = []
        for i, row in enumerate(items.video.tolist()):
            found = {name for name, column in scores.items() if not np.isnan(column[i])}
            reasons = [
                *self._following(query, row, found, language),
                *followed_liked(query, row, found, language),
                *self._similar(because, i, found, language),
                *self._topic(shares, row, found, language),
            ]
            if not reasons and not found <= GENERAL:
                reasons = [plain("for_you", language)]
            told.append((*reasons, *general(scores, i, found, language))[:SHOWN] or (plain("new", language),))
        return tuple(told)

    def _following(self, query: Query, row: int, found: set[str], language: str) -> list[Reason]:
        author = self.world.videos.authors.names[self.world.videos.author[row]]
        if "following" not in found or author not in query.followed:
            return []
        return [Reason("following", TEXTS["following"][language].format(author=author), (author,))]

    def _similar(self, because: NDArray[Any] | None, i: int, found: set[str], language: str) -> list[Reason]:
        """The watched video whose neighbour list put this one forward most."""
        if "similar" not in found or because is None or because[i] < 0:
            return []
        anchor = int(because[i])
        title = self.world.title_of(anchor)
        template = TEXTS["similar_to" if title else "similar_to_untitled"][language]
        return [Reason("similar_to", template.format(title=title), (self.world.videos.ids[anchor],))]

    def _topic(self, shares: dict[int, float], row: int, found: set[str], language: str) -> list[Reason]:
        """The topic of the video that this person watches long most, if a personal stage used it."""
        if not shares or (self.world.artifact is None and not found.intersection(PERSONAL)):
            return []
        known = [(shares[tag], tag) for tag in self.world.videos.tag[row].tolist() if tag in shares]
        if not known:
            return []
        share, tag = max(known)
        topic = self.world.videos.tags.names[tag]
        text = TEXTS["topic"][language].format(topic=topic, share=round(100 * share))
        return [Reason("topic", text, (topic,))]


def followed_liked(query: Query, row: int, found: set[str], language: str) -> list[Reason]:
    """Who of the followed people liked it, the newest like first."""
    if "social" not in found:
        return []
    likes = query.followed_likes
    who = dict.fromkeys(likes.people[i] for i in np.flatnonzero(likes.video == row))
    return [Reason("followed_liked", TEXTS["followed_liked"][language], tuple(who))] if who else []


def topic_shares(query: Query, world: World) -> dict[int, float]:
    """Tag code → share of the long watches (or reactions) of ``query.history`` with that tag; only the usual ones."""
    history = query.history
    rows = history.video[liked(known_labels(history, query.now_ms))]
    if not len(rows):
        return {}
    tags, counts = np.unique(world.videos.tag[rows], return_counts=True)
    return {
        tag: count / len(rows)
        for tag, count in zip(tags.tolist(), counts.tolist(), strict=True)
        if tag > 0 and count >= TOPIC_ROWS and count / len(rows) >= TOPIC_SHARE
    }


def general(scores: dict[str, NDArray[Any]], i: int, found: set[str], language: str) -> tuple[Reason, ...]:
    """Reasons that say nothing about the person. A source that had nothing to count took the newest: no reason."""
    return tuple(
        plain(code, language)
        for source, code in (("trending", "trending"), ("popularity", "popular"))
        if source in found and scores[source][i] > 0
    )


def plain(code: str, language: str) -> Reason:
    """A reason without evidence of its own."""
    return Reason(code, TEXTS[code][language])
