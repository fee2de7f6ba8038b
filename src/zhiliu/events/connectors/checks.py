"""The rules of ``events.check_batch`` over whole frames: good rows go on, bad ones get field and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from zhiliu.events.check import EARLIEST_MS, FUTURE_MS, MAX_PROPS_BYTES, SECONDS_BELOW, WITHOUT_VIDEO
from zhiliu.events.connectors.casting import Rule, Texts, cast_columns, whole_rows
from zhiliu.events.connectors.fields import FIELDS, ROW, Field, Kind
from zhiliu.events.connectors.mapping import Plan
from zhiliu.types import EventType

YEAR_MS = 31_536_000_000
"""A publication may be planned this far ahead."""
LONGEST_MS = 86_400_000
"""More than a day of one video is a broken player."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One data row (1-based) that was not taken, why, and what it held."""

    line: int
    field: str
    reason: str
    row: dict[str, Any]


def check(
    raw: pl.DataFrame, plan: Plan, name: str, now_ms: int, texts: Texts
) -> tuple[pl.DataFrame, list[RejectedRow]]:
    """Cast and check one chunk.

    ``raw`` has the file's columns and ``#row`` (1-based data row). The frame returned has ``#row`` and every
    field of the kind, in contract types, with defaults filled in.

    Raises:
        FileError: a column has a type that never fits.

    """
    fields = FIELDS[plan.kind]
    wide, rules = cast_columns(raw, fields, plan, name, texts)
    wide, rejected = split(wide, [*rules, *field_rules(fields, now_ms), *_kind_rules(plan.kind, wide)])
    frame = wide.select(
        ROW,
        *(
            pl.col(f"={f}").alias(f)
            if rule.default is None
            else pl.col(f"={f}").fill_null(pl.lit(rule.default, rule.dtype)).alias(f)
            for f, rule in fields.items()
        ),
    )
    return (with_event_ids(frame) if plan.kind == "events" else frame), rejected


def split(frame: pl.DataFrame, rules: Sequence[Rule]) -> tuple[pl.DataFrame, list[RejectedRow]]:
    """Rows that break no rule, and the others with the first rule they break."""
    flags = frame.select(rule.bad.fill_null(value=False).alias(str(i)) for i, rule in enumerate(rules))
    if flags.height == 1 < frame.height:  # every rule was a constant
        flags = flags.select(pl.all().repeat_by(frame.height).explode())
    bad = flags.select(pl.any_horizontal(pl.all())).to_series()
    if not bad.any():
        return frame, []
    first = flags.filter(bad).select(
        pl.coalesce(pl.when(pl.col(str(i))).then(pl.lit(i)) for i in range(len(rules))).alias("rule")
    )
    broken = frame.filter(bad)
    reasons = broken.select(
        rule.reason.fill_null("is missing").alias(f"~{i}") for i, rule in enumerate(rules)
    )
    lines = broken[ROW].to_list()
    rejected = [
        RejectedRow(line, rules[rule].field, str(why[rule]), row)
        for line, rule, why, row in zip(
            lines, first["rule"].to_list(), reasons.iter_rows(), whole_rows(broken), strict=True
        )
    ]
    return frame.filter(~bad), rejected


def field_rules(fields: Mapping[str, Field], now_ms: int) -> list[Rule]:
    """What every field's own rule says about its ``=field`` column."""
    rules: list[Rule] = []
    for name, field in fields.items():
        value = pl.col(f"={name}")
        if field.required:
            rules.append(Rule(name, value.is_null(), pl.lit(f"is missing; must be {field.what}")))
        if field.max_chars:
            rules += _text_rules(name, value, field.max_chars)
        if field.is_time:
            rules += _time_rules(name, value, now_ms, optional=not field.required)
        elif isinstance(field.dtype, pl.Int64):
            rules.append(Rule(name, value < 0, pl.format("is {}; must be {}", value, pl.lit(field.what))))
    return rules


def _kind_rules(kind: Kind, wide: pl.DataFrame) -> list[Rule]:
    if kind == "events":
        return [_props_rule(wide), *_event_rules()]
    if kind == "videos":
        too_long = pl.col("=duration_ms") > LONGEST_MS
        return [_props_rule(wide), Rule("duration_ms", too_long, pl.lit("is more than a day; send ms"))]
    return [_props_rule(wide)]


def _event_rules() -> list[Rule]:
    kind, watch, person, session = (pl.col(f"={f}") for f in ("type", "watch_ms", "person_id", "session_id"))
    types = [t.value for t in EventType]
    needs_video = ~kind.is_in([t.value for t in WITHOUT_VIDEO])
    return [
        Rule("type", ~kind.is_in(types), pl.format("is {}; types are {}", kind, pl.lit(", ".join(types)))),
        Rule("person_id", person.is_null() & session.is_null(), pl.lit("send person_id or session_id")),
        Rule(
            "person_id",
            person.str.starts_with("session:"),
            pl.lit("begins with 'session:'; send that as session_id"),
        ),
        Rule(
            "video_id", needs_video & pl.col("=video_id").is_null(), pl.format("a {} needs a video_id", kind)
        ),
        Rule("watch_ms", watch > LONGEST_MS, pl.format("is {}, more than a day; send ms", watch)),
    ]  # fmt: skip


def _text_rules(name: str, value: pl.Expr, most: int) -> list[Rule]:
    return [
        Rule(
            name,
            value.str.len_chars() > most,
            pl.format("has {} characters; at most %d" % most, value.str.len_chars()),  # noqa: UP031 (two kinds of braces)
        ),
        Rule(name, value.str.contains("\0", literal=True), pl.lit("holds a NUL character; remove it")),
    ]


def _time_rules(name: str, value: pl.Expr, now_ms: int, *, optional: bool) -> list[Rule]:
    given = value != 0 if optional else pl.lit(value=True)
    latest = now_ms + (YEAR_MS if optional else FUTURE_MS)
    rules = [
        Rule(name, given & (value < 0), pl.format("is {}; a time is ms since 1970, UTC", value)),
        Rule(name, given & (value < SECONDS_BELOW), pl.format("is {}: looks like seconds; send ms", value)),
        Rule(name, value > latest, pl.format("is {}, in the future; send ms UTC", value)),
    ]
    if not optional:
        rules.append(Rule(name, value < EARLIEST_MS, pl.format("is {}, before 2000", value)))
    return rules


def _props_rule(wide: pl.DataFrame) -> Rule:
    """Distinct texts only: props repeat, and looking into JSON is the one slow check."""
    distinct = wide["=props"].drop_nulls().unique().to_list()
    bad = [text for text in distinct if not _is_object(text)]
    return Rule(
        "props",
        pl.col("=props").is_in(bad) if bad else pl.lit(value=False),
        pl.format("is {}; must be a JSON object of at most 8192 bytes", pl.col("=props").str.head(80)),
    )


def _is_object(text: str) -> bool:
    if len(text) > MAX_PROPS_BYTES or len(text.encode()) > MAX_PROPS_BYTES:
        return False
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeError):
        return False


def with_event_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Give rows without ``event_id`` one made of their content, so that a repeat is the same event.

    Content and not place: the same row in a longer export of the same log must not count twice.
    """
    if not frame["event_id"].null_count():
        return frame
    bare = frame["event_id"].is_null()
    content = frame.filter(bare).select(
        pl.struct(pl.exclude(ROW, "event_id")).struct.json_encode()
    )  # fields in contract order
    made = [
        f"row:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
        for text in content.to_series().to_list()
    ]
    ids = frame["event_id"].to_list()
    fresh = iter(made)
    return frame.with_columns(
        event_id=pl.Series([next(fresh) if i is None else i for i in ids], dtype=pl.String)
    )
