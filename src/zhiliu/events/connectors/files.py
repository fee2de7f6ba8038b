"""CSV, JSON lines and Parquet → raw frames of bounded size, the whole file proven readable first."""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from zhiliu.events.connectors.fields import ROW, FileError

Format = Literal["csv", "jsonl", "parquet"]
"""Formats of `zhiliu import`; this file reads the two that are tables."""
CHUNK_ROWS = 200_000
"""Rows in memory at a time; about 100 MB of events."""
HEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A CSV row that does not have the header's number of cells."""

    line: int
    cells: list[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk, not yet decoded: skipping it costs next to nothing."""

    index: int
    first_row: int
    """1-based data row of its first row."""
    rows: int
    load: Callable[[], tuple[pl.DataFrame, list[RaggedRow]]]
    """Raw frame: the file's columns and ``#row``."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV or Parquet file found readable from end to end."""

    path: Path
    format: Format
    columns: list[str]
    rows: int
    """Exact for Parquet; an upper bound for CSV (line breaks inside quotes count)."""

    def pieces(self, chunk_rows: int = CHUNK_ROWS) -> Iterator[Piece]:
        """Chunks in file order."""
        return (
            _parquet_pieces(self, chunk_rows) if self.format == "parquet" else _csv_pieces(self, chunk_rows)
        )


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells one state of a file from another: size, time of change, digest of the first MiB."""
    stat = path.stat()
    with path.open("rb") as stream:
        head = hashlib.sha256(stream.read(HEAD_BYTES)).hexdigest()
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "head_sha256": head}


def open_table(path: Path, format_: Format) -> Table:
    """Open a CSV or Parquet file and read it once to prove that it is whole.

    Raises:
        FileError: missing, empty, truncated, not UTF-8, no header, no rows.

    """
    check_there(path)
    return _open_parquet(path) if format_ == "parquet" else _open_csv(path)


def check_there(path: Path) -> None:
    """Raise FileError unless ``path`` is a file with something in it."""
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FileError(f"{path}: the file is empty (0 bytes)")


def _open_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(CHUNK_ROWS):
                pass  # a damaged page shows before anything is written
            columns, rows = list(file.schema_arrow.names), int(file.metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(
            f"{path}: not a whole Parquet file, perhaps half-written ({first}); write it again"
        ) from None
    if not rows:
        raise FileError(f"{path}: the file has no rows")
    if len(set(columns)) < len(columns):
        raise FileError(f"{path}: two columns have the same name")
    return Table(path, "parquet", columns, rows)


def _parquet_pieces(table: Table, chunk_rows: int) -> Iterator[Piece]:
    with pq.ParquetFile(table.path) as file:
        done = 0
        for index, batch in enumerate(file.iter_batches(chunk_rows)):
            yield Piece(index, done + 1, batch.num_rows, lambda b=batch, d=done: (_framed(b, d), []))  # type: ignore[misc]
            done += batch.num_rows


def _framed(batch: Any, done: int) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_batches([batch])).with_row_index(ROW, offset=done + 1)


def count_lines(path: Path, *, utf8: bool) -> int:
    """Lines of a text file, the last one with or without a break.

    Raises:
        FileError: not UTF-8, when that was asked; the message names the byte.

    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, place, last = 0, 0, b""
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            try:
                if utf8:
                    decoder.decode(block)
            except UnicodeDecodeError as error:
                raise FileError(
                    f"{path}: not UTF-8 near byte {place + error.start}; save it as UTF-8"
                ) from None
            lines += block.count(b"\n")
            place += len(block)
            last = block[-1:]
        try:
            if utf8:
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise FileError(f"{path}: ends inside a character; the file is cut off") from None
    return lines + (last != b"\n")


def _open_csv(path: Path) -> Table:
    lines = count_lines(path, utf8=True)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream), [])
    columns = [name.strip() for name in header]
    if len(set(columns)) < len(columns) or not all(columns):
        raise FileError(
            f"{path}: the header needs a different name for every column, has {', '.join(header)}"
        )
    if lines < 2:
        raise FileError(f"{path}: the file has a header and no rows")
    return Table(path, "csv", columns, lines - 1)


def _csv_pieces(table: Table, chunk_rows: int) -> Iterator[Piece]:
    """By the csv module: slower than a columnar reader, but a bad row is one row and has a number."""
    with table.path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        next(reader)
        index = done = 0
        while rows := _take(reader, chunk_rows):
            yield Piece(index, done + 1, len(rows), lambda r=rows, d=done: _columns(table.columns, r, d))  # type: ignore[misc]
            done += len(rows)
            index += 1


def _take(reader: Any, count: int) -> list[list[str]]:
    rows: list[list[str]] = []
    while len(rows) < count:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            row = [f"\0{error}"]  # one cell too few or too many never passes as a row
        if row:
            rows.append(row)
    return rows


def _columns(names: Sequence[str], rows: list[list[str]], done: int) -> tuple[pl.DataFrame, list[RaggedRow]]:
    width = len(names)
    ragged = [
        RaggedRow(done + i + 1, row, f"has {len(row)} cells, the header has {width}")
        if not row[0].startswith("\0")
        else RaggedRow(done + i + 1, [], row[0][1:])
        for i, row in enumerate(rows)
        if len(row) != width or row[0].startswith("\0")
    ]
    bad = {r.line for r in ragged}
    good = [(done + i + 1, row) for i, row in enumerate(rows) if done + i + 1 not in bad] if bad else None
    kept = [row for _, row in good] if good is not None else rows
    numbers = [n for n, _ in good] if good is not None else list(range(done + 1, done + len(rows) + 1))
    cells = list(zip(*kept, strict=True)) if kept else [()] * width
    data = {
        name: pl.Series(name, list(column), dtype=pl.String)
        for name, column in zip(names, cells, strict=True)
    }
    return pl.DataFrame({ROW: pl.Series(numbers, dtype=pl.UInt32), **data}), ragged
