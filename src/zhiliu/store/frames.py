"""A frame as the caller has it → the columns of a table, or an error that names column, row and value."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import polars as pl

from zhiliu.store.errors import BulkError
from zhiliu.store.rows import EVENT_COLUMNS, to_json
from zhiliu.types import Event, EventType, Person, Video

INTEGERS: Final = frozenset(
    {"time", "position_ms", "watch_ms", "duration_ms", "published_ms", "follow_count", "fan_count",
     "friend_count", "registered_ms"}
)  # fmt: skip
SECONDS_BELOW_MS: Final = 100_000_000_000
"""A time below this (1973) was given in seconds."""
decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def events_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns ``EVENT_COLUMNS``, in the order of the frame.

    Raises:
        BulkError: see the module.

    """
    full = conform(frame, Event)
    kinds = [kind.value for kind in EventType]
    refuse(full, "type", ~pl.col("type").is_in(kinds), f"an event type: {', '.join(kinds)}")
    refuse(full, "time", pl.col("time") < SECONDS_BELOW_MS, "ms UTC; this looks like seconds")
    nobody = pl.col("person_id").is_null() & pl.col("session_id").is_null()
    refuse(full, "person_id", nobody, "set, or session_id is")
    person = pl.coalesce("person_id", pl.lit("session:") + pl.col("session_id")).alias("person")
    account = pl.col("person_id").is_not_null().cast(pl.Int16).alias("has_account")
    return full.with_columns(person, account).select(EVENT_COLUMNS)


def videos_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of the table but the row number; of equal ids the last, where it first came."""
    return last_of_each(conform(frame, Video), "video_id")


def people_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of the table; of equal ids the last, where it first came."""
    return last_of_each(conform(frame, Person), "person_id")


def last_of_each(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """One row a key: its last values at its first place."""
    first = pl.col("#place").min().over(key)
    placed = frame.with_row_index("#place").with_columns(first)
    return placed.unique(key, keep="last", maintain_order=True).sort("#place").drop("#place")


def conform(frame: pl.DataFrame, struct: type[Event | Video | Person]) -> pl.DataFrame:
    """Every field of the struct as a column of its storage type, defaults filled in."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    unknown = [name for name in frame.columns if name not in fields]
    if unknown:
        raise BulkError(f"unknown column {unknown[0]!r}; the columns are {', '.join(fields)}")
    columns = []
    for name, field in fields.items():
        if field.required and name not in frame.columns:
            raise BulkError(f"column {name!r} is missing; every {struct.__name__.lower()} needs it")
        default = None if name == "props" or field.default is msgspec.NODEFAULT else field.default
        columns.append(column_of(frame, name, default))
    full = pl.DataFrame(columns)
    for name, field in fields.items():
        if field.required:
            refuse(full, name, pl.col(name).is_null(), "set")
    for name in ("event_id", "person_id", "session_id", "video_id", "author_id", "request_id"):
        if name in fields:
            size = pl.col(name).str.len_chars()
            refuse(full, name, (size < 1) | (size > 256), "1 to 256 characters long")
    for name, kind in full.schema.items():
        if kind == pl.String:
            refuse(full, name, pl.col(name).str.contains("\0", literal=True), "text without NUL characters")
    return full.with_columns(checked_props(full["props"]))


def column_of(frame: pl.DataFrame, name: str, default: Any) -> pl.Series:
    """One column cast to its storage type."""
    if name == "tags":
        return tags_text(frame)
    kind = pl.Int64 if name in INTEGERS else pl.String
    if name not in frame.columns:
        return pl.repeat(default, len(frame), dtype=kind, eager=True).alias(name)
    series = frame[name]
    if kind == pl.String and not isinstance(series.dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise BulkError(f"column {name!r} is {series.dtype}; it must be text")
    try:
        cast = series.cast(kind)
    except pl.exceptions.PolarsError as error:
        raise BulkError(f"column {name!r} is {series.dtype}; it must hold whole numbers ({error})") from None
    if series.dtype.is_float() and (cast != series).any():
        raise BulkError(
            f"column {name!r} holds {series.filter(cast != series)[0]}; it must hold whole numbers"
        )
    return cast if default is None else cast.fill_null(default)


def tags_text(frame: pl.DataFrame) -> pl.Series:
    """List[str] as JSON text; each distinct list is written once."""
    if "tags" not in frame.columns:
        return pl.Series("tags", ["[]"] * len(frame), pl.String)
    tags = frame["tags"]
    if tags.dtype != pl.List(pl.String):
        raise BulkError(f"column 'tags' is {tags.dtype}; it must be a list of texts")
    return pl.Series("tags", [to_json(one or []) for one in tags.to_list()], pl.String)


def checked_props(props: pl.Series) -> pl.Series:
    """JSON text, ``{}`` as null. What is not an object now would stop every reader of the log later."""
    for text in props.unique().drop_nulls():
        try:
            decode_object(text)
        except msgspec.MsgspecError:
            row = props.index_of(text)
            raise BulkError(f"column 'props', row {row}: {text[:80]!r} is not a JSON object") from None
    return props.replace({"{}": None}) if props.dtype == pl.String else props


def refuse(frame: pl.DataFrame, name: str, wrong: pl.Expr, right: str) -> None:
    """Raise for the first row where ``wrong`` is true."""
    rows = frame.select(wrong.fill_null(False).arg_true()).to_series()
    if len(rows):
        row = rows[0]
        raise BulkError(
            f"column {name!r}, row {row}: {frame[name][row]!r}; it must be {right} ({len(rows)} rows)"
        )
