from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from whole_file import NOW_MS, Load

from zhiliu.events.connectors import Checked, Mapping, open_source


@pytest.fixture
def load() -> Load:
    """Read a whole file through its source; chunks put together."""

    def read(
        path: Path,
        kind: str = "events",
        mapping: Mapping | None = None,
        chunk_rows: int = 1000,
    ) -> Checked:
        source = open_source(
            path,
            path.suffix[1:],
            kind,
            mapping or Mapping(),
            now_ms=NOW_MS,
            chunk_rows=chunk_rows,  # type: ignore[arg-type]
        )
        parts = [chunk.load() for chunk in source.chunks()]
        return Checked(
            pl.concat(part.frame for part in parts),
            [row for part in parts for row in part.rejected],
            sum(part.repeated for part in parts),
            sum(part.merged for part in parts),
        )

    return read
