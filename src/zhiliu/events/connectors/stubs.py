"""Catalogue rows for videos of which events tell, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from zhiliu.events.connectors.fields import FIELDS, MAX_ID, ROW

UNKNOWN = "unknown:"
"""Before the video's id: the author of a video of which only the id is known."""


def stubs(video_ids: Iterable[str], durations: pl.DataFrame | None = None) -> pl.DataFrame:
    """Entries with an id, and a duration where ``durations`` (video_id, modal_ms) has one.

    Each has an author of its own: one shared "unknown" would look like a very busy author to every feature.
    """
    known = pl.DataFrame({"video_id": pl.Series(list(video_ids), dtype=pl.String)})
    if durations is None:
        durations = pl.DataFrame(schema={"video_id": pl.String, "modal_ms": pl.Int64})
    known = known.join(durations, on="video_id", how="left", maintain_order="left")
    author = pl.concat_str(pl.lit(UNKNOWN), "video_id").str.head(MAX_ID)
    own = {
        "video_id": pl.col("video_id"),
        "author_id": author,
        "duration_ms": pl.col("modal_ms").fill_null(0),
    }
    empty = {name: pl.lit(field.default, field.dtype) for name, field in FIELDS["videos"].items()}
    columns = [own.get(name, value).alias(name) for name, value in empty.items()]
    return known.select(*columns).with_row_index(ROW, offset=1)
