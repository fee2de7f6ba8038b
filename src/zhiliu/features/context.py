"""Where and when: surface, hour, weekday. Codes are fixed, so a history means the same in every process."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiliu.types import I32, I64, Query

SURFACES: tuple[str, ...] = (
    "unknown", "for_you", "discover", "following", "review", "history", "search", "share",
    *(f"tab{i}" for i in range(16)),
)  # fmt: skip
SURFACE_CODES = 64
"""Codes in use: the named ones first, other names hashed into the rest."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@lru_cache(maxsize=4096)
def surface_code(surface: str) -> int:
    """Code of a surface, the same in every process."""
    if surface in SURFACES:
        return SURFACES.index(surface)
    return len(SURFACES) + zlib.crc32(surface.encode()) % (SURFACE_CODES - len(SURFACES))


def surface_of(query: Query) -> int:
    """Code of where a request comes from: the ``tab`` its client names, else the page."""
    return surface_code(str(query.context.get("tab") or query.surface))


def hour_of_day(now_ms: I64, timezone_offset_h: float) -> I32:
    """Local hour 0–23, same shape as ``now_ms``."""
    hours: NDArray[Any] = (now_ms + int(timezone_offset_h * HOUR_MS)) // HOUR_MS % 24
    return hours.astype(np.int32)


def weekday(now_ms: I64, timezone_offset_h: float) -> I32:
    """Local weekday, Monday 0; 1 Jan 1970 was a Thursday."""
    days: NDArray[Any] = ((now_ms + int(timezone_offset_h * HOUR_MS)) // DAY_MS + 3) % 7
    return days.astype(np.int32)


def local_midnight_ms(now_ms: I64, timezone_offset_h: float) -> I64:
    """Start of the local day, same shape as ``now_ms``."""
    offset = int(timezone_offset_h * HOUR_MS)
    midnight: I64 = (now_ms + offset) // DAY_MS * DAY_MS - offset
    return midnight


LOGGED = SURFACES.index("history")
"""Surface of imported exposures of which only long views and likes are known."""
