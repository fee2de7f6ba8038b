"""Every video as the JSON an answer carries: encoded when it changes, not when it is served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from zhiliu.types import Video

encode = msgspec.json.Encoder().encode
NO_CARD = msgspec.Raw(b"null")


class Title(msgspec.Struct):
    """The one field of a card that reasons name."""

    title: str = ""


title = msgspec.json.Decoder(Title).decode


class Cards:
    """Catalogue row → card, about 300 bytes a video. One writer; readers see a card before or after a change."""

    def __init__(self) -> None:
        self.of_row: dict[int, msgspec.Raw] = {}

    def put(self, rows: Iterable[tuple[int, Video]]) -> None:
        """New or changed videos, every field told."""
        for row, video in rows:
            self.of_row[row] = msgspec.Raw(encode(msgspec.structs.asdict(video)))

    def differs(self, row: int, video: Video) -> bool:
        """Whether the card of this row is another's or older."""
        return bytes(self.of_row.get(row, NO_CARD)) != encode(msgspec.structs.asdict(video))

    def of(self, rows: Sequence[int]) -> list[msgspec.Raw]:
        """Cards in this order."""
        return [self.of_row.get(row, NO_CARD) for row in rows]

    def title_of(self, row: int) -> str:
        """Empty when the video has none."""
        card = self.of_row.get(row)
        return title(card).title if card is not None else ""
