"""What followed people like: one definition, for training from a snapshot and for requests from the log."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiliu.features.history import Ask
from zhiliu.features.social import FOLLOWED, HALF_LIFE_MS, LIKES, Heard, social_columns
from zhiliu.live.likers import Likers
from zhiliu.live.state import LiveState
from zhiliu.testing.component_contracts import NOW_MS
from zhiliu.testing.memory_log import MemoryLog
from zhiliu.testing.small_world import happened, small_catalogue, small_columns
from zhiliu.train.followed import FollowedLikes
from zhiliu.types import Event, EventType, StoredEvent

VIDEOS = small_columns(12)
PEOPLE = ("p1", "a1", "a2", "a3")
Told = list[tuple[int, int, str]]


def told(live: LiveState, person: str, now_ms: int) -> Told:
    """(video, time, who), in the order of time."""
    likes = live.view(person, now_ms).followed_likes
    return sorted(zip(likes.time_ms.tolist(), likes.video.tolist(), likes.people, strict=True))


def following(*events: Event) -> tuple[MemoryLog, LiveState]:
    """A state that hears of each event as it is committed."""
    log = MemoryLog()
    live = LiveState(log, VIDEOS)
    log.on_commit(live.apply)
    log.append(events)
    return log, live


def follow(author: str, time: int, kind: str = "follow", person: str = "p1") -> Event:
    return happened(kind, None, person, time, props={"author_id": author})


def trained(events: list[Event], folder: Path, until_ms: int | None = None) -> FollowedLikes:
    """From the part of a snapshot that it reads."""
    rows = [
        {
            "offset": i + 1, "type": e.type.value, "person": e.person, "time": e.time,
            "video_row": VIDEOS.row_of[e.video_id] if e.video_id else -1,
            "props": json.dumps(e.props) if e.props else None,
        }
        for i, e in enumerate(events)
    ]  # fmt: skip
    schema = {"offset": pl.Int64, "type": pl.String, "person": pl.String, "time": pl.Int64,
              "video_row": pl.Int32, "props": pl.String}  # fmt: skip
    pl.DataFrame(rows, schema).write_parquet(folder / "events.parquet")
    return FollowedLikes.load(folder, VIDEOS, PEOPLE, until_ms)


def by_definition(events: list[Event], person: str, now_ms: int) -> Told:
    """Word by word, in the order of time."""
    past = sorted((e.time, i, e) for i, e in enumerate(events) if e.time < now_ms)
    follows: dict[str, bool] = {}
    likes: dict[tuple[str, int], int | None] = {}
    for time, _, e in past:
        row = VIDEOS.row_of[e.video_id] if e.video_id else -1
        if e.person == person and e.type in (EventType.FOLLOW, EventType.UNFOLLOW):
            whom = e.props.get("author_id") or VIDEOS.authors.names[VIDEOS.author[row]]
            follows[whom] = e.type is EventType.FOLLOW
        elif e.type in (EventType.LIKE, EventType.UNLIKE):
            likes[e.person, row] = time if e.type is EventType.LIKE else None
    return sorted(
        (time, row, who)
        for (who, row), time in likes.items()
        if time is not None and follows.get(who) and who != person
    )


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Four people, three of them authors, within a few ms of each other."""
    made = []
    for i in range(draw(st.integers(1, 40))):
        kind = draw(st.sampled_from(["follow", "follow", "like", "like", "unlike", "unfollow", "view"]))
        names_author = kind in ("follow", "unfollow") and draw(st.booleans())
        made.append(
            Event(
                event_id=f"e{i}",
                type=EventType(kind),
                time=NOW_MS + draw(st.integers(0, 9)),
                person_id=draw(st.sampled_from(PEOPLE)),
                video_id=None if names_author else f"v{draw(st.integers(1, 5))}",
                props={"author_id": draw(st.sampled_from(PEOPLE))} if names_author else {},
            )
        )
    return made


@settings(max_examples=80, deadline=None)
@given(events(), st.lists(st.booleans(), min_size=40, max_size=40))
def test_live_likes_are_those_of_the_definition_however_events_arrive_and_whenever_it_is_read(
    made: list[Event], read: list[bool]
) -> None:
    log, live = following()
    for i, (event, now) in enumerate(zip(made, read, strict=False)):
        log.append([event])
        if now:
            after = NOW_MS + 100 + i
            assert told(live, "p1", after) == by_definition(made[: i + 1], "p1", after)
    for person in PEOPLE:
        assert told(live, person, NOW_MS + 200) == by_definition(made, person, NOW_MS + 200)


@settings(max_examples=60, deadline=None)
@given(events(), st.integers(0, 10))
def test_training_sees_what_the_definition_says_at_any_moment_and_nothing_later(
    made: list[Event], after: int
) -> None:
    moment = NOW_MS + after
    person = np.arange(-1, len(PEOPLE), dtype=np.int32)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as cut:
        heard = trained(made, Path(whole)).at(person, np.full(len(person), moment))
        before = trained(made, Path(cut), moment).at(person, np.full(len(person), moment))
    for row, name in enumerate(("nobody", *PEOPLE)):
        for seen in (heard, before):
            mask = seen.mask[row]
            pairs = zip(seen.time_ms[row][mask].tolist(), seen.video[row][mask].tolist(), strict=True)
            assert sorted(pairs) == [(t, v) for t, v, _ in by_definition(made, name, moment)]


@pytest.mark.parametrize(("authors", "each"), [(2, 20), (2, LIKES + 30), (9, 12)])
def test_only_the_newest_likes_count_and_the_same_in_training_and_serving(
    authors: int, each: int, tmp_path: Path
) -> None:
    names = [f"q{j}" for j in range(authors)]
    made = [follow(name, NOW_MS - 10**6) for name in names]
    for i in range(each):
        made += [
            happened("like", i * 7 % 12, name, NOW_MS - 10**5 + 20 * i + j) for j, name in enumerate(names)
        ]
    _, live = following(*made)
    likes = live.view("p1", NOW_MS).followed_likes
    heard = trained(made, tmp_path).at(np.array([0], np.int32), np.array([NOW_MS]))
    assert len(likes.video) == min(LIKES, 12 * authors)
    newest = max(likes.time_ms) - 20 * min(each, 12, len(likes.video) / authors)
    assert (np.diff(likes.time_ms) <= 0).all()
    assert likes.time_ms.min() > newest - 20
    pairs = sorted(zip(heard.time_ms[heard.mask].tolist(), heard.video[heard.mask].tolist(), strict=True))
    assert pairs == [(time, video) for time, video, _ in told(live, "p1", NOW_MS)]


def test_the_oldest_follow_beyond_the_bound_is_not_looked_at(tmp_path: Path) -> None:
    made = [follow("a1", NOW_MS - 1000), happened("like", 5, "a1", NOW_MS - 500)]
    made += [follow(f"x{i}", NOW_MS - 900 + i) for i in range(FOLLOWED - 1)]
    for expected in (1, 0):
        _, live = following(*made)
        heard = trained(made, tmp_path).at(np.array([0], np.int32), np.array([NOW_MS]))
        assert (len(told(live, "p1", NOW_MS)), int(heard.mask.sum())) == (expected, expected)
        made.append(follow("one more", NOW_MS - 400))


def test_a_like_by_a_followed_person_changes_what_a_person_in_memory_knows() -> None:
    log, live = following(follow("a1", NOW_MS - 100))
    assert told(live, "p1", NOW_MS) == []
    assert live.loaded("p1")
    log.append([happened("like", 3, "a1", NOW_MS - 50), happened("like", 4, "a9", NOW_MS - 50)])
    assert live.loaded("p1")
    assert told(live, "p1", NOW_MS) == [(NOW_MS - 50, 3, "a1")]
    log.append([happened("unlike", 3, "a1", NOW_MS - 40)])
    assert told(live, "p1", NOW_MS) == []


def test_an_unfollow_takes_the_likes_away_and_a_new_follow_is_not_answered_from_memory() -> None:
    log, live = following(follow("a1", NOW_MS - 100), happened("like", 3, "a1", NOW_MS - 90))
    assert len(told(live, "p1", NOW_MS)) == 1
    log.append([follow("a1", NOW_MS - 80, "unfollow")])
    assert told(live, "p1", NOW_MS) == []
    log.append([follow("a2", NOW_MS - 70)])
    assert not live.loaded("p1")


def test_what_is_yet_to_come_counts_once_it_has_come() -> None:
    _, live = following(
        follow("a1", NOW_MS + 5),
        happened("like", 3, "a1", NOW_MS + 10),
        happened("like", 4, "a1", NOW_MS - 9),
    )
    for now_ms, videos in ((NOW_MS, []), (NOW_MS + 6, [4]), (NOW_MS + 10, [4]), (NOW_MS + 11, [4, 3])):
        assert [video for _, video, _ in told(live, "p1", now_ms)] == videos


def test_events_that_went_by_as_columns_are_read_from_the_log() -> None:
    log = MemoryLog()
    live = LiveState(log, VIDEOS)
    log.append([follow("a1", NOW_MS - 100)])
    live.apply(log.read(0, 10))
    assert told(live, "p1", NOW_MS) == []
    log.append([happened("like", 3, "a1", NOW_MS - 50)])
    frame = pl.DataFrame({
        "offset": [2], "type": ["like"], "video_id": ["v3"], "time": [NOW_MS - 50], "surface": ["for_you"],
        "watch_ms": [None], "props": [None],
    }, {"offset": pl.Int64, "type": pl.String, "video_id": pl.String, "time": pl.Int64, "surface": pl.String,
        "watch_ms": pl.Int64, "props": pl.String})  # fmt: skip
    assert live.apply_frame(frame) == 1
    assert not live.loaded("p1")
    assert [video for _, video, _ in told(live, "p1", NOW_MS)] == [3]


def test_a_like_of_a_video_that_another_process_added_counts_once_the_catalogue_has_it() -> None:
    log, live = following(follow("a1", NOW_MS - 100))
    assert told(live, "p1", NOW_MS) == []
    log.append([happened("like", 12, "a1", NOW_MS - 50)])
    assert told(live, "p1", NOW_MS) == []
    live.catalogue(VIDEOS.changed([(12, small_catalogue(13)[12])]))
    assert [video for _, video, _ in told(live, "p1", NOW_MS)] == [12]


def test_who_left_memory_is_read_again_and_nobody_is_forgotten() -> None:
    log = MemoryLog()
    log.append([follow(who, NOW_MS - 100) for who in ("a1", "a2", "a3")])
    log.append([happened("like", i, f"a{i}", NOW_MS - 50) for i in (1, 2, 3)])
    live = LiveState(log, VIDEOS)
    for room, loaded in ((2, False), (5, False), (6, True)):
        live._likers = Likers(log, room=room)
        live.forget("p1")
        for _ in range(3):
            assert [video for _, video, _ in told(live, "p1", NOW_MS)] == [1, 2, 3]
        assert live._likers._size <= room
        assert live.loaded("p1") is loaded


def test_a_log_that_cannot_be_read_is_tried_again() -> None:
    class Broken(MemoryLog):
        broken = True

        def history(self, person, before_ms, limit, types=None):  # type: ignore[no-untyped-def]
            if self.broken and person == "a1":
                raise OSError("disk")
            return super().history(person, before_ms, limit, types)

    log = Broken()
    log.append([follow("a1", NOW_MS - 100), happened("like", 3, "a1", NOW_MS - 50)])
    live = LiveState(log, VIDEOS)
    with pytest.raises(OSError, match="disk"):
        live.view("p1", NOW_MS)
    log.broken = False
    assert len(told(live, "p1", NOW_MS)) == 1


def test_the_columns_are_the_decayed_sums_of_the_video_and_of_its_author() -> None:
    now = np.array([NOW_MS])
    ages = np.array([0.5, 1.0, 2.0]) * HALF_LIFE_MS
    heard = Heard(
        np.array([[True, True, False]]),
        np.array([[1, 11, 1]], np.int32),
        (NOW_MS - ages).astype(np.int64)[None],
    )
    ask = Ask(np.array([1, 11, 2], np.int32), np.ones(1, np.int32), now, now)
    columns = social_columns(ask, heard, VIDEOS)  # 1 and 11 have the same author
    one, other = 2**-0.5, 0.5
    np.testing.assert_allclose(columns["followed_likes"], np.log1p([one, other, 0]), rtol=1e-6)
    np.testing.assert_allclose(
        columns["followed_liked_author"], np.log1p([one + other, one + other, 0]), rtol=1e-6
    )


def test_the_same_event_twice_counts_once() -> None:
    log, live = following(follow("a1", NOW_MS - 100))
    live.view("p1", NOW_MS)
    like = StoredEvent(2, happened("like", 3, "a1", NOW_MS - 50))
    log._stored.append(like)
    live.apply([like])
    live.apply([like])
    assert len(told(live, "p1", NOW_MS)) == 1
