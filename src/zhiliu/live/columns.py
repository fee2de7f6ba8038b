"""Many events as columns → what they add to counters: the rules of ``labels.interactions``, one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features.context import surface_code
from zhiliu.features.counters import Increments
from zhiliu.labels.interactions import increments, labelled
from zhiliu.types import HEADS


def known_part(events: pl.DataFrame, videos: VideoColumns) -> pl.DataFrame:
    """Events before the first about a video that the catalogue does not have, with ``video_row`` (-1: none)."""
    ids = pl.DataFrame(
        {"video_id": videos.ids, "video_row": pl.arange(len(videos), dtype=pl.Int32, eager=True)}
    )
    found = events.join(
        ids.filter(pl.col("video_id") != ""), on="video_id", how="left", maintain_order="left"
    )
    unknown = found["video_id"].is_not_null() & found["video_row"].is_null()
    end = unknown.arg_max() if unknown.any() else len(found)
    return found.head(end or 0).with_columns(pl.col("video_row").fill_null(-1))


def increments_of(events: pl.DataFrame, videos: VideoColumns) -> Increments:
    """What events of :func:`known_part` add; (E,) may be fewer than came in."""
    lengths = pl.DataFrame(
        {
            "video_row": pl.arange(len(videos), dtype=pl.Int32, eager=True),
            "duration_ms": videos.duration_ms,
        }
    )
    added = increments(labelled(events, lengths))
    names = added["surface"].unique()
    code_of = {name: surface_code(name) for name in names}
    surface = (
        added["surface"].replace_strict(code_of, return_dtype=pl.Int32) if len(added) else added["surface"]
    )
    said: Mapping[str, NDArray[Any]] = {
        name: added[name].cast(pl.Float64).to_numpy() for name in ("shown", *HEADS, "ratio")
    }
    return Increments.of(
        added["video_row"].to_numpy(),
        surface.cast(pl.Int32).to_numpy() if len(added) else np.zeros(0, np.int32),
        added["time_ms"].to_numpy(),
        said,
    )
