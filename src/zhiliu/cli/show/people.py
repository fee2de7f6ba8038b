"""``zhiliu show similarity --people``: the user–content matrix of many people, streamed; only the top is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from zhiliu.cli.show.scene import Scene, ShowError
from zhiliu.cli.show.similarity import Space, space_of
from zhiliu.index.exact import Metric, top_k_per_person

BATCH = 512
"""People whose vectors are held at once."""
SCHEMA = pa.schema(
    [("person_id", pa.string()), ("rank", pa.int32()), ("video_id", pa.string()), ("score", pa.float32())]
)


def people_of(file: Path) -> list[str]:
    """Ids of a text file, one a line, or of column ``person_id`` of a Parquet or CSV file; each once.

    Raises:
        ShowError: no file, no such column, nobody in it.

    """
    try:
        if file.suffix == ".parquet":
            ids = pl.read_parquet(file, columns=["person_id"])["person_id"].cast(pl.String).to_list()
        elif file.suffix == ".csv":
            ids = pl.read_csv(file, columns=["person_id"], infer_schema=False)["person_id"].to_list()
        else:
            ids = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ShowError(f"no file {file}") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise ShowError(
            f"{file} cannot be read: {why}; give one id a line, or .parquet or .csv with column person_id"
        ) from None
    people = list(dict.fromkeys(name.strip() for name in ids if name and name.strip()))
    if not people:
        raise ShowError(f"{file} names nobody; give one id a line")
    return people


def write_nearest(
    scene: Scene,
    people: Sequence[str],
    out: Path,
    model: str,
    metric: Metric,
    top: int,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """One row a person and video, best first; the file appears when it is whole."""
    space = space_of(scene, model)
    staging = out.with_name(f".{out.name}-{os.getpid()}")
    rows = done = 0
    try:
        with pq.ParquetWriter(staging, SCHEMA) as writer:
            for asked, placed, table in nearest(scene, space, people, metric, top):
                writer.write_table(table)
                rows += len(table)
                done += placed
                progress(asked / len(people))
        staging.replace(out)
    finally:
        staging.unlink(missing_ok=True)
    if done < len(people):
        scene.notes.append(f"{model} knows nothing of {len(people) - done} people 此模型不了解这些用户")
    return {
        **scene.head(),
        "similarity": model,
        "metric": metric,
        "people": len(people),
        "placed": done,
        "rows": rows,
        "out": str(out),
    }


def nearest(
    scene: Scene, space: Space, people: Sequence[str], metric: Metric, top: int
) -> Iterator[tuple[int, int, pa.Table]]:
    """Batches of (people asked so far, people placed in this batch, their rows)."""
    able = np.setdiff1d(np.arange(len(space.rows)), space.placement.unservable)
    videos = space.videos(metric)[able]  # (V, D')
    ids = np.array([scene.world.videos.ids[row] for row in space.rows[able].tolist()], np.object_)
    for first in range(0, len(people), BATCH):
        batch = people[first : first + BATCH]
        vectors = {name: space.person(scene.query(name), metric) for name in batch}
        placed = {name: vector for name, vector in vectors.items() if vector is not None}
        if not placed or not len(able):
            yield first + len(batch), 0, SCHEMA.empty_table()
            continue
        found, scores = top_k_per_person(np.stack(list(placed.values())), videos, top, metric)
        k = found.shape[1]
        columns = [
            pa.array(np.repeat(np.array(list(placed), np.object_), k), pa.string()),
            pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), len(placed))),
            pa.array(ids[found.ravel()], pa.string()),
            pa.array(scores.ravel()),
        ]
        yield first + len(batch), len(placed), pa.Table.from_arrays(columns, schema=SCHEMA)
