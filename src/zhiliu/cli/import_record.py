"""What an import has already done: ``imports.json`` in the workspace, and the files of rejected rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zhiliu.events.connectors import RejectedRow, Source, fingerprint

RECORD = "imports.json"


class ImportRecord:
    """Chunks of one file that are stored, so that a second run need not look at them.

    Only a chunk without rejected rows counts as finished: rows that failed today (a video not yet in the
    catalogue) may pass tomorrow. Wrong or lost records cost time and nothing else, as the store knows every
    event id it has.
    """

    def __init__(self, workspace: Path, source: Source, store: str) -> None:
        """``store`` names the store: what is in one database is not in another."""
        self.path = workspace / RECORD
        reading = hashlib.sha256(f"{store} {source.note}".encode()).hexdigest()[:8]
        self.key = f"{source.path.resolve()}#{reading}"
        self.file = fingerprint(source.path)
        entry = self._read().get(self.key, {})
        same = isinstance(entry, dict) and entry.get("file") == self.file
        self.chunks: dict[str, list[int]] = dict(entry["chunks"]) if same else {}
        """Chunk index → (accepted, duplicates) when it was stored."""
        self.complete = bool(same and entry.get("complete"))

    @property
    def accepted(self) -> int:
        """Rows this file has brought so far."""
        return sum(accepted for accepted, _ in self.chunks.values())

    def forget(self) -> None:
        """Start over: the store no longer holds what the record says."""
        self.chunks, self.complete = {}, False

    def finished(self, chunk: int) -> tuple[int, int] | None:
        """(accepted, duplicates) of a finished chunk."""
        found = self.chunks.get(str(chunk))
        return (found[0], found[1]) if found else None

    def finish(self, chunk: int, accepted: int, duplicates: int) -> None:
        """Write down that a chunk is stored, all of it."""
        before = self.finished(chunk) or (0, 0)
        self.chunks[str(chunk)] = [before[0] + accepted, max(before[1], duplicates)]
        self._write()

    def close(self) -> None:
        """The whole file has been gone through."""
        self.complete = True
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self) -> None:
        entries = {
            **self._read(), self.key: {"file": self.file, "complete": self.complete, "chunks": self.chunks}
        }  # fmt: skip
        staged = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with staged.open("w", encoding="utf-8") as stream:
                json.dump(entries, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            staged.replace(self.path)
        finally:
            staged.unlink(missing_ok=True)


class RejectedFile:
    """``rejected/<name>-<time>.jsonl``, made when the first row is rejected."""

    def __init__(self, workspace: Path, name: str, now_ms: int) -> None:
        stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        self.path = workspace / "rejected" / f"{name}-{stamp}Z.jsonl"
        self.count = 0

    def add(self, file: Path, rows: Iterable[RejectedRow]) -> None:
        """Append rows with their file, line, field and reason."""
        lines = [
            json.dumps(
                {"file": str(file), "line": r.line, "field": r.field, "reason": r.reason, "row": r.row},
                ensure_ascii=False,
                default=str,
            )
            for r in sorted(rows, key=lambda row: row.line)
        ]
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
        self.count += len(lines)
