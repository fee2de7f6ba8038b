"""What the person tower is told: one preparation for training and for a request."""

from __future__ import annotations

import numpy as np

from zhiliu.features import profile
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.types import F32, I64, Person

NUMERIC = len(profile.NUMERIC) + 1
"""Numeric profile and log rows of the past."""


def profile_codes(vocabulary: ProfileVocabulary, person: Person | None) -> I64:
    """(F,) codes of all fields in one number space: field i starts where field i - 1 ended. At least one code."""
    if not vocabulary.fields:
        return np.zeros(1, np.int64)
    starts = np.concatenate([[0], np.cumsum(vocabulary.sizes())[:-1]])
    codes: I64 = (starts + vocabulary.encode(person)).astype(np.int64)
    return codes


def profile_numeric(person: Person | None, now_ms: int, rows: int) -> F32:
    """(NUMERIC,) log counts, about ±1: divided by 5."""
    return np.append(profile.numeric(person, now_ms), np.log1p(rows)).astype(np.float32) / np.float32(5)
