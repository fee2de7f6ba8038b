"""Examples of the two towers: who (past and profile before the moment) watched what, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zhiliu.features import profile
from zhiliu.features.context import DAY_MS, local_midnight_ms
from zhiliu.features.interest import gap_bucket, interest, kinds
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.features.tower import NUMERIC, profile_codes, profile_numeric
from zhiliu.features.video import FRESH_DAYS, duration_bucket, fresh_days
from zhiliu.models.two_tower import TwoTowerShape, VideoTower
from zhiliu.train.log import TrainingLog
from zhiliu.train.retrieval_data import POPULARITY_HALF_LIFE_MS, log_level, long_views
from zhiliu.types import F32, I64

FEWEST_ROWS = 3
"""Videos with fewer rows in the log keep their id silent: content speaks for them."""
DAYS = 40
"""Days before the cut with their own popularity; older examples are told none, not that of a later day."""
REGISTERED = profile.NUMERIC.index("registered_days")


@dataclass(frozen=True, slots=True)
class Batch:
    """B examples; ``unique`` are the n videos they touch, ``past`` and ``place`` point into it."""

    unique: Tensor  # (n,)
    past: Tensor  # (B, T) positions in unique
    place: Tensor  # (B,) position of the target in unique
    video: Tensor  # (B,) target, catalogue row
    kind: Tensor  # (B, T)
    gap: Tensor  # (B, T)
    mask: Tensor  # (B, T) 1.0 or 0.0
    codes: Tensor  # (B, F)
    numeric: Tensor  # (B, NUMERIC)
    level: Tensor  # (B, 2) of the target: log recent popularity, age
    log_q: Tensor  # (B,)


@dataclass(frozen=True, slots=True)
class Examples:
    """Every row of the log is one example: its person's past → its video, weighted by interest."""

    log: TrainingLog
    until_ms: int
    history: int
    chance: NDArray[np.float64]  # (R,) sums to 1
    log_q: F32  # (N,)
    known: Tensor  # (N,)
    columns: tuple[Tensor, ...]  # author (N,), tag (N, TAGS), language (N,), bucket (N,), text (N, Dt)
    vocabulary: ProfileVocabulary
    codes: I64  # (U, F)
    numeric: F32  # (U, NUMERIC - 1); days since registration and the row count come per example
    registered_ms: I64  # (U,) 0: not told
    popularity: F32  # (DAYS + 1, N) log level at the start of each day, the last one at until_ms
    day_start_ms: int

    @classmethod
    def of(
        cls, log: TrainingLog, text: F32 | None, until_ms: int, history: int, half_life_ms: float
    ) -> Examples:
        """Prepare everything that does not change from batch to batch."""
        n, videos = len(log.videos), log.videos
        weight = interest(log.labels)
        age_ms = log.history.time_ms.max() - log.history.time_ms
        chance = weight.astype(np.float64) * np.exp2(-age_ms / half_life_ms)
        total = chance.sum()
        if total <= 0:
            raise ValueError(
                f"no row before {until_ms} ms says that anybody was shown anything; import a feed log"
            )
        chance /= total
        q = np.bincount(log.history.video, chance, n)
        vocabulary = ProfileVocabulary.fit([p for p in log.profiles if p is not None])
        popularity, day_start_ms = daily_popularity(log)
        text = np.zeros((n, 1), np.float32) if text is None else text
        if len(text) != n:
            raise ValueError(f"text_video.npy has {len(text)} rows for {n} videos; run the text recipe again")
        return cls(
            log=log,
            until_ms=until_ms,
            history=history,
            chance=chance,
            log_q=np.log(np.maximum(q, 1e-12)).astype(np.float32),
            known=torch.from_numpy(
                (np.bincount(log.history.video, minlength=n) >= FEWEST_ROWS).astype(np.float32)
            ),
            columns=(
                torch.from_numpy(videos.author.astype(np.int64)),
                torch.from_numpy(videos.tag.astype(np.int64)),
                torch.from_numpy(videos.language.astype(np.int64)),
                torch.from_numpy(duration_bucket(videos.duration_ms).astype(np.int64)),
                torch.from_numpy(np.asarray(text, np.float32)),
            ),
            vocabulary=vocabulary,
            codes=np.stack([profile_codes(vocabulary, p) for p in log.profiles]),
            numeric=np.stack([profile_numeric(p, until_ms, 0)[:-1] for p in log.profiles]),
            registered_ms=np.array([p.registered_ms if p else 0 for p in log.profiles], np.int64),
            popularity=popularity,
            day_start_ms=day_start_ms,
        )

    def shape(self, width: int) -> TwoTowerShape:
        """Sizes of the towers for this log."""
        videos = self.log.videos
        return TwoTowerShape(
            videos=len(videos),
            authors=len(videos.authors),
            tags=len(videos.tags),
            languages=len(videos.languages),
            text_width=self.columns[-1].shape[1],
            profile_codes=max(1, sum(self.vocabulary.sizes())),
            profile_numeric=NUMERIC,
            width=width,
        )

    def facts(self, video: Tensor) -> tuple[Tensor, ...]:
        """Content columns of videos (n,), in the order ``VideoTower.content`` takes them."""
        return tuple(column[video] for column in self.columns)

    def split(self, validation_rows: int, rng: np.random.Generator) -> tuple[I64, I64]:
        """(rows to train on, long views of the last day to stop by); with one day only, nothing to stop by."""
        usable = np.flatnonzero(self.chance > 0)
        last = self.last_day_rows()
        train = np.setdiff1d(usable, last)
        if not len(train):
            return usable, np.zeros(0, np.int64)
        held = last[long_views(self.log)[last]]
        held = (
            held
            if len(held) <= validation_rows
            else np.sort(rng.choice(held, validation_rows, replace=False))
        )
        return train, held

    def last_day_rows(self) -> I64:
        """Usable rows of the newest local day."""
        newest = self.log.history.time_ms.max()
        midnight = local_midnight_ms(np.array([newest]), self.log.timezone_offset_h)[0]
        rows: I64 = np.flatnonzero((self.log.history.time_ms >= midnight) & (self.chance > 0))
        return rows

    def draw(self, rows: I64, count: int, rng: np.random.Generator) -> I64:
        """``count`` of the rows by chance (recent and telling ones more often), in random order."""
        cumulative = np.cumsum(self.chance[rows])
        drawn: I64 = rows[np.searchsorted(cumulative, rng.random(min(count, 4 * len(rows))) * cumulative[-1])]
        return drawn

    def batch(self, rows: I64) -> Batch:
        """Tensors of example rows (B,)."""
        log, person, moment_ms = self.log, self.log.person[rows], self.log.history.time_ms[rows]
        past = log.past(person, moment_ms, self.history)  # (B, T)
        mask, at = past >= 0, np.maximum(past, 0)
        labels = log.history.label_ms[at] < moment_ms[:, None, None]
        video = log.history.video[rows].astype(np.int64)
        past_video = np.where(mask, log.history.video[at], video[:, None])
        unique, inverse = np.unique(np.concatenate([video, past_video.ravel()]), return_inverse=True)
        b = len(rows)
        return Batch(
            unique=torch.from_numpy(unique),
            past=torch.from_numpy(inverse[b:].reshape(past.shape)),
            place=torch.from_numpy(inverse[:b]),
            video=torch.from_numpy(video),
            kind=torch.from_numpy(kinds(labels).astype(np.int64)),
            gap=torch.from_numpy(gap_bucket(moment_ms[:, None] - log.history.time_ms[at]).astype(np.int64)),
            mask=torch.from_numpy(mask.astype(np.float32)),
            codes=torch.from_numpy(self.codes[person]),
            numeric=torch.from_numpy(np.column_stack([self.profile(person, moment_ms), rows_told(mask)])),
            level=torch.from_numpy(self.level(video, moment_ms)),
            log_q=torch.from_numpy(self.log_q[video]),
        )

    def level(self, video: NDArray[Any], moment_ms: I64) -> F32:
        """(B, 2) log recent popularity as known at the start of the day, age as a share of the fresh days."""
        day = (moment_ms - self.day_start_ms) // DAY_MS
        told = np.where(day >= 0, self.popularity[np.clip(day, 0, DAYS), video], 0)
        age = fresh_days(moment_ms, self.log.videos.published_ms[video]) / FRESH_DAYS
        return np.column_stack([told, age]).astype(np.float32)

    def profile(self, person: NDArray[Any], moment_ms: I64) -> F32:
        """(B, NUMERIC - 1) profiles as of each moment; ``features.tower.profile_numeric`` for many."""
        since = self.registered_ms[person]
        days = np.where(since > 0, np.maximum(moment_ms - since, 0) / DAY_MS, 0)
        numeric: F32 = self.numeric[person]
        numeric[:, REGISTERED] = np.log1p(days) / 5
        return numeric

    def catalogue(self, tower: VideoTower) -> tuple[Tensor, Tensor]:
        """Content (N, D) and ranking vectors (N, D + 1) of the whole catalogue as of ``until_ms``."""
        every = np.arange(len(self.log.videos))
        age = fresh_days(np.full(len(every), self.until_ms), self.log.videos.published_ms) / FRESH_DAYS
        level = np.column_stack([self.popularity[DAYS], age]).astype(np.float32)
        known = self.known.unsqueeze(1)
        ids = torch.from_numpy(every)
        content = tower.content(ids, known, *self.columns)
        return content, tower(content, ids, known, torch.from_numpy(level))


def rows_told(mask: NDArray[np.bool_]) -> F32:
    """(B,) the last numeric: how long the past is."""
    told: F32 = (np.log1p(mask.sum(1)) / 5).astype(np.float32)
    return told


def daily_popularity(log: TrainingLog) -> tuple[F32, int]:
    """(DAYS + 1, N) log level of decayed long views at the start of each day, and the first day's start in ms.

    The last row holds the state after the newest row. A day's own long views are not in its row.
    """
    n, time_ms = len(log.videos), log.history.time_ms
    midnight = int(local_midnight_ms(np.array([time_ms.max()]), log.timezone_offset_h)[0])
    start = midnight - (DAYS - 1) * DAY_MS
    day = (time_ms - start) // DAY_MS
    rows, video = long_views(log), log.history.video
    early = rows & (day < 0)
    sums = np.bincount(video[early], faded(-1 - day[early]), n)
    levels = np.zeros((DAYS + 1, n), np.float32)
    for d in range(DAYS):
        levels[d] = log_level(sums)
        sums = sums * faded(1) + np.bincount(video[rows & (day == d)], minlength=n)
    levels[DAYS] = log_level(sums)
    return levels, start


def faded(days: NDArray[Any] | int) -> Any:
    """What a long view still weighs after whole days."""
    return np.exp2(-np.asarray(days) * (DAY_MS / POPULARITY_HALF_LIFE_MS))
