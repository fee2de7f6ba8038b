"""One file of events, videos or people → checked chunks, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from zhiliu.events.connectors.casting import Texts
from zhiliu.events.connectors.checks import RejectedRow, check
from zhiliu.events.connectors.fields import FIELDS, ROW, Kind
from zhiliu.events.connectors.files import CHUNK_ROWS, Format, RaggedRow, open_table
from zhiliu.events.connectors.jsonl import LineDecoder, columns_of, open_lines
from zhiliu.events.connectors.mapping import Mapping, plan


@dataclass(frozen=True, slots=True)
class Checked:
    """A chunk that can be stored."""

    frame: pl.DataFrame
    """``#row`` and every field of the kind, in contract types."""
    rejected: list[RejectedRow]
    repeated: int = 0
    """Rows of the file that say again what an earlier row said; not in ``frame``."""
    merged: int = 0
    """Rows put together with an earlier row about the same thing; not in ``frame`` on their own."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file, decoded and checked when ``load`` is called."""

    index: int
    rows: int
    load: Callable[[], Checked]


@dataclass(frozen=True, slots=True)
class Source:
    """A file ready to be imported. Opening it has proven it readable from end to end."""

    path: Path
    kind: Kind
    rows: int
    """Data rows; an upper bound for text files."""
    chunks: Callable[[], Iterator[Chunk]]
    """In file order, each time from the start."""
    note: str = ""
    """What tells this reading of the file from another (mapping, units); part of the resume key."""
    only_new: bool = False
    """Never replace what the store has: these rows know less."""


def open_source(
    path: Path, format_: Format, kind: Kind, mapping: Mapping, *, now_ms: int, chunk_rows: int = CHUNK_ROWS
) -> Source:
    """Open a file and settle its mapping.

    Raises:
        FileError: the file or the mapping cannot be used; nothing has been read into anything.

    """
    note = repr((kind, format_, mapping, chunk_rows))
    if format_ == "jsonl":
        return _jsonl_source(path, kind, mapping, now_ms, chunk_rows, note)
    table = open_table(path, format_)
    settled = plan(kind, mapping, table.columns, str(path))
    texts: Texts = "csv" if format_ == "csv" else "typed"

    def chunks() -> Iterator[Chunk]:
        repeats = Repeats(kind)
        for piece in table.pieces(chunk_rows):

            def load(load_raw: Callable[[], tuple[pl.DataFrame, list[RaggedRow]]] = piece.load) -> Checked:
                raw, ragged = load_raw()
                frame, rejected = check(raw, settled, str(path), now_ms, texts)
                uneven = [RejectedRow(r.line, "", r.reason, {"cells": r.cells}) for r in ragged]
                return repeats.drop(frame, [*uneven, *rejected])

            yield Chunk(piece.index, piece.rows, load)

    return Source(path, kind, table.rows, chunks, note)


def _jsonl_source(
    path: Path, kind: Kind, mapping: Mapping, now_ms: int, chunk_rows: int, note: str
) -> Source:
    lines = open_lines(path)
    free = [f for f in FIELDS[kind] if f not in mapping.columns and f not in mapping.constants]
    if any(f.startswith("props.") for f in mapping.columns):
        free.remove("props")
    columns = columns_of(path, list(mapping.columns.values()), mapping.ignore, free)
    settled = plan(kind, mapping, columns, str(path))
    decoder = LineDecoder(settled, mapping.ignore)

    def chunks() -> Iterator[Chunk]:
        repeats = Repeats(kind)
        for piece in lines.pieces(chunk_rows):

            def load(piece=piece) -> Checked:  # type: ignore[no-untyped-def]
                raw, malformed = decoder.decode(piece)
                frame, rejected = check(raw, settled, str(path), now_ms, "json")
                return repeats.drop(frame, [*malformed, *rejected])

            yield Chunk(piece.index, piece.rows, load)

    return Source(path, kind, lines.rows, chunks, note)


class Repeats:
    """Finds a video or person that a file tells of twice: the same again is a repeat, another is wrong.

    Events need no such memory: the store counts a repeated ``event_id`` as a duplicate.
    """

    def __init__(self, kind: Kind) -> None:
        self.id = {"videos": "video_id", "people": "person_id", "events": ""}[kind]
        self.seen = pl.DataFrame(
            schema={"id": pl.UInt64, "first": pl.UInt32, "content": pl.UInt64}
        )  # (rows so far,)

    def drop(self, frame: pl.DataFrame, rejected: list[RejectedRow]) -> Checked:
        """The frame without rows whose id came before, in it or in an earlier chunk."""
        if not self.id:
            return Checked(frame, rejected)
        marks = frame.select(
            id=pl.col(self.id).hash(),
            first=pl.col(ROW),
            content=pl.struct(pl.exclude(ROW, self.id)).struct.json_encode().hash(),
        )
        known = pl.concat([self.seen, marks]).unique("id", keep="first", maintain_order=True)
        marks = marks.join(known, on="id", how="left", suffix="_known", maintain_order="left")
        again = marks["first"] != marks["first_known"]
        other = again & (marks["content"] != marks["content_known"])
        self.seen = known
        if not again.any():
            return Checked(frame, rejected)
        contradicts = [
            RejectedRow(row[ROW], self.id, f"{row[self.id]!r} is already row {first}, with other values", row)
            for row, first in zip(
                frame.filter(other).iter_rows(named=True), marks["first_known"].filter(other), strict=True
            )
        ]
        for bad in contradicts:
            del bad.row[ROW]
        repeated = int((again & ~other).sum())
        return Checked(frame.filter(~again), [*rejected, *contradicts], repeated)
