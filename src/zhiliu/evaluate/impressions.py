"""Score any impressions file in KuaiRand's columns with the model of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zhiliu.artifact import Artifact
from zhiliu.evaluate.impression_checks import first_fault, whole
from zhiliu.evaluate.ranking import Rows
from zhiliu.events.connectors.kuairand_impressions import surface_of_tab
from zhiliu.features.builder import Features
from zhiliu.labels.rules import COMPLETE_RATIO
from zhiliu.rank.model import RankerModel
from zhiliu.train.log import TrainingLog, surface_codes
from zhiliu.types import F32, HEADS, I32, I64

State = Literal["frozen", "live"]
"""``frozen``: nothing after the training cut is known, not even counts. ``live``: what a running server would
know at the moment of each impression, everything strictly before it."""

COLUMNS = {
    "click": "is_click", "long_view": "long_view", "like": "is_like", "follow": "is_follow",
    "comment": "is_comment", "share": "is_forward", "hide": "is_hate",
}  # fmt: skip
NEEDED = ("user_id", "video_id", "time_ms", "play_time_ms", "duration_ms", "tab", *COLUMNS.values())


class ImpressionsError(Exception):
    """The file is not what it should be; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Impressions:
    """B impressions of a file, in its order."""

    person: I32  # (B,) person row in the log, −1 for somebody new
    group: NDArray[np.int64]  # (B,) codes 0 … G-1 of the people of the file
    names: list[str]  # (B,)
    video: I32  # (B,) catalogue row
    surface: I32  # (B,)
    time_ms: I64  # (B,)
    labels: F32  # (B, P)
    left_out: int
    """Rows whose video is not in the catalogue."""

    def rows(self) -> Rows:
        """What ``judge`` reads."""
        return Rows(self.group, self.labels)


def read_impressions(file: Path, log: TrainingLog) -> Impressions:
    """Open a Parquet or CSV file.

    Raises:
        ImpressionsError: unreadable, a column missing, a wrong cell, no row with a known video.

    """
    try:
        frame = pl.read_csv(file) if file.suffix == ".csv" else pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ImpressionsError(f"{file}: cannot be read as {file.suffix or 'Parquet'}: {error}") from None
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise ImpressionsError(f"{file}: column {', '.join(missing)} missing; needed: {', '.join(NEEDED)}")
    if fault := first_fault(frame, tuple(COLUMNS.values())):
        raise ImpressionsError(f"{file}: {fault}")
    rows = frame.select(
        pl.col("user_id", "video_id").cast(pl.String), *(whole(name).alias(name) for name in NEEDED[2:])
    )
    video = codes(rows["video_id"], log.videos.row_of)
    known = video >= 0
    rows, video = rows.filter(pl.Series(known)), video[known]
    if rows.is_empty():
        raise ImpressionsError(f"{file}: no row names a video of this workspace; import its catalogue first")
    people = {name: i for i, name in enumerate(log.people)}
    names = rows["user_id"].to_list()
    surfaces = rows.select(surface_of_tab(pl.col("tab")).alias("surface"))["surface"]
    return Impressions(
        person=codes(rows["user_id"], people),
        group=rows["user_id"].rank("dense").to_numpy().astype(np.int64) - 1,
        names=names,
        video=video,
        surface=surface_codes(surfaces),
        time_ms=rows["time_ms"].to_numpy(),
        labels=labels_of(rows),
        left_out=int((~known).sum()),
    )


def labels_of(rows: pl.DataFrame) -> F32:
    """(B, P) in the order of HEADS."""
    complete = (pl.col("duration_ms") > 0) & (
        pl.col("play_time_ms") >= COMPLETE_RATIO * pl.col("duration_ms")
    )
    columns = [complete.alias(h) if h == "complete" else pl.col(COLUMNS[h]).alias(h) for h in HEADS]
    return rows.select(columns).cast(pl.Float32).to_numpy()


def codes(names: pl.Series, place: dict[str, int]) -> I32:
    """(B,) number of each name, −1 when unknown."""
    return np.array([place.get(name, -1) for name in names.to_list()], np.int32)


def features_of(
    impressions: Impressions, log: TrainingLog, state_ms: I64, window: int
) -> Iterator[tuple[slice, Features]]:
    """Features of the impressions in chunks, as known at ``state_ms`` (B,)."""
    i = impressions
    return log.features(i.person, i.video, i.surface, i.time_ms, state_ms, window)


def state_at(impressions: Impressions, state: State, until_ms: int) -> I64:
    """(B,) up to when facts count."""
    return impressions.time_ms if state == "live" else np.minimum(impressions.time_ms, until_ms)


def score(
    artifact: Artifact,
    log: TrainingLog,
    impressions: Impressions,
    state: State,
    progress: Callable[[float], None] | None = None,
) -> dict[str, F32]:
    """Head → (B,) calibrated probabilities of the artifact's ranker."""
    model = RankerModel(artifact, log.videos, one_person=False)
    parts: list[dict[str, F32]] = []
    if "numeric" not in model.inputs:
        none = np.zeros((len(impressions.video), 0), np.int32)
        return model.predict(None, impressions.video, none, impressions.names)
    state_ms = state_at(impressions, state, int(artifact.manifest["until_ms"]))
    codes_of_people = np.stack([*(model.codes(p) for p in log.profiles), model.codes(None)])
    for cut, features in features_of(impressions, log, state_ms, model.window):
        person = codes_of_people[impressions.person[cut]]  # −1 is the last row: nobody known
        parts.append(model.predict(features, impressions.video[cut], person, impressions.names[cut]))
        if progress is not None:
            progress(min(1.0, cut.stop / len(impressions.video)))
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
