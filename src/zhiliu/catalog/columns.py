"""The catalogue as columns, as request time and training read it: one array a field, indexed by row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from zhiliu.types import I32, I64, Bool, Video


class Codes:
    """Strings ↔ int32 codes in order of arrival; code 0 is the empty string (unknown)."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self.code_of: dict[str, int] = {"": 0}

    def add(self, name: str) -> int:
        """The code of a name, new if never seen."""
        code = self.code_of.get(name)
        if code is None:
            code = self.code_of[name] = len(self.names)
            self.names.append(name)
        return code

    def __len__(self) -> int:
        return len(self.names)

    def copy(self) -> Codes:
        """The same codes, to which others can be added."""
        other = Codes()
        other.names, other.code_of = list(self.names), dict(self.code_of)
        return other


TAGS = 4
"""Tags a video keeps in the matrix; further ones are in the catalogue but not in features."""


@dataclass(frozen=True, slots=True)
class VideoColumns:
    """Immutable view of ``N`` catalogue rows. A missing row number is an invisible video."""

    ids: list[str]  # N
    row_of: dict[str, int]
    authors: Codes
    tags: Codes
    languages: Codes
    kinds: Codes
    author: I32  # (N,)
    tag: I32  # (N, TAGS), 0 = none
    language: I32  # (N,)
    kind: I32  # (N,)
    duration_ms: I64  # (N,)
    published_ms: I64  # (N,)
    visible: Bool  # (N,)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def build(cls, rows: Iterable[tuple[int, Video]]) -> VideoColumns:
        """From (row, video) in row order."""
        listed = list(rows)
        n = listed[-1][0] + 1 if listed else 0
        authors, tags, languages, kinds = Codes(), Codes(), Codes(), Codes()
        ids = [""] * n
        author, language, kind = (np.zeros(n, np.int32) for _ in range(3))
        tag = np.zeros((n, TAGS), np.int32)
        duration_ms, published_ms = np.zeros(n, np.int64), np.zeros(n, np.int64)
        visible = np.zeros(n, np.bool_)
        for row, video in listed:
            ids[row] = video.video_id
            author[row] = authors.add(video.author_id)
            language[row] = languages.add(video.language)
            kind[row] = kinds.add(video.kind)
            for i, name in enumerate(video.tags[:TAGS]):
                tag[row, i] = tags.add(name)
            duration_ms[row] = video.duration_ms
            published_ms[row] = video.published_ms
            visible[row] = video.status == "visible"
        return cls(
            ids, {name: row for row, name in enumerate(ids) if name}, authors, tags, languages, kinds,
            author, tag, language, kind, duration_ms, published_ms, visible,
        )  # fmt: skip

    def changed(self, rows: Iterable[tuple[int, Video]]) -> VideoColumns:
        """A new view in which the given (row, video) are new or different; the others keep values and codes."""
        listed = list(rows)
        n = max([len(self), *(row + 1 for row, _ in listed)])
        ids = [*self.ids, *[""] * (n - len(self))]
        more = n - len(self)
        author, language, kind, duration_ms, published_ms, visible = (
            np.concatenate([column, np.zeros(more, column.dtype)])
            for column in (
                self.author, self.language, self.kind, self.duration_ms, self.published_ms, self.visible,
            )
        )  # fmt: skip
        tag = np.concatenate([self.tag, np.zeros((more, TAGS), np.int32)])
        row_of = dict(self.row_of)
        authors, tags, languages, kinds = (
            codes.copy() for codes in (self.authors, self.tags, self.languages, self.kinds)
        )
        for row, video in listed:
            ids[row] = video.video_id
            row_of[video.video_id] = row
            author[row] = authors.add(video.author_id)
            language[row] = languages.add(video.language)
            kind[row] = kinds.add(video.kind)
            names = video.tags[:TAGS]
            tag[row] = [*(tags.add(name) for name in names), *[0] * (TAGS - len(names))]
            duration_ms[row] = video.duration_ms
            published_ms[row] = video.published_ms
            visible[row] = video.status == "visible"
        return VideoColumns(
            ids, row_of, authors, tags, languages, kinds,
            author, tag, language, kind, duration_ms, published_ms, visible,
        )  # fmt: skip
