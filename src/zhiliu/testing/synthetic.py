"""A small made-up feed log with a pattern to find: each person likes one topic and watches it long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiliu.types import Event, EventType, Person, Video

START_MS = 1_700_000_000_000
TOPICS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticLog:
    """What an importer would have brought in."""

    videos: list[Video]
    people: list[Person]
    events: list[Event]


def synthetic_log(
    *, people: int = 40, videos: int = 60, impressions: int = 3000, days: float = 6.0, seed: int = 0
) -> SyntheticLog:
    """Impressions spread over ``days`` with views, likes, shares and hides. Same seed, same log."""
    rng = np.random.default_rng(seed)
    catalogue = [
        Video(
            video_id=f"v{i}",
            author_id=author(i % max(1, videos // 4), people),
            title=f"话题{i % TOPICS} lesson {i}",
            tags=(f"t{i % TOPICS}",),
            duration_ms=int(rng.integers(8_000, 90_000)),
            language="zh" if i % 2 else "en",
            published_ms=START_MS - int(rng.integers(0, 20)) * 86_400_000,
        )
        for i in range(videos)
    ]
    activity = ("high", "low")
    everybody = [
        Person(
            person_id=f"p{i}",
            activity=activity[i % 2],
            follow_count=i,
            registered_ms=START_MS - i * 86_400_000,
        )
        for i in range(people)
    ]
    times = np.sort(rng.integers(0, int(days * 86_400_000), impressions)) + START_MS
    events: list[Event] = []
    for n, time in enumerate(times.tolist()):
        person, video = int(rng.integers(people)), int(rng.integers(videos))
        events += one_impression(n, time, person, catalogue[video], video % TOPICS == person % TOPICS, rng)
    return SyntheticLog(videos=catalogue, people=everybody, events=events)


def author(number: int, people: int) -> str:
    """Every other author is one of the people."""
    return f"p{number}" if number % 2 and number < people else f"a{number}"


def one_impression(
    n: int, time: int, person: int, video: Video, liked_topic: bool, rng: np.random.Generator
) -> list[Event]:
    """An impression and what followed."""
    common: dict[str, Any] = {
        "person_id": f"p{person}",
        "video_id": video.video_id,
        "request_id": f"r{n}",
        "surface": "for_you" if n % 4 else "discover",
    }
    events = [Event(event_id=f"e{n}:i", type=EventType.IMPRESSION, time=time, **common)]
    if rng.random() < (0.9 if liked_topic else 0.4):
        watch_ms = int(video.duration_ms * min(1.0, rng.beta(4, 1) if liked_topic else rng.beta(1, 4)))
        after = time + watch_ms
        events.append(Event(event_id=f"e{n}:v", type=EventType.VIEW, time=after, watch_ms=watch_ms, **common))
        for kind, chance in ((EventType.LIKE, 0.3), (EventType.SHARE_CREATE, 0.05), (EventType.FOLLOW, 0.03)):
            if liked_topic and rng.random() < chance:
                events.append(Event(event_id=f"e{n}:{kind}", type=kind, time=after, **common))
    elif rng.random() < 0.05:
        events.append(Event(event_id=f"e{n}:h", type=EventType.HIDE, time=time + 500, **common))
    return events
