"""Everything a request may read, swapped as a whole: a request sees one world from its first stage to its last.

Components are made from a world: ``from_world(world) -> Self``. One that reads files of an artifact names them
in a class attribute, ``needs = ("als_video.npy",)``; where a file is missing, the registry leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zhiliu.artifact import Artifact
from zhiliu.catalog.columns import VideoColumns
from zhiliu.live.exclusion import seen_before
from zhiliu.live.state import LiveState
from zhiliu.settings import Settings
from zhiliu.types import I32, NO_LIKES, Decision, History, Person, Query, Surface

PERSONAL = "personal"
NONPROFILED = "nonprofiled"
"""Modes of a request (``Decision.mode``)."""

NOTHING: I32 = np.zeros(0, np.int32)
NOTHING.flags.writeable = False


def no_title(row: int) -> str:
    """For catalogues whose titles nobody looks up."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Build it with :meth:`of`; it never changes, but for ``live``, which follows the log."""

    settings: Settings
    videos: VideoColumns
    live: LiveState
    artifact: Artifact | None = None
    artifact_rows: I32 = field(default_factory=lambda: NOTHING)
    """(N_artifact,) catalogue row of each position in the artifact's ``video_ids``; -1 if gone."""
    artifact_pos: I32 = field(default_factory=lambda: NOTHING)
    """(N_catalogue,) position in the artifact of each catalogue row; -1 if newer than the artifact."""
    title_of: Callable[[int], str] = no_title
    """Title of a catalogue row, for the texts of reasons; empty when it has none."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        videos: VideoColumns,
        live: LiveState,
        artifact: Artifact | None = None,
        title_of: Callable[[int], str] = no_title,
    ) -> World:
        """A world of these; makes room in ``live`` for what is new in the catalogue."""
        live.catalogue(videos)
        rows, pos = mapping(artifact, videos)
        return cls(
            settings=settings,
            videos=videos,
            live=live,
            artifact=artifact,
            artifact_rows=rows,
            artifact_pos=pos,
            title_of=title_of,
        )

    def with_artifact(self, artifact: Artifact | None) -> World:
        """The same, with another artifact."""
        rows, pos = mapping(artifact, self.videos)
        return replace(self, artifact=artifact, artifact_rows=rows, artifact_pos=pos)

    def with_videos(self, videos: VideoColumns) -> World:
        """The same, with a catalogue that has changed."""
        return World.of(self.settings, videos, self.live, self.artifact, self.title_of)

    def query(
        self,
        person: str,
        *,
        now_ms: int,
        seed: int,
        request_id: str,
        surface: str = Surface.FOR_YOU,
        seen: I32 = NOTHING,
        profile: Person | None = None,
        context: Mapping[str, Any] | None = None,
        mode: str = PERSONAL,
    ) -> Query:
        """A request with all that is known of the person now; ``seen`` (S,): rows of the cursor's earlier pages.

        Of mode ``nonprofiled``: as :func:`nonprofiled` makes it.
        The first request of a person reads the log (milliseconds); see :meth:`LiveState.loaded`.
        """
        view = self.live.view(person, now_ms)
        room = int(np.count_nonzero(self.videos.visible)) // 2 - len(view.history)  # as exclusion.seen_before
        query = Query(
            person=person,
            now_ms=now_ms,
            seed=seed,
            request_id=request_id,
            surface=surface,
            history=view.history,
            followed=view.followed,
            followed_likes=view.followed_likes,
            seen=np.concatenate([seen, view.seen[: max(0, room)]]).astype(np.int32),
            hidden=view.hidden,
            hidden_authors=view.hidden_authors,
            profile=profile,
            context=context or {},
        )
        return nonprofiled(query, self.videos) if mode == NONPROFILED else query

    def query_again(self, decision: Decision, profile: Person | None) -> Query:
        """The request of a logged decision, of its mode, with what was known at its moment; no cursor."""
        query = self.query(
            decision.person,
            now_ms=decision.time_ms,
            seed=decision.seed,
            request_id=decision.request_id,
            surface=decision.surface,
            profile=profile,
            context=decision.context,
            mode=decision.mode,
        )
        return replace(query, history=before(query.history, decision.time_ms))


def nonprofiled(query: Query, videos: VideoColumns) -> Query:
    """As if nothing were known of the person, but nothing twice, and nothing they hid.

    Nobody is named in it: a ranker may know people by id. The language of the texts stays.
    """
    language = query.context.get("language") or (query.profile.language if query.profile else "")
    told = {"mode": NONPROFILED} | ({"language": language} if language else {})
    return replace(
        query,
        person="",
        history=History.empty(),
        followed=(),
        followed_likes=NO_LIKES,
        profile=None,
        seen=seen_before(query, videos),
        context={**query.context, **told},
    )


def before(history: History, now_ms: int) -> History:
    """The rows (t,) that were there at ``now_ms``."""
    end = int(np.searchsorted(history.time_ms, now_ms, "left"))
    return History(**{name: getattr(history, name)[:end] for name in History.__slots__})


def mapping(artifact: Artifact | None, videos: VideoColumns) -> tuple[I32, I32]:
    """Artifact position → catalogue row (N_artifact,), and back (N_catalogue,); by id, -1 where there is none."""
    ids: list[str] = artifact.json("video_ids") if artifact and artifact.has("video_ids.json") else []
    rows = np.array([videos.row_of.get(name, -1) for name in ids], np.int32)
    pos = np.full(len(videos), -1, np.int32)
    known = rows >= 0
    pos[rows[known]] = np.flatnonzero(known)
    return rows, pos
