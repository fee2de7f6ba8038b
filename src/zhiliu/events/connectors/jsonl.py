"""JSON lines → raw frames. Lines that are no JSON, or hold another type, are rejected one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl

from zhiliu.events.connectors.checks import RejectedRow
from zhiliu.events.connectors.fields import FIELDS, ROW, Field, FileError
from zhiliu.events.connectors.files import CHUNK_ROWS, check_there, count_lines
from zhiliu.events.connectors.mapping import Plan

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
LINES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class LinesPiece:
    """One chunk of lines, not yet decoded."""

    index: int
    first_row: int
    rows: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Lines:
    """A JSON lines file. There is no header: every line may have other fields."""

    path: Path
    rows: int

    def pieces(self, chunk_rows: int = CHUNK_ROWS) -> Iterator[LinesPiece]:
        """Chunks in file order; a row number is a line number."""
        with self.path.open("rb") as stream:
            index = done = 0
            lines: list[bytes] = []
            for line in stream:
                lines.append(line)
                if len(lines) == chunk_rows:
                    yield LinesPiece(index, done + 1, len(lines), lines)
                    done += len(lines)
                    index, lines = index + 1, []
            if lines:
                yield LinesPiece(index, done + 1, len(lines), lines)


def open_lines(path: Path) -> Lines:
    """Open a ``.jsonl`` file.

    Raises:
        FileError: missing or empty.

    """
    check_there(path)
    return Lines(path, count_lines(path, utf8=False))


class LineDecoder:
    """Lines → a raw frame with the plan's columns, fast when all are well."""

    def __init__(self, plan: Plan, ignore: Sequence[str]) -> None:
        self.fields: dict[str, tuple[str, Any]] = {}
        """Struct attribute → (column, polars type)."""
        members: list[tuple[str, Any, Any]] = []
        for place, (column, kind, dtype) in enumerate(_members(plan, ignore)):
            members.append((f"f{place}", kind, None))
            if dtype is not None:
                self.fields[f"f{place}"] = (column, dtype)
        rename = {f"f{i}": c for i, (c, _, _) in enumerate(_members(plan, ignore))}
        self.line = msgspec.defstruct("Line", members, rename=rename, forbid_unknown_fields=True, gc=False)
        self.one = msgspec.json.Decoder(self.line)
        self.many = msgspec.json.Decoder(list[self.line])  # type: ignore[name-defined]

    def decode(self, piece: LinesPiece) -> tuple[pl.DataFrame, list[RejectedRow]]:
        """Raw frame of the good lines, and the others with their reasons. Blank lines are skipped."""
        try:
            rows = self.many.decode(b"[" + b",".join(piece.lines) + b"]")
            if len(rows) == len(piece.lines):  # a line "{…},{…}" would shift every number
                return self._frame(rows, range(piece.first_row, piece.first_row + len(rows))), []
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        rows, numbers, rejected = [], [], []
        for number, line in enumerate(piece.lines, piece.first_row):
            if not line.strip():
                continue
            try:
                rows.append(self.one.decode(line))
                numbers.append(number)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                rejected.append(rejection(number, line, error))
        return self._frame(rows, numbers), rejected

    def _frame(self, rows: list[Any], numbers: Sequence[int]) -> pl.DataFrame:
        columns = {ROW: pl.Series(ROW, numbers, dtype=pl.UInt32)}
        for attribute, (column, dtype) in self.fields.items():
            cells = [getattr(row, attribute) for row in rows]
            if dtype == pl.String:
                cells = [c if c is None or type(c) is str else _spell(c) for c in cells]
            elif dtype == pl.List(pl.String):
                cells = [c.split(",") if type(c) is str else c for c in cells]
            columns[column] = pl.Series(column, cells, dtype=dtype)
        return pl.DataFrame(columns)


def rejection(number: int, line: bytes, error: Exception) -> RejectedRow:
    """Say which field of a line is wrong."""
    text = str(error)
    seen: dict[str, Any] = {"line": line.decode("utf-8", "replace").rstrip("\r\n")[:2000]}
    if found := re.search(r"unknown field `([^`]*)`", text):
        return RejectedRow(number, found[1], "is not a known field; map it or --ignore it", seen)
    if isinstance(error, msgspec.ValidationError):
        field = re.search(r"`\$\.([^`\[]*)", text)
        return RejectedRow(number, field[1] if field else "", text.split(" - at ")[0].replace("`", ""), seen)
    if isinstance(error, UnicodeDecodeError):
        return RejectedRow(number, "", "the line is not UTF-8", seen)
    return RejectedRow(number, "", f"the line is not a JSON object ({text})", seen)


def _spell(cell: Any) -> str | None:
    """Digits of a number, JSON text of anything else; JSON's null is no value."""
    text = bytes(cell).decode() if isinstance(cell, msgspec.Raw) else str(cell)
    return None if text == "null" else text


def _members(plan: Plan, ignore: Sequence[str]) -> Iterator[tuple[str, Any, Any]]:
    """(column, type to decode, polars type); None: decoded and forgotten."""
    for target, column in plan.columns.items():
        yield column, *_types(target, FIELDS[plan.kind][target], plan.factor.get(target, 1.0))
    for column in plan.props.values():
        yield column, msgspec.Raw, pl.String()
    for column in ignore:
        yield column, msgspec.Raw, None


def _types(target: str, field: Field, factor: float) -> tuple[Any, Any]:
    if isinstance(field.dtype, pl.List):
        return list[str] | str | None, pl.List(pl.String())
    if target == "props":
        return msgspec.Raw, pl.String()
    if isinstance(field.dtype, pl.String):
        return (str | Int64 | None if field.is_id else str | None), pl.String()
    if factor == 0.0:
        return str | None, pl.String()
    return (Int64 | None, pl.Int64()) if factor == 1.0 else (float | int | None, pl.Float64())


def columns_of(path: Path, mapped: Sequence[str], ignore: Sequence[str], fields: Sequence[str]) -> list[str]:
    """What a plan may assume that lines hold: everything mapped, ignored, or called as a field is.

    Raises:
        FileError: a column both mapped and ignored.

    """
    if both := set(mapped) & set(ignore):
        raise FileError(f"{path}: {sorted(both)[0]!r} is both mapped and ignored; choose one")
    return list(dict.fromkeys((*mapped, *ignore, *fields)))
