"""How facts are laid out for people: titles, aligned columns, times of the place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

TITLE_CELLS = 40
"""Longer titles are cut."""


def heading(facts: Mapping[str, Any], subject: str, offset_h: float) -> list[str]:
    """First lines of every answer."""
    return [
        f"{subject}, at 时间 {when(facts['at_ms'], offset_h)} ({facts['clock']})",
        f"model 模型 {facts['model'] or 'none 无'}",
        *(f"! {note}" for note in facts["notes"]),
    ]


def section(title: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """A titled table, or a line that there is nothing."""
    listed = [[cell(value) for value in row] for row in rows]
    return ["", title, *(aligned(listed) if listed else ["  none 无"])]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, two cells apart and indented."""
    widths = [max(cells(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return [
        ("  " + "  ".join(text + " " * (widths[i] - cells(text)) for i, text in enumerate(row))).rstrip()
        for row in rows
    ]


def cells(text: str) -> int:
    """Width at a terminal: Chinese characters take two cells."""
    return sum(2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def cell(value: object) -> str:
    """One value of a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def video(named: Mapping[str, Any]) -> str:
    """Id and title, or the topic of one without a title."""
    title = named["title"][:TITLE_CELLS]
    told = f"《{title}》" if title else (f"#{named['topic']}" if named["topic"] else "")
    return f"{named['video_id']} {told}".rstrip()


def when(time_ms: int, offset_h: float) -> str:
    """ISO time at the place of the people served."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(timezone(timedelta(hours=offset_h)))
    return moment.isoformat(timespec="seconds")


def seconds(milliseconds: float | None) -> str:
    """Seconds of video."""
    return "-" if milliseconds is None else f"{milliseconds / 1000:.1f} s"
