"""Videos like one video, whoever asks: trained neighbours first, then those that share topics or author."""

from __future__ import annotations

from typing import Final

import numpy as np

from zhiliu.index.exact import top_k
from zhiliu.live.world import World
from zhiliu.types import F32, I32, Candidates

SHARED_AUTHOR: Final = 0.5
"""Against 1 for each shared topic."""


def like_this(world: World, video: int, k: int) -> Candidates:
    """At most ``k`` visible videos like catalogue row ``video``, best first, with ``score`` (C,).

    Neighbours of the artifact score 1 and above, in their order; the others, below 1, are what a video newer than
    the artifact has.
    """
    likeness = alike(world, video)  # (N,) in [0, 1)
    rows = neighbours(world, video)
    likeness[rows] = 1 + np.arange(len(rows), 0, -1, dtype=np.float32) / max(1, len(rows))
    likeness[~world.videos.visible] = -np.inf
    likeness[video] = -np.inf
    best = top_k(likeness, k)
    best = best[likeness[best] > 0]
    return Candidates(best.astype(np.int32), {"score": likeness[best]})


def neighbours(world: World, video: int) -> I32:
    """Rows of the artifact's neighbour list, best first; empty without one."""
    artifact = world.artifact
    position = int(world.artifact_pos[video]) if video < len(world.artifact_pos) else -1
    if artifact is None or position < 0 or not artifact.has("similar_ids.npy"):
        return np.zeros(0, np.int32)
    near = np.asarray(artifact.array("similar_ids")[position])
    rows: I32 = world.artifact_rows[near[near >= 0]]
    there: I32 = rows[rows >= 0]
    return there


def alike(world: World, video: int) -> F32:
    """(N,) shared topics and author, from 0 to just below 1."""
    videos = world.videos
    mine = videos.tag[video]
    shared = np.zeros(len(videos), np.float32)
    for code in mine[mine > 0]:
        shared += (videos.tag == code).any(1)
    shared += SHARED_AUTHOR * (videos.author == videos.author[video])
    return shared / np.float32(len(mine) + 1)
