"""What a person told or was told about: log counts, and categories through a vocabulary fitted in training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from zhiliu.types import F32, I32, Person

NUMERIC: tuple[str, ...] = ("follow_count", "fan_count", "friend_count", "registered_days")
DECLARED: tuple[str, ...] = ("age_band", "gender", "occupation", "language", "activity")
UNKNOWN = Person(person_id="")


def numeric(profile: Person | None, state_ms: int) -> F32:
    """(4,) log1p of counts and of days since registration; zeros for somebody unknown."""
    p = profile or UNKNOWN
    days = (state_ms - p.registered_ms) / 86_400_000 if p.registered_ms > 0 else 0.0
    values = (p.follow_count, p.fan_count, p.friend_count, days)
    return np.array([math.log1p(max(v, 0.0)) for v in values], np.float32)


def fields_of(profile: Person | None) -> dict[str, str]:
    """Categorical fields by name: the declared ones and every scalar in ``props``."""
    p = profile or UNKNOWN
    fields = {name: str(getattr(p, name)) for name in DECLARED}
    scalars = (str, int, float, bool)
    fields |= {f"props.{k}": str(v) for k, v in p.props.items() if isinstance(v, scalars)}
    return fields


class ProfileVocabulary:
    """Field → value → code; code 0 is unknown. Fields with one value only, or with too many, are left out."""

    def __init__(self, codes: dict[str, dict[str, int]]) -> None:
        self.codes = codes
        self.fields: Sequence[str] = tuple(codes)

    @classmethod
    def fit(
        cls, people: Iterable[Person], *, min_count: int = 20, max_values: int = 2000
    ) -> ProfileVocabulary:
        """Values seen at least ``min_count`` times get a code, in order of how often."""
        counts: dict[str, dict[str, int]] = {}
        for person in people:
            for field, value in fields_of(person).items():
                of_field = counts.setdefault(field, {})
                of_field[value] = of_field.get(value, 0) + 1
        codes: dict[str, dict[str, int]] = {}
        for field in sorted(counts):
            common = sorted(
                (v for v, n in counts[field].items() if n >= min_count), key=lambda v: -counts[field][v]
            )
            if len(counts[field]) > 1 and common and len(common) <= max_values:
                codes[field] = {value: i + 1 for i, value in enumerate(common)}
        return cls(codes)

    def encode(self, profile: Person | None) -> I32:
        """(number of fields,) codes of one person."""
        fields = fields_of(profile)
        return np.array([self.codes[f].get(fields.get(f, ""), 0) for f in self.fields], np.int32)

    def sizes(self) -> list[int]:
        """Codes a field has, the unknown one included."""
        return [len(values) + 1 for values in self.codes.values()]
