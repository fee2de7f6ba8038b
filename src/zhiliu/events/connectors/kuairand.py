"""A KuaiRand folder (impressions, histories, videos, users) → checked chunks of videos, people and events.

KuaiRand: Gao et al., CIKM 2022. What its rows become is written down in docs/importing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from zhiliu.events.connectors import kuairand_catalogue as catalogue
from zhiliu.events.connectors import kuairand_histories as histories
from zhiliu.events.connectors import kuairand_impressions as impressions
from zhiliu.events.connectors.casting import Texts
from zhiliu.events.connectors.checks import RejectedRow
from zhiliu.events.connectors.fields import FileError, Kind
from zhiliu.events.connectors.files import CHUNK_ROWS, Format, Piece, Table, open_table
from zhiliu.events.connectors.source import Checked, Chunk, Repeats, Source
from zhiliu.events.connectors.stubs import stubs

Convert = Callable[[pl.DataFrame], Checked]
NEEDED: dict[str, tuple[str, ...]] = {
    "impressions": tuple(impressions.IMPRESSION),
    "histories": histories.COLUMNS,
    "videos": catalogue.VIDEO_COLUMNS,
    "users": catalogue.USER_COLUMNS,
}
"""File → columns it must have."""
EXTRA: dict[str, tuple[str, ...]] = {
    "impressions": impressions.UNUSED,
    "users": catalogue.USER_UNUSED,
}
"""File → columns it may have; no event needs them."""
LACKING = {
    "histories": "nothing is known of the days before the impressions",
    "videos": "videos get an id and a duration only: no authors, no tags, no time of publication",
    "users": "people have no profile",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """The sources of a KuaiRand folder in the order to import them, and what is lacking."""

    sources: list[Source]
    notes: list[str]


def open_kuairand(folder: Path, *, now_ms: int, chunk_rows: int = CHUNK_ROWS) -> Folder:
    """Open every file of the folder and prove it readable.

    Raises:
        FileError: no folder, no impressions, a damaged file, wrong columns.

    """
    if not folder.is_dir():
        raise FileError(f"{folder}: no such folder")
    tables = {name: table for name in NEEDED if (table := _find(folder, name)) is not None}
    if "impressions" not in tables:
        raise FileError(f"{folder}: no impressions.parquet (or .csv); it is the one file that is needed")
    durations = _modal_durations(tables["impressions"])
    sources = [_videos(folder, tables, durations, now_ms, chunk_rows)]
    if users := tables.get("users"):
        name, texts = str(users.path), _texts(users)
        sources.append(
            _source(
                users, "people", chunk_rows, lambda: lambda raw: catalogue.people(raw, name, texts, now_ms)
            )
        )
    if past := tables.get("histories"):
        where = str(past.path)  # a row is up to 110 events
        sources.append(
            _source(
                past, "events", max(1, chunk_rows // 20), lambda: lambda raw: histories.events(raw, where)
            )
        )
    sources.append(_impressions(tables, now_ms, chunk_rows))
    notes = [f"{folder}: no {name}.parquet: {what}" for name, what in LACKING.items() if name not in tables]
    return Folder(sources, notes)


def _find(folder: Path, name: str) -> Table | None:
    formats: tuple[Format, ...] = ("parquet", "csv")
    for format_ in formats:
        path = folder / f"{name}.{format_}"
        if not path.is_file():
            continue
        if name == "histories" and format_ == "csv":
            raise FileError(f"{path}: histories hold lists, which CSV has not; give Parquet")
        table = open_table(path, format_)
        known = (*NEEDED[name], *EXTRA.get(name, ()))
        if missing := [c for c in NEEDED[name] if c not in table.columns]:
            raise FileError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
        if unknown := [c for c in table.columns if c not in known]:
            raise FileError(f"{path}: unknown column {', '.join(unknown)}; known are {', '.join(known)}")
        return table
    return None


def _source(table: Table, kind: Kind, chunk_rows: int, converter: Callable[[], Convert]) -> Source:
    def chunks() -> Iterator[Chunk]:
        repeats, convert = Repeats(kind), converter()

        def load(piece: Piece) -> Checked:
            raw, ragged = piece.load()
            done = convert(raw)
            once = repeats.drop(done.frame, done.rejected)
            uneven = [RejectedRow(r.line, "", r.reason, {"cells": r.cells}) for r in ragged]
            repeated = done.repeated + once.repeated
            return Checked(once.frame, [*uneven, *once.rejected], repeated, done.merged)

        for piece in table.pieces(chunk_rows):
            yield Chunk(piece.index, piece.rows, lambda p=piece: load(p))  # type: ignore[misc]

    return Source(table.path, kind, table.rows, chunks, f"kuairand {kind} {chunk_rows}")


def _impressions(tables: dict[str, Table], now_ms: int, chunk_rows: int) -> Source:
    table = tables["impressions"]
    name, texts = str(table.path), _texts(table)
    authors = _pairs(tables.get("videos"), ("video_id", "author_id")).with_columns(
        author_id=catalogue.author_key(pl.col("author_id"))
    )

    def converter() -> Convert:
        twins = impressions.Twins()

        def convert(raw: pl.DataFrame) -> Checked:
            once, repeated = twins.drop(raw)
            done = impressions.events(once, name, texts, authors, now_ms)
            return Checked(done.frame, done.rejected, repeated, done.merged)

        return convert

    return _source(table, "events", max(1, chunk_rows // 2), converter)


def _videos(
    folder: Path, tables: dict[str, Table], durations: pl.DataFrame, now_ms: int, chunk_rows: int
) -> Source:
    table = tables.get("videos")
    if table is not None:
        name, texts = str(table.path), _texts(table)
        return _source(
            table,
            "videos",
            chunk_rows,
            lambda: lambda raw: catalogue.videos(raw, name, texts, durations, now_ms),
        )
    ids = set(durations["video_id"])
    if past := tables.get("histories"):
        for piece in past.pieces(chunk_rows):
            raw, _ = piece.load()
            for column in ("watch_seq", "like_seq", "long_watch_seq"):
                ids |= set(raw[column].explode().drop_nulls().cast(pl.String))
    frame = stubs(sorted(ids), durations)
    only = Chunk(0, frame.height, lambda: Checked(frame, []))
    path = tables["impressions"].path
    return Source(path, "videos", frame.height, lambda: iter((only,)), "kuairand stubs", only_new=True)


def _modal_durations(table: Table) -> pl.DataFrame:
    """(video_id, modal_ms): the duration most impressions of a video tell; for videos without their own."""
    counts = pl.concat(
        piece.load()[0]
        .select(
            pl.col("video_id").cast(pl.String),
            pl.col("duration_ms")
            .cast(pl.Float64, strict=False)
            .cast(pl.Int64, strict=False)
            .alias("modal_ms"),
        )
        .group_by("video_id", "modal_ms")
        .len()
        for piece in table.pieces()
    )
    return (
        counts.filter(pl.col("video_id").is_not_null() & (pl.col("modal_ms").fill_null(0) >= 0))
        .group_by("video_id", "modal_ms")
        .agg(pl.sum("len"))
        .sort("video_id", "len", "modal_ms", descending=[False, True, False])
        .unique("video_id", keep="first", maintain_order=True)
        .select("video_id", "modal_ms")
    )


def _pairs(table: Table | None, columns: Sequence[str]) -> pl.DataFrame:
    """Two columns of a small table as text, the first unique."""
    if table is None:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    loaded = [piece.load()[0].select(pl.col(*columns).cast(pl.String)) for piece in table.pieces()]
    return pl.concat(loaded).unique(columns[0], keep="first")


def _texts(table: Table) -> Texts:
    return "csv" if table.format == "csv" else "typed"
