"""A file's columns → the fields' own types, remembering which cells would not go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from zhiliu.events.connectors.fields import ROW, Field, FileError
from zhiliu.events.connectors.mapping import Plan

Texts = Literal["csv", "json", "typed"]
"""What text in a file means: anything (csv), a piece of JSON (jsonl props), or text (parquet)."""

ISO = 0.0
WHOLE_MS = "%+"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row for which ``bad`` is true is rejected: ``field``, and ``reason`` (an expression giving text)."""

    field: str
    bad: pl.Expr
    reason: pl.Expr


@dataclass(frozen=True, slots=True)
class Cast:
    """One field's expression and the rule that catches cells lost on the way."""

    value: pl.Expr
    lost: Rule | None = None


def cast_columns(
    raw: pl.DataFrame, fields: Mapping[str, Field], plan: Plan, name: str, texts: Texts
) -> tuple[pl.DataFrame, list[Rule]]:
    """Add every field as ``=field`` beside the file's own columns.

    Returns the wider frame and a rule a column for cells that have another type.

    Raises:
        FileError: a column whose type can never become the field's.

    """
    values: list[pl.Expr] = []
    rules: list[Rule] = []
    for target, field in fields.items():
        cast = _cast(target, field, raw, plan, name, texts)
        values.append(cast.value.alias(f"={target}"))
        if cast.lost is not None:
            rules.append(cast.lost)
    return raw.with_columns(values), rules


def _cast(target: str, field: Field, raw: pl.DataFrame, plan: Plan, name: str, texts: Texts) -> Cast:
    if target == "props" and plan.props:
        return Cast(_gather(plan.props, raw, texts))
    if target in plan.columns:
        column = plan.columns[target]
        return _convert(target, field, pl.col(column), raw.schema[column], plan.factor.get(target, 1.0), name)
    if target in plan.constants:
        return _convert(target, field, pl.lit(plan.constants[target]), pl.String(), 1.0, name)
    return Cast(pl.lit(None, field.dtype))


def _convert(target: str, field: Field, cell: pl.Expr, dtype: pl.DataType, factor: float, name: str) -> Cast:
    """The cast of one column."""
    if isinstance(dtype, pl.Null):
        return Cast(pl.lit(None, field.dtype))
    if isinstance(dtype, pl.Categorical | pl.Enum):
        cell, dtype = cell.cast(pl.String()), pl.String()
    value: pl.Expr | None
    if isinstance(field.dtype, pl.Int64):
        value = _whole(cell, dtype, factor, is_time=field.is_time)
    elif isinstance(field.dtype, pl.List):
        value = _listed(cell, dtype)
    elif target == "props":
        value = cell.struct.json_encode() if isinstance(dtype, pl.Struct) else _text(cell, dtype)
    else:
        value = _text(cell, dtype)
    if value is None:
        raise FileError(f"{name}: column for {target!r} is {dtype}; it must hold {field.what}")
    if isinstance(dtype, pl.String):
        cell = pl.when(cell != "").then(cell)  # an empty cell is no value
    if isinstance(dtype, pl.List | pl.Struct):
        return Cast(value)
    lost = Rule(target, cell.is_not_null() & value.is_null(), _saw(cell, field.what))
    return Cast(value, lost)


def _whole(cell: pl.Expr, dtype: pl.DataType, factor: float, *, is_time: bool) -> pl.Expr | None:
    """Int64, or null where the cell is no whole number."""
    if isinstance(dtype, pl.Datetime) and is_time:
        return cell.dt.epoch("ms")
    if isinstance(dtype, pl.Date) and is_time:
        return cell.cast(pl.Datetime("ms")).dt.epoch("ms")
    if isinstance(dtype, pl.String):
        if factor == ISO:
            return _iso(cell)
        number = cell.str.strip_chars()
        if factor == 1.0:
            return pl.coalesce(
                number.cast(pl.Int64, strict=False), _rounded(number.cast(pl.Float64, strict=False), 1.0)
            )
        return _rounded(number.cast(pl.Float64, strict=False), factor)
    if factor == ISO:
        return None
    if dtype.is_integer():
        whole = cell.cast(pl.Int64, strict=False)
        return whole if factor == 1.0 else _rounded(whole.cast(pl.Float64), factor)
    if dtype.is_float():
        return _rounded(cell.cast(pl.Float64), factor)
    return None


def _rounded(number: pl.Expr, factor: float) -> pl.Expr:
    """Scaled numbers are rounded; unscaled ones must already be whole (12.5 ms is a mistake, 1.25 s is not)."""
    scaled = number * factor
    fits = scaled.is_finite() & (scaled.abs() < 2.0**62)
    if factor == 1.0:
        fits = fits & (scaled == scaled.round())
    return pl.when(fits).then(scaled.round()).cast(pl.Int64, strict=False)


def _iso(cell: pl.Expr) -> pl.Expr:
    spelled = cell.str.strip_chars().str.replace(" ", "T", literal=True)
    zoned = pl.when(spelled.str.contains(r"(Z|[+-]\d\d:?\d\d)$")).then(spelled).otherwise(spelled + "Z")
    return zoned.str.to_datetime(WHOLE_MS, strict=False, time_zone="UTC", time_unit="ms").dt.epoch("ms")


def _text(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """Text, or null; whole numbers become digits, as ids often are numbers elsewhere."""
    if isinstance(dtype, pl.String):
        return pl.when(cell != "").then(cell)
    if dtype.is_integer():
        return cell.cast(pl.String)
    if dtype.is_float():  # ids of a column with gaps come out of pandas as 12.0
        return _rounded(cell.cast(pl.Float64), 1.0).cast(pl.String)
    return None


def _listed(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    if isinstance(dtype, pl.String):
        parts = cell.str.split(",").list.eval(pl.element().str.strip_chars())
        return parts.list.eval(pl.element().filter(pl.element() != ""))
    if isinstance(dtype, pl.List) and (isinstance(dtype.inner, pl.String) or dtype.inner.is_integer()):
        return cell.list.eval(pl.element().cast(pl.String).drop_nulls())
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Null):
        return cell.list.eval(pl.element().cast(pl.String))
    return None


def _gather(props: Mapping[str, str], raw: pl.DataFrame, texts: Texts) -> pl.Expr:
    """Columns → the text of one JSON object a row, without the empty ones."""
    pieces = [_member(name, column, raw.schema[column], texts) for name, column in props.items()]
    return pl.concat_str(pl.lit("{"), pl.concat_str(pieces, separator=",", ignore_nulls=True), pl.lit("}"))


def _member(name: str, column: str, dtype: pl.DataType, texts: Texts) -> pl.Expr:
    cell = pl.col(column)
    encoded = pl.struct(cell.alias(name)).struct.json_encode().str.slice(1)
    member = encoded.str.head(-1)  # '"name":value', quoted by a JSON writer
    key = pl.lit(json.dumps(name, ensure_ascii=False))
    if texts == "json":
        member = pl.concat_str(key, pl.lit(":"), cell)
    elif texts == "csv":
        number = cell.str.contains(r"^-?(0|[1-9]\d{0,15})(\.\d{1,12})?$")
        member = pl.when(number).then(pl.concat_str(key, pl.lit(":"), cell)).otherwise(member)
        return pl.when(cell != "").then(member)
    if dtype.is_float():
        return pl.when(cell.is_finite()).then(member)
    return pl.when(cell.is_not_null()).then(member)


def _saw(cell: pl.Expr, what: str) -> pl.Expr:
    seen = cell.cast(pl.String).str.head(80)
    return pl.format("is {}; must be {}", seen, pl.lit(what))


def whole_rows(frame: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Rows of a small frame as the file had them, without what casting added."""
    return frame.select(pl.exclude("^=.*$", ROW)).iter_rows(named=True)
