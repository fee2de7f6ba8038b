"""Checked chunks → store, with a record of what is done and a file of what was not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from zhiliu.cli.import_record import ImportRecord, RejectedFile
from zhiliu.cli.progress import Progress
from zhiliu.events.connectors import ROW, Chunk, Kind, RejectedRow, Source, stubs
from zhiliu.store import Store
from zhiliu.types import Receipt


class StrictError(Exception):
    """``--strict`` found bad rows; nothing was written."""


@dataclass(slots=True)
class Summary:
    """What became of one file."""

    file: str
    kind: str
    rows: int = 0
    accepted: int = 0
    """Events, videos or people new to the store."""
    duplicates: int = 0
    """Already in the store, or said twice in the file."""
    merged: int = 0
    """Rows put together with another about the same thing."""
    rejected: int = 0
    stubs: int = 0
    """Videos added with nothing but an id, because an event named them."""


@dataclass(frozen=True, slots=True)
class Importer:
    """Imports sources into one store."""

    store: Store
    workspace: Path
    rejected: RejectedFile
    progress: Progress
    create_videos: bool = False

    def run(self, sources: Sequence[Source], *, strict: bool = False) -> list[Summary]:
        """Import every source in order.

        Raises:
            StrictError: ``strict`` and a row is bad; nothing was written.

        """
        if strict:
            self._check(sources)
        return [self._import(source) for source in sources]

    def _import(self, source: Source) -> Summary:
        record = self._record(source)
        may_skip = source.kind == "events" or record.complete  # a later row of these may replace an earlier
        known = set(self.store.catalog.ids())
        summary = Summary(str(source.path), source.kind)
        with self.progress.file(source.path.name, source.kind, source.rows) as advance:
            for chunk in source.chunks():
                done = record.finished(chunk.index) if may_skip else None
                if done is None:
                    self._chunk(chunk, source, record, known, summary)
                else:
                    summary.duplicates += sum(done)
                summary.rows += chunk.rows
                advance(chunk.rows, asdict(summary))
        record.close()
        return summary

    def _record(self, source: Source) -> ImportRecord:
        """The record of a file, forgotten when the store has fewer rows than it claims."""
        name = self.store.database.url.render_as_string(hide_password=True)
        record = ImportRecord(self.workspace, source, name)
        held = self.store.counts()[source.kind]
        if (source.kind == "events" and record.accepted > held) or not held:
            record.forget()
        return record

    def _chunk(
        self, chunk: Chunk, source: Source, record: ImportRecord, known: set[str], summary: Summary
    ) -> None:
        """Store one chunk: all of its good rows or, when the store refuses, none."""
        checked = chunk.load()
        frame, rejected = checked.frame, checked.rejected
        if source.only_new:
            frame = frame.filter(~pl.col("video_id").is_in(list(known)))
        elif source.kind == "events" and self.create_videos:
            summary.stubs += self._add_stubs(frame, known)
        elif source.kind == "events":
            frame, unknown = _split_unknown(frame, known)
            rejected = [*rejected, *unknown]
        receipt = self._write(source.kind, frame.drop(ROW))
        self.rejected.add(source.path, rejected)
        duplicates = receipt.duplicates + checked.repeated
        summary.accepted += receipt.accepted
        summary.duplicates += duplicates
        summary.merged += checked.merged
        summary.rejected += len(rejected)
        if not rejected:
            record.finish(chunk.index, receipt.accepted, duplicates)

    def _write(self, kind: Kind, frame: pl.DataFrame) -> Receipt:
        if frame.is_empty():
            return Receipt(0, 0)
        if kind == "events":
            return self.store.bulk_events(frame)
        return self.store.bulk_videos(frame) if kind == "videos" else self.store.bulk_people(frame)

    def _add_stubs(self, frame: pl.DataFrame, known: set[str]) -> int:
        fresh = [v for v in frame["video_id"].drop_nulls().unique(maintain_order=True) if v not in known]
        if fresh:
            self.store.bulk_videos(stubs(fresh).drop(ROW))
            known.update(fresh)
        return len(fresh)

    def _check(self, sources: Sequence[Source]) -> None:
        """Go through everything without writing to the store."""
        known = set(self.store.catalog.ids())
        first = ""
        for source in sources:
            with self.progress.file(f"check {source.path.name}", source.kind, source.rows) as advance:
                for chunk in source.chunks():
                    checked = chunk.load()
                    bad = list(checked.rejected)
                    if source.kind == "videos":
                        known.update(checked.frame["video_id"])
                    elif source.kind == "events" and not self.create_videos:
                        bad += _split_unknown(checked.frame, known)[1]
                    if bad and not first:
                        first = f"{source.path}, row {bad[0].line}: {bad[0].field} {bad[0].reason}"
                    self.rejected.add(source.path, bad)
                    advance(chunk.rows, {"accepted": 0, "duplicates": 0, "rejected": self.rejected.count})
        if first:
            raise StrictError(
                f"{self.rejected.count} bad rows, nothing was written (--strict). First: {first}. "
                f"All of them: {self.rejected.path}"
            )


def _split_unknown(frame: pl.DataFrame, known: set[str]) -> tuple[pl.DataFrame, list[RejectedRow]]:
    """Events of videos the catalogue has, or of no video, and the others."""
    unknown = [video for video in frame["video_id"].drop_nulls().unique() if video not in known]
    if not unknown:
        return frame, []
    lost = pl.col("video_id").is_in(unknown).fill_null(value=False)
    rejected = [
        RejectedRow(
            row[ROW],
            "video_id",
            f"{row['video_id']!r} is not in the catalogue; import the videos first, or use --create-videos",
            {name: value for name, value in row.items() if name != ROW},
        )
        for row in frame.filter(lost).iter_rows(named=True)
    ]
    return frame.filter(~lost), rejected
