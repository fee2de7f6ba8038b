"""A synthetic log as a real feed makes one: what is shown leans to what people like."""

from __future__ import annotations

from dataclasses import replace

from zhiliu.testing.synthetic import TOPICS, SyntheticLog, synthetic_log


def leaning_log(
    *, people: int = 200, videos: int = 60, impressions: int = 6000, days: float = 6.0
) -> SyntheticLog:
    """Every impression of the liked topic and every fifth of the others: half of what is shown is liked."""
    log = synthetic_log(people=people, videos=videos, impressions=impressions, days=days)

    def stays(event_id: str, person: str, video: str) -> bool:
        number = int(event_id[1:].split(":")[0])
        return int(person[1:]) % TOPICS == int(video[1:]) % TOPICS or number % 5 == 0

    events = [e for e in log.events if stays(e.event_id, e.person_id or "", e.video_id or "")]
    return replace(log, events=events)
