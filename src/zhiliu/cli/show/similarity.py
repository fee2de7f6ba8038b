"""``zhiliu show similarity``: the nearest videos of a person (user–content scores) or of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiliu.cli.show.scene import Scene, ShowError
from zhiliu.cli.show.text import heading, section, video
from zhiliu.index.exact import ExactIndex, Metric
from zhiliu.registry import is_fed, load, make
from zhiliu.sources.placement import Placement
from zhiliu.types import F32, I32, Query

VECTORS = ("als", "two_tower", "text")
"""Models that place people and videos in one space; ``similar`` has neighbour lists instead."""


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors of one retrieval model."""

    source: Any
    vectors: F32  # (N, D)
    level: F32 | None  # (N,) what each video has for everybody; part of dot products with people
    rows: I32  # (N,) catalogue rows, -1 if gone
    placement: Placement

    def videos(self, metric: Metric) -> F32:
        """(N, D') sides of a product with people: by dot it is the score that retrieval ranks by."""
        if metric == "cosine" or self.level is None:
            return np.ascontiguousarray(self.vectors)
        return np.column_stack([self.vectors, self.level])

    def person(self, query: Query, metric: Metric) -> F32 | None:
        """(D',) the other side; None when the model knows nothing of the person."""
        vector: F32 = self.source.person(query)[: self.vectors.shape[1]]
        if not vector.any():
            return None
        return vector if metric == "cosine" or self.level is None else np.append(vector, np.float32(1))


def space_of(scene: Scene, model: str) -> Space:
    """The space of a model of the artifact.

    Raises:
        ShowError: the artifact has it not.

    """
    source = source_of(scene, model)
    placement: Placement = source.placement
    return Space(source, source.vectors, getattr(source, "level", None), placement.rows, placement)


def source_of(scene: Scene, model: str) -> Any:
    """The source of a model, as the feed uses it.

    Raises:
        ShowError: the artifact has it not.

    """
    if scene.world.artifact is None:
        raise ShowError(f"{scene.notes[0]}; similarity is between trained vectors")
    if not is_fed(load("zhiliu.sources", model), scene.world):
        there = [name for name in (*VECTORS, "similar") if is_fed(load("zhiliu.sources", name), scene.world)]
        raise ShowError(
            f"model {scene.model} has no part {model!r}; it has: {', '.join(there) or 'none'}; "
            f"train it with: zhiliu train --retrieval {model}"
        )
    return make("zhiliu.sources", model, scene.world)


def near_person(scene: Scene, person: str, model: str, metric: Metric, top: int) -> dict[str, Any]:
    """The videos with the highest user–content score, seen ones marked."""
    query = scene.query(person)
    if model == "similar":
        found = source_of(scene, model).retrieve(query, top)
        rows, scores = found.video, found["score"] if len(found) else np.zeros(0, np.float32)
    else:
        space = space_of(scene, model)
        vector = space.person(query, metric)
        if vector is None:
            rows, scores = np.zeros(0, np.int32), np.zeros(0, np.float32)
        else:
            index = ExactIndex(space.videos(metric), metric)
            rows, scores = placed(space, index.search(vector[None], top, space.placement.unservable))
    if not len(query.history):
        scene.notes.append(f"{person} has no history 没有历史")
    if not len(rows):
        scene.notes.append(
            f"{model} knows nothing of {person} 此模型不了解该用户; two_tower needs no history"
        )
    seen = {*query.history.video.tolist(), *query.seen.tolist()}
    return answer(scene, {"person": person}, model, metric, rows, scores, seen)


def near_video(scene: Scene, video_id: str, model: str, metric: Metric, top: int) -> dict[str, Any]:
    """The videos nearest to one; by dot without the level that every video has for people.

    Raises:
        ShowError: no such video, or one that the model has not met.

    """
    row = scene.row(video_id)
    source = source_of(scene, model)
    position = int(source.placement.of_videos(np.array([row]))[0])
    if position < 0:
        raise ShowError(f"video {video_id!r} is newer than model {scene.model}; train again to place it")
    if model == "similar":
        near = source.ids[position] >= 0
        ids, scores = source.ids[position][near], source.scores[position][near]
        able = ~np.isin(ids, source.placement.unservable)
        rows, scores = source.placement.rows[ids[able]][:top], scores[able][:top]
    else:
        space = space_of(scene, model)
        itself = np.append(space.placement.unservable, np.int32(position))
        index = ExactIndex(np.ascontiguousarray(space.vectors), metric)
        rows, scores = placed(space, index.search(space.vectors[position][None], top, itself))
    return answer(scene, {"video_id": video_id}, model, metric, rows, scores, set())


def placed(space: Space, found: tuple[I32, F32]) -> tuple[I32, F32]:
    """Catalogue rows and scores of a search of one query."""
    ids, scores = found[0][0], found[1][0]
    real = ids >= 0
    return space.rows[ids[real]], scores[real]


def answer(
    scene: Scene, of: dict[str, Any], model: str, metric: Metric, rows: I32, scores: F32, seen: set[int]
) -> dict[str, Any]:
    """The facts of a list of neighbours."""
    items = [
        scene.named(row)
        | {"score": round(float(score), 6)}
        | ({"seen": row in seen} if "person" in of else {})
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]
    metric_told = metric if model in VECTORS else "co-watching"
    return {**of, **scene.head(), "similarity": model, "metric": metric_told, "items": items}


# -- for people --------------------------------------------------------------------------------------------


def similarity_text(facts: Mapping[str, Any], offset_h: float) -> str:
    """The same, to read."""
    whom = f"person 用户 {facts['person']}" if "person" in facts else f"video 视频 {facts['video_id']}"
    rows = [
        [place, f"{one['score']:.4f}", video(one), "seen 看过" if one.get("seen") else ""]
        for place, one in enumerate(facts["items"], start=1)
    ]
    title = f"nearest videos 最相近的视频: {facts['similarity']}, {facts['metric']}"
    return "\n".join([*heading(facts, whom, offset_h), *section(title, rows)])
