"""Videos whose words are like those of what the person watched long or reacted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from zhiliu.features.interest import liked
from zhiliu.features.text import TextModel, language_of, text_of, unit
from zhiliu.sources.placement import Placement, ServingWorld, artifact_of, past_of, recency
from zhiliu.types import F32, I32, Candidates, Query


@dataclass(frozen=True, slots=True)
class TextSource:
    """Cosine between the person's mean text vector and each video's. Works for a video nobody has seen yet."""

    vectors: F32  # (N, D) unit rows
    placement: Placement
    name: ClassVar[str] = "text"
    needs: ClassVar[tuple[str, ...]] = (
        "text_video.npy",
        "text_model.json",
        "text_idf.npy",
        "text_components.npy",
    )

    @classmethod
    def from_world(cls, world: ServingWorld) -> Self:
        """Artifact vectors, and vectors of newer catalogue videos made here from their tags."""
        artifact = artifact_of(world, cls.name)
        trained = np.ascontiguousarray(artifact.array("text_video"))
        placement = Placement.of(world)
        every = np.arange(len(world.videos), dtype=np.int32)
        new = np.flatnonzero((placement.of_videos(every) < 0) & world.videos.visible)
        if not len(new):
            return cls(trained, placement)
        made = vectors_of_new(world, TextModel.load(artifact.path), new.astype(np.int32))
        return cls(
            np.concatenate([trained, made]), extended(placement, new.astype(np.int32), len(world.videos))
        )

    def retrieve(self, query: Query, k: int) -> Candidates:
        """At most ``k`` videos not in the past, best first; nothing when nothing was liked."""
        person = self.person(query)
        if not person.any():
            return Candidates.empty()
        return self.placement.best(query, self.vectors @ person, k)

    def person(self, query: Query) -> F32:
        """(D,) unit vector of what was liked, the newest most; zeros when nothing was."""
        rows, interest, labels = past_of(query, self.placement)
        weight = interest * recency(query, self.placement) * liked(labels)
        vector: F32 = unit((weight @ self.vectors[rows]).astype(np.float32)[None])[0]
        return vector


def vectors_of_new(world: ServingWorld, model: TextModel, rows: I32) -> F32:
    """(n, D) from the tags, which is the text a request-time catalogue keeps."""
    videos = world.videos
    tags = [[videos.tags.names[tag] for tag in videos.tag[row] if tag > 0] for row in rows]
    languages = [
        language_of(videos.languages.names[videos.language[row]], " ".join(words))
        for row, words in zip(rows, tags, strict=True)
    ]
    return model.transform([text_of("", "", words) for words in tags], languages)


def extended(placement: Placement, new: I32, catalogue: int) -> Placement:
    """The placement with ``new`` catalogue rows appended after the artifact's."""
    positions = np.full(catalogue, -1, np.int32)
    positions[: min(catalogue, len(placement.positions))] = placement.positions[:catalogue]
    positions[new] = len(placement.rows) + np.arange(len(new), dtype=np.int32)
    return Placement(
        np.concatenate([placement.rows, new]),
        positions,
        placement.unservable,
    )
