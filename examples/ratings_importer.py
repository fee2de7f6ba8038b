"""An importer: ``person::video::stars::seconds`` lines → JSON lines that ``zhiliu import jsonl`` takes.

    python examples/ratings_importer.py ratings.dat > events.jsonl
    zhiliu --workspace demo import jsonl events.jsonl --create-videos

The importer says what happened; ``zhiliu import`` checks it, rejects row by row, and goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from zhiliu.types import Event, EventType

LIKED_STARS = 4


def events(path: Path) -> Iterator[Event]:
    """An impression a line, and a like when there are many stars. Ids are made of the line: again is no duplicate.

    Raises:
        ValueError: names the line that is not four fields with whole numbers where they belong.

    """
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            person, video, stars, seconds = line.split("::")
            liked, time_ms = int(stars) >= LIKED_STARS, int(seconds) * 1000
        except ValueError:
            raise ValueError(f"{path}:{number}: {line!r} is not person::video::stars::seconds") from None
        name = f"{person}:{video}:{seconds}"
        yield Event(
            event_id=f"i:{name}", type=EventType.IMPRESSION, time=time_ms, person_id=person, video_id=video
        )
        if liked:
            yield Event(
                event_id=f"l:{name}", type=EventType.LIKE, time=time_ms, person_id=person, video_id=video
            )


def main(path: Path) -> None:
    """Every event of the file on stdout, one a line."""
    encode = msgspec.json.Encoder().encode
    for event in events(path):
        sys.stdout.buffer.write(encode(event) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
