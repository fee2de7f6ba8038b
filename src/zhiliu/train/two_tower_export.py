"""Trained towers → files, with the proof that onnxruntime computes what torch did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from zhiliu.models.two_tower import PersonTower, VideoTower
from zhiliu.train.export import export
from zhiliu.train.two_tower_data import Examples

PARITY_ROWS = 64


@torch.no_grad()
def export_towers(examples: Examples, videos: VideoTower, people: PersonTower, out: Path) -> float:
    """Write the vectors and the person tower; the largest difference between torch and onnxruntime.

    Raises:
        TrainError: they differ by more than 1e-4.

    """
    content, ranking = examples.catalogue(videos.eval())
    np.save(out / "two_tower_video.npy", ranking.numpy())
    np.save(out / "two_tower_past.npy", content.numpy())
    usable = np.flatnonzero(examples.chance > 0)
    picked = usable[np.linspace(0, len(usable) - 1, PARITY_ROWS).astype(np.int64)]  # few rows repeat
    batch = examples.batch(picked)
    inputs = {
        "past": content[batch.unique[batch.past]],
        "kind": batch.kind,
        "gap": batch.gap,
        "mask": batch.mask,
        "codes": batch.codes,
        "numeric": batch.numeric,
    }
    return export(people, inputs, set(inputs), "person", out / "two_tower_person.onnx")
