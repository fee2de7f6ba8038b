from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zhiliu.catalog.columns import VideoColumns
from zhiliu.types import Video

NAMES = st.sampled_from(["", "a", "b", "c"])


def video(row: int, author: str, tags: list[str], duration_ms: int, status: str) -> Video:
    return Video(
        video_id=f"v{row}",
        author_id=author,
        tags=tuple(tags),
        duration_ms=duration_ms,
        status=status,
        language=author,
    )


PARTS = st.tuples(
    NAMES, st.lists(NAMES, max_size=6), st.integers(0, 10**6), st.sampled_from(["visible", "deleted"])
)


def told(columns: VideoColumns, row: int) -> tuple[object, ...]:
    """One row in words, so that codes may differ."""
    return (
        columns.ids[row],
        columns.authors.names[columns.author[row]],
        [columns.tags.names[code] for code in columns.tag[row]],
        columns.languages.names[columns.language[row]],
        int(columns.duration_ms[row]),
        bool(columns.visible[row]),
    )


@given(first=st.lists(PARTS, max_size=6), changes=st.dictionaries(st.integers(0, 9), PARTS, max_size=6))
def test_changed_says_what_building_anew_says_and_leaves_the_old_view_alone(
    first: list[tuple[str, list[str], int, str]], changes: dict[int, tuple[str, list[str], int, str]]
) -> None:
    old = [(row, video(row, *parts)) for row, parts in enumerate(first)]
    new = [(row, video(row, *parts)) for row, parts in sorted(changes.items())]
    view = VideoColumns.build(old)
    before = [told(view, row) for row in range(len(view))]
    fast = view.changed(new)
    slow = VideoColumns.build(sorted((dict(old) | dict(new)).items()))
    assert [told(fast, row) for row in range(len(fast))] == [told(slow, row) for row in range(len(slow))]
    assert fast.row_of == slow.row_of
    assert [told(view, row) for row in range(len(view))] == before
    assert len(view.row_of) == len(first)
    assert view.authors.names == VideoColumns.build(old).authors.names
    assert isinstance(fast.tag, np.ndarray)
    assert fast.tag.dtype == view.tag.dtype
