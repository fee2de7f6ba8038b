"""A snapshot as training reads it: interactions in arrays, every person's past, counters at any moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zhiliu.catalog.columns import VideoColumns
from zhiliu.features import profile
from zhiliu.features.builder import Features, build
from zhiliu.features.context import DAY_MS, surface_code
from zhiliu.features.counters import STATS, Increments, Replay
from zhiliu.features.history import Ask, Window
from zhiliu.labels.interactions import increments, interactions, load_events
from zhiliu.train.followed import FollowedLikes
from zhiliu.types import F32, HEADS, I32, I64, History, Person, Video

CHUNK = 4096
"""Rows whose features are built at once: small enough for the cache, large enough for numpy."""


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """One row an impression, sorted by person, then time; ``R`` rows of ``U`` people."""

    frame: pl.DataFrame
    videos: VideoColumns
    people: Sequence[str]  # U
    profiles: Sequence[Person | None]  # U
    person: I32  # (R,)
    start: I64  # (U + 1,) first row of each person
    history: History  # (R,) everybody's rows laid one after the other
    labels: F32  # (R, P)
    counters: Replay
    counted: Increments
    followed: FollowedLikes
    timezone_offset_h: float

    @classmethod
    def load(
        cls,
        snapshot: Path,
        *,
        until_ms: int | None = None,
        timezone_offset_h: float = 8.0,
        events: pl.DataFrame | None = None,
    ) -> TrainingLog:
        """Read a snapshot folder; nothing at or after ``until_ms`` is kept, not even in counters.

        ``events`` from ``load_events`` saves reading them again for another cut.

        Raises:
            ValueError: no usable event.

        """
        events = load_events(snapshot) if events is None else events
        if until_ms is not None:
            events = events.filter(pl.col("time_ms") < until_ms)
        if events.is_empty():
            raise ValueError(f"{snapshot}: no event before {until_ms} ms; move the cut or import more")
        videos = read_videos(snapshot)
        frame = interactions(events).sort("person_row", "time_ms", maintain_order=True)
        person = frame["person_row"].to_numpy()
        names = frame.unique("person_row", keep="first", maintain_order=True)["person"].to_list()
        by_id = read_people(snapshot)
        counted = counted_events(events)
        return cls(
            frame=frame,
            videos=videos,
            people=names,
            profiles=[by_id.get(name) for name in names],
            person=person,
            start=np.searchsorted(person, np.arange(len(names) + 1)),
            history=flat_history(frame),
            labels=frame.select(HEADS).to_numpy().astype(np.float32),
            counters=Replay(videos, counted),
            counted=counted,
            followed=FollowedLikes.load(snapshot, videos, names, until_ms),
            timezone_offset_h=timezone_offset_h,
        )

    def __len__(self) -> int:
        return len(self.person)

    def trainable(self) -> NDArray[np.bool_]:
        """(R,) True for real impressions; rows of imported histories have estimated times and half their labels."""
        return ~self.frame["estimated"].to_numpy()

    def past(self, person: I32, state_ms: I64, length: int) -> NDArray[np.int64]:
        """Row numbers (B, length) of each person's newest rows before ``state_ms`` (B,), −1 padded on the left."""
        end = self.rows_before(person, state_ms)
        rows = end[:, None] + np.arange(-length, 0)
        return np.where(rows >= self.start[person][:, None], rows, -1)

    def rows_before(self, person: I32, state_ms: I64) -> I64:
        """(B,) row number after the last row of the person with time < ``state_ms``."""
        since = int(self.history.time_ms.min())
        keys = (self.person.astype(np.int64) << 42) + (self.history.time_ms - since)
        asked = (person.astype(np.int64) << 42) + np.clip(state_ms - since, 0, 2**42 - 1)
        return np.maximum(np.searchsorted(keys, asked, "left"), self.start[person])

    def features(
        self, person: I32, video: I32, surface: I32, now_ms: I64, state_ms: I64, length: int
    ) -> Iterator[tuple[slice, Features]]:
        """Features of B rows in chunks. ``person`` −1 is somebody without a past."""
        known = np.maximum(person, 0)
        windows = self.past(known, np.where(person >= 0, state_ms, 0), length)
        for first in range(0, len(person), CHUNK):
            cut = slice(first, first + CHUNK)
            ask = Ask(video[cut], surface[cut], now_ms[cut], state_ms[cut])
            window = Window.gather(self.history, windows[cut], state_ms[cut])
            profiles = self.profile_numeric(person[cut], state_ms[cut])
            heard = self.followed.at(person[cut], state_ms[cut])
            yield cut, build(ask, window, heard, self.videos, self.counters, profiles, self.timezone_offset_h)

    def profile_numeric(self, person: I32, state_ms: I64) -> F32:
        """(B, 4) numeric profile of each row's person at ``state_ms`` (B,)."""
        at = {
            key: profile.numeric(self.profiles[key[0]] if key[0] >= 0 else None, key[1] * DAY_MS)
            for key in set(zip(person.tolist(), (state_ms // DAY_MS).tolist(), strict=True))
        }
        keys = zip(person.tolist(), (state_ms // DAY_MS).tolist(), strict=True)
        return np.stack([at[key] for key in keys]) if len(person) else np.zeros((0, 4), np.float32)


def counted_events(events: pl.DataFrame) -> Increments:
    """Counter increments of a frame of events in the order of time."""
    rows = increments(events)
    said = {name: rows[name].to_numpy().astype(np.float64) for name in STATS if name != "judged"}
    return Increments.of(
        rows["video_row"].to_numpy(), surface_codes(rows["surface"]), rows["time_ms"].to_numpy(), said
    )


def surface_codes(surface: pl.Series) -> I32:
    """(R,) codes of surface names."""
    names = surface.unique().to_list()
    codes = surface.replace_strict(names, [surface_code(name) for name in names], return_dtype=pl.Int32)
    return codes.to_numpy()


def flat_history(frame: pl.DataFrame) -> History:
    """Everybody's rows as one History, in the order of the frame."""
    return History(
        video=frame["video_row"].to_numpy(),
        time_ms=frame["time_ms"].to_numpy(),
        watch_ms=frame["watch_ms"].to_numpy(),
        watch_known_ms=frame["watch_known_ms"].to_numpy(),
        label_ms=frame.select([f"{head}_ms" for head in HEADS]).to_numpy(),
        surface=surface_codes(frame["surface"]),
    )


def read_videos(snapshot: Path) -> VideoColumns:
    """Catalogue columns of a snapshot."""
    frame = pl.read_parquet(snapshot / "videos.parquet").sort("row")
    return VideoColumns.build((r.pop("row"), video_of(r)) for r in frame.iter_rows(named=True))


def video_of(row: dict[str, Any]) -> Video:
    """One video of a snapshot row."""
    return Video(**{**row, "tags": tuple(row["tags"] or ()), "props": json.loads(row["props"] or "{}")})


def read_people(snapshot: Path) -> dict[str, Person]:
    """Profiles of a snapshot by id."""
    frame = pl.read_parquet(snapshot / "people.parquet")
    rows = frame.iter_rows(named=True)
    return {r["person_id"]: Person(**{**r, "props": json.loads(r["props"] or "{}")}) for r in rows}
