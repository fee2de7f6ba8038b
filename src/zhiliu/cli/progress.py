"""Progress on stderr: bars for people at a terminal, a log line a chunk for everything else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

Advance = Callable[[int, Mapping[str, Any]], None]
"""(rows done since last time, counts so far)."""


class Progress:
    """Shows how far each file is."""

    @contextmanager
    def file(self, name: str, kind: str, rows: int) -> Iterator[Advance]:
        """Follow one file of about ``rows`` rows."""
        if sys.stderr.isatty():
            yield from self._bar(f"{name} → {kind}", rows)
        else:
            yield from self._log(name, kind, rows)

    def _bar(self, title: str, rows: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=Console(stderr=True)) as bars:
            task = bars.add_task(title, total=rows, counts="")

            def advance(done: int, counts: Mapping[str, Any]) -> None:
                bars.update(task, advance=done, counts=_words(counts))

            yield advance
            bars.update(task, total=bars.tasks[0].completed)  # the row count of a text file is a bound

    def _log(self, name: str, kind: str, rows: int) -> Iterator[Advance]:
        log, start = structlog.get_logger(), time.monotonic()
        at = 0

        def advance(done: int, counts: Mapping[str, Any]) -> None:
            nonlocal at
            at += done
            spent_s = round(time.monotonic() - start, 1)
            log.info("import", file=name, kind=kind, rows=at, of=rows, seconds=spent_s, counts=_words(counts))

        yield advance


def _words(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in ("accepted", "duplicates", "rejected"))


class Steps:
    """Progress of a run of named steps: ``steps(label, share)`` with share 0–1. Use as a context."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.label = ""
        self.bars: Any = None
        self.task: Any = None

    def __enter__(self) -> Steps:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn())
            self.bars = Bars(*columns, console=Console(stderr=True))
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            if self.task is not None:
                self.bars.update(self.task, completed=1.0)
            self.bars.stop()

    def __call__(self, label: str, share: float) -> None:
        """Say what is going on; a new label starts a new bar, or a new line where there is no terminal."""
        if label != self.label:
            if self.bars is not None:
                if self.task is not None:
                    self.bars.update(self.task, completed=1.0)
                self.task = self.bars.add_task(label, total=1.0)
            else:
                sys.stderr.write(f"[{time.monotonic() - self.start:6.1f} s] {label}\n")
                sys.stderr.flush()
            self.label = label
        if self.bars is not None:
            self.bars.update(self.task, completed=share)
